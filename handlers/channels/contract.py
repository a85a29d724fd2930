"""The worker contract: what a channel is given, what it answers, and what it may rely on.

A channel only speaks to its provider. Claiming, cancelling, holding, re-checking, retrying and reporting are the worker's; a new
channel is one file that implements `Channel`, and a line in the topic table.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from models.events.signals import Role
from models.triggers import Trigger
from streams.runtime.errors import RapportError


class Verdict(StrEnum):
    """What the provider made of one attempt; it decides what the worker does next."""

    ACCEPTED = "accepted"
    """The provider took responsibility."""
    DEFERRED = "deferred"
    """This message is not wanted right now: try again later."""
    UNAVAILABLE = "unavailable"
    """The provider itself is away, busy or misconfigured: try again later, and spare it meanwhile (breaker)."""
    REFUSED = "refused"
    """This message will never be accepted."""
    BOUNCED = "bounced"
    """This address does not exist; trying it again would be wrong for any message."""
    UNCERTAIN = "uncertain"
    """The connection broke after the message had been handed over: it may or may not have been accepted."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """A verdict and, in a few words for people, what the provider said. Never contains the address or the text.

    `retry_after_seconds`: the provider asked not to be tried with this message before.
    """

    verdict: Verdict
    detail: str = ""
    retry_after_seconds: float = 0.0


class OnAmbiguous(StrEnum):
    """What to do when nobody knows whether the provider accepted an attempt."""

    RESEND = "resend"
    """Send again: the provider, or the reader, drops repetitions of one trigger id."""
    HOLD = "hold"
    """Never send again by ourselves: a second copy would be worse than none. Reported as `ambiguous`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard a worker process may press a provider.

    `concurrency` attempts at a time, at most `per_second` new ones; each is given `timeout_seconds` and then counts as
    uncertain. `attempts` bounds how often a deferred message is tried; while the provider is unavailable only the trigger's
    own expiry bounds it, because an outage says nothing about the message.
    """

    concurrency: int = 8
    per_second: float = 50.0
    timeout_seconds: float = 20.0
    attempts: int = 20

    @property
    def lease_ms(self) -> int:
        """After how long others count an attempt as ambiguous: twice the timeout, as disks may be slow and clocks apart."""
        return round(self.timeout_seconds * 2_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """What the client's state says about how to reach and address them; empty where it says nothing.

    `role` is that of the person at the client whom the message is for, none where it goes to the profile's own address.
    """

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    country: str | None = None
    locale: str | None = None
    timezone: str | None = None
    role: Role | None = None


class ContentError(RapportError):
    """A message cannot be written: a fact is missing or not allowed, or there is no template. Names it."""


@dataclass(frozen=True, slots=True)
class Content:
    """One message, rendered: a subject of one line, the text, and the same text as HTML.

    `opt_out_url` is where one POST ends messages like this one (RFC 8058); empty where no links are configured.
    """

    subject: str
    text: str
    html: str
    opt_out_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt: what to send to whom. `trigger.trigger_id` is the idempotency key and is the same in every attempt."""

    trigger: Trigger
    recipient: Recipient
    address: str
    content: Content
    attempt: int
    at: datetime

    @property
    def idempotency_key(self) -> str:
        """The key to give to the provider."""
        return self.trigger.trigger_id


NO_ADDRESS: Final = "no_address"


class Channel(Protocol):
    """A way to reach people. Implementations hold no state about triggers; one instance serves all partitions of a process."""

    @property
    def name(self) -> str:
        """Name of the channel, as in the topic `triggers.<name>`."""
        ...

    @property
    def provider(self) -> str:
        """Whom it speaks to, for metrics and the breaker: a host or a product, never a client."""
        ...

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """The policy for attempts of unknown result."""
        ...

    @property
    def limits(self) -> Limits:
        """How hard the provider may be pressed."""
        ...

    def address_of(self, recipient: Recipient) -> str | None:
        """Return where this channel reaches `recipient`, or none where it cannot."""
        ...

    async def send(self, message: Delivery) -> SendResult:
        """Hand `message` to the provider and say what it made of it.

        Never raises for what a provider, a network or an address can do: these are verdicts. Repeats nothing by itself.
        """
        ...

    async def close(self) -> None:
        """Give back connections and files."""
        ...

"""The conformance kit of the worker contract: the laws every channel keeps, ours and anybody's, and what checks them.

To check a channel of your own, write a *kit*: an async context manager that is given an empty folder and yields a `Kit` with your
channel speaking to a provider that you control (a server of the test, a sandbox). Each law gets a fresh one:

    @asynccontextmanager
    async def kit(folder: Path) -> AsyncIterator[Kit]:
        async with FakeProvider() as provider:
            yield Kit(
                MyChannel(provider.url), seen=lambda: provider.keys, take_away=provider.stop, make_busy=provider.limit_rate
            )

    rapport check-channel my_channel.kit:kit
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from handlers.channels.contract import Channel, Content, Delivery, OnAmbiguous, Recipient, SendResult, Verdict
from models.events.signals import Purpose
from models.triggers import CancelWhen, Journey, Tone, Trigger
from streams.runtime.errors import RapportError

_NOW: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_READER: Final = Recipient(name="Ada Lovelace", email="ada@client.example", phone="+493090182000", locale="en_GB")
_HOSTILE: Final = (
    "\r\nBcc: eve@evil.example",
    "\x1b[2J\x07",
    "\u202eevil",
    "[bold]x[/bold]",
    "\U0001f600" * 200,
    "\u597d" * 500,
    "",
    "%s{0}",
)
"""Would-be headers, terminal codes, a change of direction, markup, much of anything, nothing, formats."""

_AT_ONCE: Final = 10


@dataclass
class Kit:
    """A channel, the idempotency keys its provider has seen, one per message taken, and a way to take the provider away."""

    channel: Channel
    seen: Callable[[], list[str]]
    take_away: Callable[[], Awaitable[None]]
    make_busy: Callable[[], Awaitable[float]] | None = None
    """Lets the provider answer that it takes nothing for now, and returns the seconds it asks for (0: it names none).

    None: the provider has no such answer.
    """


MakeKit: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Kit]]
"""Given an empty folder, makes a kit; called anew for each law."""


class LawBrokenError(RapportError):
    """A channel does not keep a law; the message says what it did."""


@dataclass(frozen=True, slots=True)
class Law:
    """One promise in a sentence, and what finds out whether a channel keeps it: raises LawBrokenError where it does not."""

    sentence: str
    check: Callable[[Kit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one law went: `wrong` is empty where it was kept."""

    law: Law
    wrong: str = ""


def delivery_of(key: str, *, recipient: Recipient = _READER, content: Content | None = None) -> Delivery:
    """Return a first attempt to deliver a made-up message, whose idempotency key is `key`."""
    trigger = Trigger(
        trigger_id=key,
        client_id="ada",
        decided_at=_NOW,
        journey=Journey.DELAY_SUPPORT,
        anchor="in_1",
        step="friendly_note",
        channel="email",
        purpose=Purpose.SERVICING,
        legal_basis="contract",
        tone=Tone.GENTLE,
        not_before=_NOW,
        expires_at=_NOW + timedelta(days=7),
        cancel_when=(CancelWhen.INVOICES_SETTLED,),
        invoice_ids=("in_1",),
        reasons=("invoice R-17 is 10 days overdue",),
        segment="reliable",
        policy_version="p1",
        learner_version="l1",
    )
    text = content or Content("Invoice R-17", "Hello Ada,\n\nthe invoice.\n", "<p>Hello Ada,</p>")
    return Delivery(trigger=trigger, recipient=recipient, address=recipient.email or "", content=text, attempt=1, at=_NOW)


async def check_channel(make: MakeKit, folder: Path) -> list[Finding]:
    """Return how each law went, each on a kit of its own in a folder of its own below `folder`."""
    findings = []
    for number, law in enumerate(LAWS):
        place = folder / f"law-{number}"
        place.mkdir(parents=True)
        try:
            async with make(place) as kit:
                await law.check(kit)
        except LawBrokenError as broken:
            findings.append(Finding(law, str(broken)))
        except Exception as error:  # noqa: BLE001 - whatever a foreign channel raises is what is wrong with it
            findings.append(Finding(law, f"it raised {type(error).__name__}: {error}"))
        else:
            findings.append(Finding(law))
    return findings


def _hold(kept: bool, what: str) -> None:
    if not kept:
        raise LawBrokenError(what)


async def _names_itself(kit: Kit) -> None:
    name = kit.channel.name
    _hold(bool(re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name)), f"its name {name!r} cannot be part of the topic triggers.<name>")
    provider = kit.channel.provider
    _hold(
        bool(re.fullmatch(r"[a-z0-9.-]{1,253}", provider)), f"its provider {provider!r} is no host or product: it labels metrics"
    )


async def _has_limits(kit: Kit) -> None:
    limits = kit.channel.limits
    _hold(min(limits.concurrency, limits.per_second, limits.attempts) > 0, f"its limits allow nothing: {limits}")
    longer = limits.lease_ms > limits.timeout_seconds * 1000
    _hold(longer, "its lease ends before an attempt may: a second worker would send the same message")


async def _takes_a_message(kit: Kit) -> None:
    result = await kit.channel.send(delivery_of("key-1"))
    _accepted(result)
    _hold(kit.seen() == ["key-1"], f"the provider should have seen the key of the message, key-1, and saw {kit.seen()}")


async def _same_key(kit: Kit) -> None:
    for _ in range(2):
        await kit.channel.send(delivery_of("key-1"))
    _hold(set(kit.seen()) == {"key-1"}, f"two attempts of one message carried the keys {sorted(set(kit.seen()))}")


async def _repeats_nothing(kit: Kit) -> None:
    await kit.channel.send(delivery_of("key-1"))
    count = kit.seen().count("key-1")
    _hold(count == 1, f"one attempt reached the provider {count} times: retrying is the worker's")


async def _many_at_once(kit: Kit) -> None:
    keys = [f"key-{number}" for number in range(_AT_ONCE)]
    for result in await asyncio.gather(*(kit.channel.send(delivery_of(key)) for key in keys)):
        _accepted(result)
    _hold(sorted(kit.seen()) == keys, f"of {_AT_ONCE} messages at the same time the provider saw {sorted(kit.seen())}")


async def _any_content(kit: Kit) -> None:
    for number, text in enumerate(_HOSTILE):
        content = Content(text, f"{text}\n", f"<p>{len(text)}</p>")
        recipient = Recipient(name=text, email=_READER.email, phone=_READER.phone)
        _accepted(await kit.channel.send(delivery_of(f"key-{number}", recipient=recipient, content=content)))
    expected = [f"key-{number}" for number in range(len(_HOSTILE))]
    _hold(kit.seen() == expected, f"of {len(_HOSTILE)} messages of strange content the provider saw {kit.seen()}")


async def _provider_away(kit: Kit) -> None:
    await kit.take_away()
    result = await kit.channel.send(delivery_of("key-1"))
    what = f"with the provider away it answered {result.verdict.value} instead of {Verdict.UNAVAILABLE.value}"
    _hold(result.verdict is Verdict.UNAVAILABLE, what)


async def _provider_busy(kit: Kit) -> None:
    if kit.make_busy is None:
        return
    seconds = await kit.make_busy()
    result = await kit.channel.send(delivery_of("key-1"))
    later = result.verdict in {Verdict.UNAVAILABLE, Verdict.DEFERRED}
    _hold(later, f"to a provider that is busy it answered {result.verdict.value}: the message would not be tried again")
    asked = f"the provider asked for {seconds:g} seconds and is given {result.retry_after_seconds:g}"
    _hold(result.retry_after_seconds >= seconds, asked)


async def _tells_no_secrets(kit: Kit) -> None:
    accepted = await kit.channel.send(delivery_of("key-1"))
    await kit.take_away()
    away = await kit.channel.send(delivery_of("key-2"))
    for result in (accepted, away):
        told = [each for each in (_READER.email, _READER.phone, "Hello Ada") if each and each in result.detail]
        _hold(not told, f"what it reports contains {', '.join(told)}: address and text stay out of outcomes and logs")


async def _interrupted(kit: Kit) -> None:
    attempt = asyncio.create_task(kit.channel.send(delivery_of("key-1")))
    await asyncio.sleep(0)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    _accepted(await kit.channel.send(delivery_of("key-2")))


async def _addresses(kit: Kit) -> None:
    address = kit.channel.address_of(Recipient())
    _hold(address != "", "an empty address is no address: answer none where a client cannot be reached")
    if kit.channel.on_ambiguous is OnAmbiguous.HOLD:
        _hold(address is None, f"a client of whom nothing is known would be written to at {address!r}")


async def _closes(kit: Kit) -> None:
    for _ in range(2):
        await kit.channel.close()


def _accepted(result: SendResult) -> None:
    what = f"a provider that takes everything was answered for with {result.verdict.value}: {result.detail}"
    _hold(result.verdict is Verdict.ACCEPTED, what)


LAWS: Final = (
    Law("its name fits a topic, its provider a label that names nobody", _names_itself),
    Law("its limits leave the lease longer than an attempt", _has_limits),
    Law("a message it takes reaches the provider with its idempotency key", _takes_a_message),
    Law("a repetition can be told by its key", _same_key),
    Law("it repeats nothing by itself", _repeats_nothing),
    Law("messages at the same time are all delivered", _many_at_once),
    Law("no content makes it raise or lose the message", _any_content),
    Law("a provider that is away is a verdict and not an exception", _provider_away),
    Law("a provider that is busy is asked again later, and not before it says", _provider_busy),
    Law("what it reports holds neither address nor text", _tells_no_secrets),
    Law("an interrupted attempt leaves it usable", _interrupted),
    Law("nobody without a profile is reached where an address is needed", _addresses),
    Law("closing it twice is harmless", _closes),
)
"""All of them, in the order in which they are told."""

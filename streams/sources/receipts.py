"""What a mail or SMS provider, or a small bridge in front of it, says about our messages. Signed as Standard Webhooks.

    {"type": "message.bounced", "timestamp": "...", "data": {"reference": "<trigger id>", "channel": "email", "permanent": false}}

`message.delivered`, `message.bounced` (`permanent`: the address does not exist), `message.complained` and `message.replied` name
the message by `reference`: the trigger id, or the Message-ID of the mail, which begins with it. `message.received` is an SMS of
its own accord and names the sender by `from`. A text that is nothing but a word such as STOP ends text messages, START lets them
come again; any other text becomes a task for a person to read. An automatic answer (`auto`) is no answer.

Who the client is we know by ourselves: from our own outcomes, which name trigger, client and the address that was tried, and
from profiles, of whose addresses, those of the people at a client too, only digests are kept. One person may stand for several
clients. STOP ends the texts of all whose number it is; what a complaint or an address that does not exist means for others is in
`streams.sources.addresses`. START and words are for the client that named the number last, as a wish must not be guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from types import MappingProxyType
from typing import Any, Final, TypeVar

from models.addresses import phone_digest
from models.events.envelope import ClientEvent
from models.events.signals import (
    ClientAsked,
    ConsentChanged,
    DeliveryOutcome,
    DeliveryReported,
    Purpose,
    Request,
)
from models.events.union import AnyClientEvent
from models.ids import derive
from streams.runtime.errors import DeadLetterError
from streams.sources import payload as read
from streams.sources.addresses import REFUSES
from streams.sources.lookup import Lookup
from streams.sources.payload import Payload
from streams.wire.dead_letters import Reason
from streams.wire.facts import Facts, clients_of

E = TypeVar("E", bound=ClientEvent)

_STOP: Final = frozenset({"stop", "stopp", "end", "quit", "unsubscribe", "arret", "arrêt", "baja", "alto", "abmelden"})
_START: Final = frozenset({"start", "unstop", "alta", "anmelden"})
_LONGEST_WORDS: Final = 1000
_OUTCOMES: Final[Mapping[str, DeliveryOutcome]] = MappingProxyType(
    {
        "message.delivered": DeliveryOutcome.DELIVERED,
        "message.complained": DeliveryOutcome.COMPLAINED,
        "message.replied": DeliveryOutcome.REPLIED,
    }
)


def translate(body: Payload, *, source: str, received_at: datetime, lookup: Lookup) -> list[AnyClientEvent]:
    """Return what the receipt says as events; none for a kind that says nothing about a client, or an automatic answer."""
    kind = read.required(read.text(body, "type"), "type")
    data = read.inner(body, "data")
    if kind not in {"message.received", "message.bounced", *_OUTCOMES}:
        return []
    if data.get("auto") is True:
        return []
    said = _Said(kind, data, read.required(read.text(body, "timestamp"), "timestamp"), source, received_at)
    if kind == "message.received":
        number = phone_digest(read.required(read.text(data, "from"), "data.from"))
        return list(said.received(_client(lookup, number), number, clients_of(lookup.about(number)), known_by=number))
    trigger_id = read.required(read.text(data, "reference"), "data.reference").strip("<>").partition("@")[0]
    number = phone_digest(read.text(data, "from") or "") if read.text(data, "channel") == "sms" else ""
    others = clients_of(lookup.about(number)) if number else ()  # asked for first: all that is wanted is looked up at once
    known = lookup.about(trigger_id)
    client_id = _client(lookup, trigger_id)
    found: list[AnyClientEvent] = [said.about(trigger_id, client_id, known)]
    if kind == "message.replied":
        found += said.received(client_id, number, others)
    return found


def _client(lookup: Lookup, named: str) -> str:
    client_id = lookup.about(named).get("client_id")
    if client_id is None:
        raise DeadLetterError(Reason.NO_CLIENT, "no message of ours has this reference, and no client this number")
    return client_id


class _Said:
    """One receipt, read."""

    def __init__(self, kind: str, data: Mapping[str, Any], timestamp: str, source: str, received_at: datetime) -> None:
        self._kind = kind
        self._data = data
        self._timestamp = timestamp
        self._source = source
        self._received_at = received_at
        self._channel = read.text(data, "channel") or ("sms" if kind == "message.received" else "email")
        self._text = " ".join((read.text(data, "text") or "").split())

    def about(self, trigger_id: str, client_id: str, known: Facts) -> DeliveryReported:
        """Return what a receipt says about one of our messages; `known`: what our own outcomes said of it."""
        outcome = _OUTCOMES.get(self._kind)
        if outcome is None:
            hard = self._data.get("permanent") is True
            outcome = DeliveryOutcome.BOUNCED_HARD if hard else DeliveryOutcome.BOUNCED_SOFT
        reason = read.text(self._data, "reason")
        return self._make(
            DeliveryReported,
            client_id,
            outcome.value,
            trigger_id=trigger_id,
            channel=self._channel,
            outcome=outcome,
            reason=reason[:500] if reason else None,
            address=known.get("address"),
            purpose=known.get("purpose") if outcome in REFUSES else None,
        )

    def received(self, client_id: str, number: str, others: Sequence[str], *, known_by: str = "") -> Iterator[AnyClientEvent]:
        """Yield what a text of the client says: stop, start, or words for a person; `others`: all who named the `number`.

        An answer to a message is about the client of that message. What is `known_by` the number alone counts for those who
        have it still: an old number is somebody else's by now, or nobody's.
        """
        word = self._text.strip(" .!\"'").lower()
        if word in _STOP:
            for purpose in Purpose:
                yield self._consent(client_id, purpose, known_by, granted=False)
            for other, purpose in product(others, Purpose):
                if other != client_id:
                    yield self._consent(other, purpose, number, granted=False, subject=f"{purpose.value} {other}")
        elif word in _START:
            # Offers were never asked for by saying START to whatever came last.
            for purpose in (Purpose.SERVICING, Purpose.RELATIONSHIP):
                yield self._consent(client_id, purpose, known_by, granted=True)
        elif self._text:
            words = self._text[:_LONGEST_WORDS]
            yield self._make(ClientAsked, client_id, "asked", request=Request.MESSAGE, channel=self._channel, words=words)

    def _consent(self, client_id: str, purpose: Purpose, number: str, *, granted: bool, subject: str = "") -> ConsentChanged:
        said = {"purpose": purpose, "channel": self._channel, "granted": granted, "address": number or None}
        return self._make(ConsentChanged, client_id, subject or purpose.value, **said)

    def _make(self, kind: type[E], client_id: str, subject: str, **fields: object) -> E:
        named = read.text(self._data, "reference") or read.text(self._data, "from") or ""
        identity = (self._source, self._kind, named, self._timestamp, self._text, subject)
        return kind.model_validate(
            {
                "event_id": derive("receipt", *identity),
                "source": self._source,
                "occurred_at": self._timestamp,
                "received_at": self._received_at,
                "client_id": client_id,
                **fields,
            }
        )

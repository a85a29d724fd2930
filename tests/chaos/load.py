"""What flows while something breaks: payments, some of them twice, some unreadable, too large, late or out of order."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Final

from msgspec.structs import replace

from models.events.payments import PaymentReceived
from models.money import Money
from streams.engine.producer import Outgoing
from streams.runtime.clock import SystemClock
from streams.wire.codec import encode_event
from streams.wire.topics import CLIENT_EVENTS, INTAKE_TOPICS, PAYMENTS
from tests.integration.engine_world import payment, to_topic
from tests.streams.counting import TIMER_MS

CHUNK: Final = 50
NUMBER: Final = "chaos.number"
"""Header of an unreadable record: which one it is."""
_SOON: Final = timedelta(seconds=3)
POISON: Final = (
    *(b"", b"{", b"null", b"[]", b"\xff", b'{"kind":"payment.received"}', b'{"kind":"clock.ticked"}'),
    *(b"[" * 2_000, b'{"a":' * 5_000, b"9" * 6_000, b"NaN", b'"\\ud800"', b"1e9999", b"\x00" * 64),
)
"""Values that no reader of ours may understand, or stumble over."""

_TOO_LARGE: Final = b"x" * 1_000_000  # fits a record, and no contract


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the load. `rewritten`: of those sent twice, the share whose second body tells another amount.

    `hours`: moments lie out of order by up to so many; of those that lie back, the share `stale` also arrived so long ago.
    `due_soon`: each client's timer comes due while the load runs.
    """

    twice: float = 0.1
    rewritten: float = 0.0
    poison: float = 0.01
    oversize: float = 0.0
    hours: float = 0.0
    stale: float = 0.0
    due_soon: bool = False


USUAL: Final = Mix()


@dataclass(slots=True)
class Load:
    """Payments sent so far, and the records that nobody can read, each on any topic that is read, by a number they carry."""

    dice: Random
    mix: Mix = USUAL
    sent: dict[str, None] = field(default_factory=dict)
    unreadable: set[bytes] = field(default_factory=set)

    def chunk(self) -> list[Outgoing]:
        """Return the next records."""
        records = []
        for _ in range(CHUNK):
            event = self._event(len(self.sent))
            self.sent[event.event_id] = None
            records.append(_outgoing(event))
            if self.dice.random() < self.mix.twice:
                again = self.dice.random() < self.mix.rewritten
                records.append(_outgoing(_rewritten(event) if again else event))
            if self.dice.random() < self.mix.poison:
                records.append(self._poison())
            if self.dice.random() < self.mix.oversize:
                records.append(self._numbered(to_topic(PAYMENTS, _TOO_LARGE)))
        return records

    def _event(self, number: int) -> PaymentReceived:
        event = payment(number)
        if self.mix.due_soon:
            moment = SystemClock().now() - timedelta(milliseconds=TIMER_MS) + _SOON
            return event.model_copy(update={"occurred_at": moment, "received_at": moment})
        if self.mix.hours:
            moved = event.occurred_at + timedelta(hours=self.dice.uniform(-self.mix.hours, self.mix.hours))
            is_stale = moved < event.occurred_at and self.dice.random() < self.mix.stale
            return event.model_copy(update={"occurred_at": moved, **({"received_at": moved} if is_stale else {})})
        return event

    def _poison(self) -> Outgoing:
        topic = self.dice.choice((*INTAKE_TOPICS, CLIENT_EVENTS))
        return self._numbered(to_topic(topic, self.dice.choice(POISON), key=self.dice.choice((b"k", b""))))

    def _numbered(self, record: Outgoing) -> Outgoing:
        """Note an unreadable record; it is told apart by its number, as a sender may have to repeat it."""
        number = b"%d" % len(self.unreadable)
        self.unreadable.add(number)
        return replace(record, headers=((NUMBER, number),))


def _outgoing(event: PaymentReceived) -> Outgoing:
    return to_topic(PAYMENTS, encode_event(event), key=event.client_id.encode())


def _rewritten(event: PaymentReceived) -> PaymentReceived:
    return event.model_copy(update={"amount": Money(minor=event.amount.minor + 1, currency=event.amount.currency)})

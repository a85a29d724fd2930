"""A channel worker's insides without servers: memory ledger, scripted provider, clocks that stand still."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from handlers.channels.contract import Channel, Content, Delivery, Limits, OnAmbiguous, Recipient, SendResult, Verdict
from handlers.channels.courier import Courier, Write
from handlers.channels.dispatch import Dispatch
from handlers.channels.lane import Lane, Taken
from handlers.channels.ledger import Ledgers, Owner, Standing
from handlers.channels.memory_ledger import MemoryLedgers
from handlers.channels.outcomes import publish_outcomes
from handlers.channels.presend import LastLook
from handlers.channels.readers import MemoryReaders, Places, Readers
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryReported
from models.triggers import Retraction, Trigger
from streams.runtime.clock import ManualClock
from streams.runtime.errors import DeadLetterError, RetryError
from streams.runtime.metrics import Meter
from streams.wire.codec import decode_event
from streams.wire.records import Record
from tests.handlers.channel_examples import ADA, NOW, record

TOPIC: Final = "triggers.email"


@dataclass
class ScriptedChannel:
    """A provider that answers as told, then accepts everything; `gate`, when closed, makes it hang."""

    script: list[Verdict | SendResult | Exception] = field(default_factory=list)
    on_ambiguous: OnAmbiguous = OnAmbiguous.HOLD
    limits: Limits = field(default_factory=lambda: Limits(concurrency=3, per_second=1_000, timeout_seconds=20, attempts=3))
    sent: list[Delivery] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "email"
    provider: str = "scripted"
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    def address_of(self, recipient: Recipient) -> str | None:
        return recipient.email

    async def send(self, message: Delivery) -> SendResult:
        self.sent.append(message)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        answer = self.script.pop(0) if self.script else Verdict.ACCEPTED
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, SendResult):
            return answer
        return SendResult(answer, f"said {answer.value}")

    async def close(self) -> None:
        return


@dataclass
class States:
    """A state store with one state for everybody, or none; `away` makes it unreachable."""

    state: bytes | None = b"state"
    away: bool = False
    in_force: bytes = b""

    async def regime(self, client_id: str) -> bytes:
        del client_id
        if self.away:
            message = "Redis does not answer"
            raise RetryError(message)
        return self.in_force

    async def read(self, client_id: str) -> bytes | None:
        del client_id
        if self.away:
            message = "the store is away"
            raise RetryError(message)
        return self.state


@dataclass
class Topic:
    """What was published."""

    records: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    away: bool = False

    async def send_all(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        if self.away:
            message = "Kafka is away"
            raise RetryError(message)
        self.records += [(topic, key, value) for key, value in records]


class Bench:
    """One channel with one partition."""

    def __init__(
        self,
        channel: ScriptedChannel | None = None,
        *,
        ledgers: Ledgers | None = None,
        real: Channel | None = None,
        write: Write | None = None,
        readers: Readers | None = None,
    ) -> None:
        self.channel = channel or ScriptedChannel()
        used = real or self.channel
        self.clock, self.wall = ManualClock(NOW), ManualClock(NOW)
        self.states, self.topic, self.meter = States(), Topic(), Meter()
        self.looks: list[LastLook] = []
        self.write_error: Exception | None = None
        self.buried: list[tuple[int, str]] = []
        self.on_topic: list[int] = []
        self.ledgers = ledgers or MemoryLedgers()
        courier = Courier(
            used,
            store=self.states,
            look=self._look,
            write=write or self._write,
            clock=self.clock,
            wall=self.wall,
            meter=self.meter,
            failpoint=lambda _: None,
            readers=readers or MemoryReaders(Places()),
        )
        self.dispatch = Dispatch(used, courier=courier, clock=self.clock, wall=self.wall, meter=self.meter)
        self.lane = self.new_lane()
        self.offset = 0

    def new_lane(self, partition: int = 0) -> Lane:
        return Lane(
            channel="email",
            partition=partition,
            ledger=self.ledgers.open(TOPIC, partition),
            bury=self._bury,
            first_from=self._first_from,
            clock=self.clock,
            wall=self.wall,
        )

    async def open(self, lane: Lane | None = None, *, generation: int = 1) -> None:
        owner = Owner(generation=generation, owner_id=f"worker-{generation}")
        assert isinstance(await (lane or self.lane).acquire(owner, first_offset=0), Standing)

    async def take(self, *contents: Trigger | Retraction | bytes) -> Taken:
        records = [record(content, offset=self.offset + place) for place, content in enumerate(contents)]
        self.offset += len(records)
        return await self.lane.take(records)

    async def turn(self, *, lanes: Sequence[Lane] = ()) -> int:
        """Start what is due, and wait for it."""
        given = lanes or [self.lane]
        started = await self.dispatch.turn(given)
        await self.dispatch.settled(given, seconds=10)
        return started

    async def work(self) -> None:
        """Turn until nothing is due."""
        while await self.turn():
            pass

    async def outcomes(self) -> list[DeliveryReported]:
        """Publish what waits and return everything ever published."""
        await publish_outcomes([self.lane.ledger], channel="email", sender=self.topic, meter=self.meter, failpoint=lambda _: None)
        events = [decode_event(value) for _, _, value in self.topic.records]
        return [event for event in events if isinstance(event, DeliveryReported)]

    async def told(self) -> list[tuple[str, str]]:
        """Return trigger id and outcome of everything published."""
        return [(event.trigger_id, event.outcome.value) for event in await self.outcomes()]

    def pass_time(self, *, business: timedelta = timedelta(), operating: timedelta = timedelta()) -> None:
        self.clock.advance_to(self.clock.now() + business)
        self.wall.advance_to(self.wall.now() + operating)

    def _look(self, state: bytes, trigger: Trigger, now_ms: int, regime: bytes) -> LastLook:
        assert state == b"state"
        assert now_ms == epoch_ms(self.clock.now())
        del trigger, regime
        return self.looks.pop(0) if self.looks else LastLook(allowed=True, recipient=ADA)

    def _write(self, trigger: Trigger, recipient: Recipient) -> Content:
        if self.write_error is not None:
            raise self.write_error
        return Content(f"{trigger.step} for {recipient.name}", "text\n", "<p>text</p>")

    async def _first_from(self, partition: int, offset: int) -> int:
        del partition
        return min(there for there in self.on_topic if there >= offset)

    async def _bury(self, dead: Record, error: DeadLetterError) -> None:
        self.buried.append((dead.offset, error.reason))

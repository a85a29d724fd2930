"""The whole way in memory: intake, the client log, the fold and its outputs, with a clock that is driven.

For `rapport simulate` and for backtests of a policy: the same readers and the same fold as the worker, no server. One
partition holds everybody, so the order of what is said is the order of what was told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from models.events.envelope import ClientEvent, epoch_ms
from models.events.union import AnyClientEvent, AnyControlEvent, AnyEvent
from streams.engine.fence import Slot
from streams.engine.fold import DUE_PER_TICK, ClientsFold, ControlBatch, Folded, Program, TickBatch
from streams.engine.letters import dead_letter_entry
from streams.engine.ticks import make_tick
from streams.engine.writes import OutboxEntry, Outcome
from streams.runtime.clock import ManualClock
from streams.runtime.errors import FatalError
from streams.sources.lookup import Reader, Reading
from streams.state.memory_directory import MemoryDirectory
from streams.wire.codec import decode_event, encode_event
from streams.wire.facts import NOBODY
from streams.wire.headers import Headers
from streams.wire.records import PlainRecord, Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY

S = TypeVar("S")

_PARTITIONS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[S]):
    """What one record of the client log did: to one client by an event, or to `client_id` by the time having come.

    `before` is none for a client seen for the first time. `entries` are the outputs as they would be published.
    """

    client_id: str
    event: AnyEvent
    outcome: Outcome
    before: S | None
    after: S | None
    entries: Sequence[OutboxEntry]


def read_in_memory(record: Record, *, reader: Reader, directory: MemoryDirectory) -> Reading:
    """Read one record as the intake stage reads a batch: remember what it tells, and fill in what it lacks."""
    reading = reader(record, NOBODY)
    known = directory.answer(reading.learned, reading.wanted)
    if not reading.wanted:
        return reading
    again = reader(record, known)
    return again if again.learned == reading.learned else reader(record, directory.answer(again.learned, again.wanted))


class MemoryPipeline(Generic[S]):
    """Everything a deployment does between receiving a record and publishing outputs, one record at a time."""

    def __init__(self, program: Program[S], *, readers: Mapping[str, Reader], start: datetime) -> None:
        """Think with `program`; `readers` turn records of public topics into events: `streams.agents.readers.INTAKE_READERS`.

        The clock stands at `start`; set it with `advance_to` before each record, as its time of arrival.
        """
        self.clock = ManualClock(start)
        self.states: dict[str, S] = {}
        self.entries: list[OutboxEntry] = []
        self.log: list[PlainRecord] = []
        self.regime = b""
        self._program = program
        self._fold = ClientsFold(program, partitions=_PARTITIONS)
        self._readers = readers
        self._directory = MemoryDirectory(self.clock)
        self._timers: dict[str, int] = {}
        self._watermark_ms = 0
        self._received: dict[str, int] = {}

    def receive(self, topic: str, value: bytes, *, key: bytes | None = None, headers: Headers = ()) -> list[Step[S]]:
        """Take a record of a public topic (bare name) at the clock's present time and follow it all the way.

        An unreadable record appears among `entries` as a dead letter and gives no step.
        """
        offset = self._received.get(topic, 0)
        self._received[topic] = offset + 1
        record = PlainRecord(
            topic=topic, partition=0, offset=offset, timestamp=self._now_ms(), key=key, value=value, headers=headers
        )
        reading = read_in_memory(record, reader=self._readers[topic], directory=self._directory)
        if reading.refusal is not None:
            self.entries.append(dead_letter_entry(record, topic=topic, stage="intake", error=reading.refusal, idx=0))
        return [step for event in reading.events for step in self.tell(event)]

    def tell(self, event: AnyClientEvent) -> list[Step[S]]:
        """Put `event` on the client log and fold it; the clock moves to its `received_at` first and fires what is due.

        What it makes the client pass on to another one follows at once.
        """
        if event.received_at is None:
            event = event.model_copy(update={"received_at": self.clock.now()})
        steps = self.advance_to(event.received_at or self.clock.now())
        record = self._append(event.client_id.encode(), encode_event(event))
        before = self.states.get(event.client_id)
        batch = self._fold.read_events([record])
        folded = self._fold.fold_events(batch, {event.client_id: before}, watermark_ms=self._watermark_ms, regime=self.regime)
        step = self._keep(folded, event.client_id, event, before)
        steps.append(step)
        for entry in step.entries:
            if entry.topic == CLIENT_EVENTS.name and isinstance(told := decode_event(entry.value), ClientEvent):
                steps += self.tell(told)
        return steps

    def govern(self, event: AnyControlEvent) -> list[Step[S]]:
        """Put what changes the regime on the log and fold it; the clock moves to its `received_at` first, as for an event."""
        steps = self.advance_to(event.received_at or event.occurred_at)
        record = self._append(CONTROL_KEY, encode_event(event))
        batch = ControlBatch(record, event, record.offset + 1)
        folded = self._fold.fold_control(batch, watermark_ms=self._watermark_ms, regime=self.regime)
        self.entries += folded.writes.outbox
        if folded.writes.regime is not None:
            self.regime = folded.writes.regime
        if (wake_ms := folded.writes.wake_ms) is not None:
            self._timers |= {client: min(self._timers.get(client, wake_ms), wake_ms) for client in self.states}
        return steps

    def advance_to(self, moment: datetime) -> list[Step[S]]:
        """Let time pass until `moment`: every timer fires at its due time, in order of due time, then of client."""
        steps: list[Step[S]] = []
        limit_ms = epoch_ms(moment)
        while self._timers and (due_ms := min(self._timers.values())) <= limit_ms:
            fired = self._tick(max(due_ms, self._watermark_ms))
            if all(step.after is step.before for step in fired) and min(self._timers.values(), default=limit_ms) <= due_ms:
                message = f"a timer due at {due_ms} fired and changed nothing: the program would fire it for ever"
                raise FatalError(message)
            steps += fired
        self.clock.advance_to(moment)
        return steps

    def _tick(self, now_ms: int) -> list[Step[S]]:
        self.clock.advance_to(datetime.fromtimestamp(now_ms / 1000, UTC))  # a tick arrives when it says, as a broker stamps it
        tick = make_tick(Slot(CLIENT_EVENTS.name, 0), now_ms)
        record = self._append(CONTROL_KEY, encode_event(tick))
        batch = TickBatch(record, tick, now_ms, record.offset + 1)
        ripe = sorted((due, client.encode()) for client, due in self._timers.items() if due <= now_ms)
        steps = []
        for client in [name.decode() for _, name in ripe[:DUE_PER_TICK]]:
            before = self.states[client]
            folded = self._fold.fold_tick(batch, [(client, before)], regime=self.regime)
            steps.append(self._keep(folded, client, tick, before))
        return steps

    def _keep(self, folded: Folded[S], client: str, event: AnyEvent, before: S | None) -> Step[S]:
        self.states.update(folded.states)
        for name, due in folded.writes.timers.items():
            if due is None:
                self._timers.pop(name, None)
            else:
                self._timers[name] = due
        self._watermark_ms = folded.writes.watermark_ms
        self.entries += folded.writes.outbox
        (outcome,) = {outcome for _, outcome in folded.counts}
        return Step(
            client_id=client,
            event=event,
            outcome=outcome,
            before=before,
            after=self.states.get(client),
            entries=folded.writes.outbox,
        )

    def _append(self, key: bytes, value: bytes) -> PlainRecord:
        record = PlainRecord(
            topic=CLIENT_EVENTS.name, partition=0, offset=len(self.log), timestamp=self._now_ms(), key=key, value=value
        )
        self.log.append(record)
        return record

    def _now_ms(self) -> int:
        return epoch_ms(self.clock.now())

"""The fold of the client log: a batch of records and the states it needs, to what has to be written. Pure, no I/O, no clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from models.events.control import WAKING, ClockTicked
from models.events.envelope import ClientEvent
from models.events.union import AnyClientEvent, AnyControlEvent, AnyEvent
from models.triggers import AnyOutput
from models.workdays import DAY_MS
from streams.engine.letters import failed_on
from streams.engine.outlet import Outlet
from streams.engine.ticks import believed_ms
from streams.engine.writes import OutboxEntry, Outcome, Writes
from streams.runtime.errors import DeadLetterError
from streams.wire.codec import decode_event
from streams.wire.dead_letters import Reason
from streams.wire.partitioning import partition_of
from streams.wire.records import Record
from streams.wire.topics import CONTROL_KEY

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

DUE_PER_TICK: Final = 500
"""Most clients whose timers one tick fires; while more are due the owner of the partition writes another tick."""

AGAIN_MS: Final = DAY_MS
"""After so long a client is woken again on whom the core has failed: another release may have come."""

_KEY: Final = Reason.BAD_KEY


class Thought(Protocol[S_co]):
    """What one event does to one client; `models.transition.Transition` is one."""

    @property
    def state(self) -> S_co:
        """The state after the event; the very same object when nothing changed."""
        ...

    @property
    def outputs(self) -> Sequence[AnyOutput]:
        """Triggers, retractions, decisions and events that are passed on to other clients, in order."""
        ...

    @property
    def next_due_ms(self) -> int | None:
        """When the client's earliest timer is due, in epoch ms."""
        ...

    @property
    def disposition(self) -> str:
        """`applied`, `duplicate` or `late`."""
        ...


class Program(Protocol[S]):
    """The pure core as the engine sees it: a state, its bytes, and what an event does to it."""

    def encode(self, state: S) -> bytes:
        """Return the bytes of `state`; equal states have equal bytes."""
        ...

    def decode(self, blob: bytes) -> S:
        """Return the state that `encode` wrote."""
        ...

    def think(self, state: S | None, event: AnyEvent) -> Thought[S]:
        """Return what `event` does; may raise DeadLetterError for an event that makes no sense for the client."""
        ...

    def govern(self, regime: bytes, event: AnyControlEvent) -> bytes:
        """Return the encoded regime after `event`, empty before the first; DeadLetterError for what this release cannot run."""
        ...

    @property
    def refused(self) -> Mapping[str, bool]:
        """Whether what was put in force of each learner cannot be used by this release, so that rules decide in its place."""
        ...

    def under(self, regime: bytes) -> "Program[S]":
        """Return the program as it thinks under an encoded regime. Asked for each batch, so the answer is remembered."""
        ...


def think(program: Program[S], state: S | None, event: AnyEvent) -> Thought[S]:
    """Return what the core thinks; DeadLetterError where it refuses the event, and where it fails on it.

    It is pure: it would fail again, in every worker that takes the partition next.
    """
    try:
        return program.think(state, event)
    except (DeadLetterError, MemoryError):
        raise
    except Exception as error:
        raise failed_on(error) from error


class _Readable(msgspec.Struct, frozen=True, gc=False):  # neither part can point back to it
    record: Record
    event: AnyClientEvent


class _Unreadable(msgspec.Struct, frozen=True):
    record: Record
    error: DeadLetterError


_Letter: TypeAlias = _Readable | _Unreadable


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Decoded records about clients, in log order; `clients` are those whose state is needed, each once."""

    letters: Sequence[_Letter]
    clients: tuple[str, ...]
    next_offset: int


@dataclass(frozen=True, slots=True)
class TickBatch:
    """One clock tick; `until_ms` is the moment up to which timers fire."""

    record: Record
    tick: ClockTicked
    until_ms: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class ControlBatch:
    """One event that changes the regime of the whole partition."""

    record: Record
    event: AnyControlEvent
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded(Generic[S]):
    """The result of a batch: what to store, the changed states as objects, and how many records came to which outcome.

    `failed` has the clients on whom the core itself failed, with the last error of each.
    """

    writes: Writes
    states: Mapping[str, S]
    counts: Counter[tuple[str, Outcome]]
    failed: Mapping[str, Exception]


def cut(records: Sequence[Record]) -> int:
    """Return how many leading records form the next batch: one about the partition alone, or everything before the next such.

    A tick looks at the stored timers of the whole partition, so the records before it must be stored first; what changes the
    regime holds from the next record on. That makes the result independent of where batches happen to be cut.
    """
    for index, record in enumerate(records):
        if record.key == CONTROL_KEY:
            return max(index, 1)
    return len(records)


class ClientsFold(Generic[S]):
    """Folds batches of one deployment's client log."""

    def __init__(self, program: Program[S], *, partitions: int) -> None:
        """Fold with `program`; clients belong to `partition_of(client, partitions)`."""
        self._program = program
        self._partitions = partitions

    def read(self, records: Sequence[Record], *, watermark_ms: int) -> EventBatch | TickBatch | ControlBatch:
        """Decode a batch that `cut` has cut; `watermark_ms` is the latest tick folded before, which ticks never fall behind."""
        if records[0].key == CONTROL_KEY:
            return self._about_partition(records[0], watermark_ms)
        return self.read_events(records)

    def read_events(self, records: Sequence[Record]) -> EventBatch:
        """Decode a batch that is about clients."""
        letters: list[_Letter] = []
        clients: dict[str, None] = {}
        for record in records:
            letter = self._letter(record)
            letters.append(letter)
            if isinstance(letter, _Readable):
                clients[letter.event.client_id] = None
        return EventBatch(letters, tuple(clients), records[-1].offset + 1)

    def _about_partition(self, record: Record, watermark_ms: int) -> EventBatch | TickBatch | ControlBatch:
        try:
            event = _open_control(record)
        except DeadLetterError as error:
            return EventBatch([_Unreadable(record, error)], (), record.offset + 1)
        if not isinstance(event, ClockTicked):
            return ControlBatch(record, event, record.offset + 1)
        return self._tick(record, event, watermark_ms)

    @staticmethod
    def _tick(record: Record, tick: ClockTicked, watermark_ms: int) -> TickBatch:
        until_ms = believed_ms(tick.occurred_ms, arrived_ms=record.timestamp, watermark_ms=watermark_ms)
        if until_ms != tick.occurred_ms:
            moment = datetime.fromtimestamp(until_ms / 1000, UTC)
            tick = tick.model_copy(update={"occurred_at": moment, "received_at": moment})
        return TickBatch(record, tick, until_ms, record.offset + 1)

    def _letter(self, record: Record) -> _Letter:
        try:
            return _Readable(record, _open(record, self._partitions))
        except DeadLetterError as error:
            return _Unreadable(record, error)

    def fold_events(self, batch: EventBatch, states: Mapping[str, S | None], *, watermark_ms: int, regime: bytes) -> Folded[S]:
        """Fold `batch` under `regime` over `states`, which has an entry for each of `batch.clients`."""
        page = self.open(states, regime=regime)
        for letter in batch.letters:
            page.fold(letter)
        return page.close(next_offset=batch.next_offset, watermark_ms=watermark_ms)

    def open(self, states: Mapping[str, S | None], *, regime: bytes) -> "Page[S]":
        """Begin what `fold_events` does at once, for who wants to do something else between its letters."""
        return Page(self._program.under(regime), states, partitions=self._partitions)

    def fold_control(self, batch: ControlBatch, *, watermark_ms: int, regime: bytes) -> Folded[S]:
        """Change `regime`; an event that this release cannot run becomes a dead letter, and what held before goes on."""
        page: Page[S] = Page(self._program, {}, partitions=self._partitions)
        after, wake_ms = None, None
        try:
            after = self._program.govern(regime, batch.event)
        except DeadLetterError as error:
            page.refuse(batch.event.kind, error, page.outlet(batch.record))
        else:
            page.counts[batch.event.kind, Outcome.CONTROL] += 1
            if after != regime and isinstance(batch.event, WAKING):
                wake_ms = batch.record.timestamp
        changed = None if after == regime else after
        return page.close(next_offset=batch.next_offset, watermark_ms=watermark_ms, regime=changed, wake_ms=wake_ms)

    def fold_tick(self, batch: TickBatch, due: Sequence[tuple[str, S | None]], *, regime: bytes) -> Folded[S]:
        """Fire the timers of `due` under `regime`: clients in order of due time, then name, at most DUE_PER_TICK."""
        page = Page(self._program.under(regime), dict(due), partitions=self._partitions)
        out = page.outlet(batch.record, batch.tick)
        for client, state in due:
            if state is None:
                page.timers[client] = None
            else:
                page.wake(client, batch, out)
        page.outbox += out.entries
        page.counts[batch.tick.kind, Outcome.TICK] += 1
        return page.close(next_offset=batch.next_offset, watermark_ms=batch.until_ms)


def _open_control(record: Record) -> ClockTicked | AnyControlEvent:
    event = decode_event(record.value)
    if isinstance(event, ClientEvent):
        raise DeadLetterError(_KEY, f"only what is about the whole partition has an empty key, not {event.kind}")
    return event


def _open(record: Record, partitions: int) -> AnyClientEvent:
    event = decode_event(record.value)
    if not isinstance(event, ClientEvent):
        raise DeadLetterError(_KEY, f"{event.kind} must have an empty key, not {record.key!r}")
    if record.key != event.client_id.encode():
        raise DeadLetterError(_KEY, f"the key must be the client's id, not {record.key!r}")
    home = partition_of(event.client_id, partitions)
    if home != record.partition:
        raise DeadLetterError(_KEY, f"the client belongs to partition {home} (murmur2 of the key)")
    return event


_TOO_LATE: Final = "so old that nobody can tell any more whether it was counted before: counting it again would be worse"
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}


class Page(Generic[S]):
    """What a batch has changed so far."""

    def __init__(self, program: Program[S], states: Mapping[str, S | None], *, partitions: int) -> None:
        """Begin over `states` with the program that is in force."""
        self._program = program
        self._partitions = partitions
        self._before = states
        self._after: dict[str, S] = {}
        self.timers: dict[str, int | None] = {}
        self.outbox: list[OutboxEntry] = []
        self.counts: Counter[tuple[str, Outcome]] = Counter()
        self._failed: dict[str, Exception] = {}

    def outlet(self, record: Record, event: AnyEvent | None = None) -> Outlet:
        """Return where the outputs of a record go."""
        return Outlet(record, event, partitions=self._partitions)

    def fold(self, letter: _Letter) -> None:
        """Fold the next letter of the batch; an event that the core refuses or fails on is a dead letter and changes nothing."""
        record = letter.record
        if isinstance(letter, _Unreadable):
            self.refuse("unreadable", letter.error, self.outlet(record))
            return
        event = letter.event
        try:
            thought = self._think(event.client_id, event)
        except DeadLetterError as error:
            self.refuse(event.kind, error, self.outlet(record, event))
        else:
            self._keep(record, event, thought)

    def _keep(self, record: Record, event: AnyClientEvent, thought: Thought[S]) -> None:
        outcome = _OUTCOMES[thought.disposition]
        self.counts[event.kind, outcome] += 1
        if not thought.outputs and outcome is not Outcome.LATE:
            return
        out = self.outlet(record, event)
        for output in thought.outputs:
            out.put(output)
        if outcome is Outcome.LATE:
            out.put_dead(DeadLetterError(Reason.LATE, _TOO_LATE))
        self.outbox += out.entries

    def wake(self, client: str, batch: TickBatch, out: Outlet) -> None:
        """Let the core think about a tick for `client`, and put what it says to `out`."""
        try:
            thought = self._think(client, batch.tick)
        except DeadLetterError as error:
            self.timers[client] = batch.until_ms + AGAIN_MS
            out.put_dead(
                DeadLetterError(error.reason, f"client {client!r}, woken by this tick and again in a day: {error.detail}")
            )
            return
        for output in thought.outputs:
            out.put(output)

    def _think(self, client: str, event: AnyEvent) -> Thought[S]:
        """Let the core think about `event` for `client`, and keep the state it comes to."""
        state = self._after.get(client)
        if state is None:
            state = self._before[client]
        try:
            thought = think(self._program, state, event)
        except DeadLetterError as error:
            if error.reason is Reason.FAILED:
                self._failed[client] = error
            raise
        if thought.state is not state:
            self._after[client] = thought.state
            self.timers[client] = thought.next_due_ms
        elif isinstance(event, ClockTicked):
            self.timers[client] = thought.next_due_ms  # woken to be planned anew, and nothing had changed for this one
        return thought

    def refuse(self, kind: str, error: DeadLetterError, out: Outlet) -> None:
        """Keep the record as a dead letter."""
        out.put_dead(error)
        self.counts[kind, Outcome.POISON] += 1
        self.outbox += out.entries

    def close(self, *, next_offset: int, watermark_ms: int, regime: bytes | None = None, wake_ms: int | None = None) -> Folded[S]:
        """Encode what changed; `regime` none: it stays as it is."""
        encode = self._program.encode
        writes = Writes(
            next_offset=next_offset,
            watermark_ms=watermark_ms,
            states={client: encode(state) for client, state in self._after.items()},
            timers=self.timers,
            outbox=tuple(self.outbox),
            regime=regime,
            wake_ms=wake_ms,
        )
        return Folded(writes=writes, states=self._after, counts=self.counts, failed=self._failed)

"""The plainest fold of a whole log there is: one loop, no batches, no fence. What the engine stores must equal this."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from models.events.control import WAKING, ClockTicked
from models.events.envelope import ClientEvent
from models.events.union import AnyEvent
from models.triggers import AnyOutput, Decision, Example, ExamplesWithdrawn, RenewalExample, Retraction, Trigger
from streams.engine.fold import AGAIN_MS, DUE_PER_TICK, Program, Thought, think
from streams.engine.ticks import TICK_SLACK_MS
from streams.runtime.errors import DeadLetterError
from streams.wire.codec import decode_event, encode_output, output_key
from streams.wire.dead_letters import Reason
from streams.wire.headers import Position
from streams.wire.partitioning import partition_of
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, DEAD_LETTERS, DECISIONS, EXAMPLES, TRIGGERS

S = TypeVar("S")

Watch: TypeAlias = Callable[[str, AnyEvent, S | None, Thought[S]], None]


class Told(NamedTuple):
    """One output, where it must be published and what it must say."""

    position: Position
    topic: str
    key: bytes | None
    value: bytes


@dataclass(slots=True)
class Folded(Generic[S]):
    """What one partition of the log comes to."""

    states: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    outputs: list[Told] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    regime: bytes = b""


def fold_partition(program: Program[S], records: Iterable[Record], *, partitions: int) -> Folded[S]:
    """Fold all `records` of one partition, in order from offset 0."""
    run = PartitionFold(program, partitions=partitions)
    outputs: list[Told] = []
    for record in records:
        outputs += run.feed(record)
    return run.folded(outputs)


def published(outputs: Sequence[Told], topic: str) -> list[tuple[Position, bytes | None, bytes]]:
    """Return what must be found on one output topic, in order."""
    return [(told.position, told.key, told.value) for told in outputs if told.topic == topic]


_NO_TICK_YET: Final = 0


class PartitionFold(Generic[S]):
    """The same fold record by record, for logs whose outputs are too many to hold: it keeps the clients, and nothing it said."""

    def __init__(self, program: Program[S], *, partitions: int, watch: Watch[S] | None = None) -> None:
        """Begin before offset 0, with nobody known; `watch` sees each client, event, state before and thought."""
        self._program = program
        self._watch = watch
        self._partitions = partitions
        self._states: dict[str, S] = {}
        self._timers: dict[str, int] = {}
        self._queue: list[tuple[int, bytes]] = []  # timers that were set and not due yet; `_timers` says which stand
        self._outcomes: dict[str, int] = {}
        self._latest_tick = _NO_TICK_YET
        self._regime = b""

    def folded(self, outputs: list[Told]) -> Folded[S]:
        """Return what it came to, beside the `outputs` that were returned on the way."""
        encoded = {client: self._program.encode(state) for client, state in self._states.items()}
        return Folded(encoded, self._timers, outputs, self._outcomes, self._regime)

    def feed(self, record: Record) -> list[Told]:
        """Fold the next record and return what is said to it."""
        said: list[Told] = []
        try:
            outcome = self._understand(record, said)
        except DeadLetterError as error:
            outcome = "late" if error.reason == Reason.LATE else "poison"
            said.append(_dead(record, said))
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
        return said

    def _understand(self, record: Record, said: list[Told]) -> str:
        event = decode_event(record.value)
        if isinstance(event, ClientEvent) == (record.key == CONTROL_KEY):
            raise DeadLetterError("key", "what is about the partition, and only that, has an empty key")  # noqa: EM101
        if isinstance(event, ClockTicked):
            self._tick(event, record, said)
            return "tick"
        if not isinstance(event, ClientEvent):
            before, self._regime = self._regime, self._program.govern(self._regime, event)
            if self._regime != before and isinstance(event, WAKING):
                for client in self._states:
                    self._set(client, min(self._timers.get(client, record.timestamp), record.timestamp))
            return "control"
        if record.key != event.client_id.encode() or partition_of(event.client_id, self._partitions) != record.partition:
            raise DeadLetterError("key", "the record is not where its client lives")  # noqa: EM101
        return self._think(event.client_id, event, record.offset, said)

    def _tick(self, tick: ClockTicked, record: Record, said: list[Told]) -> None:
        credible = min(tick.occurred_ms, record.timestamp + TICK_SLACK_MS)
        self._latest_tick = max(self._latest_tick, credible)
        moment = datetime.fromtimestamp(self._latest_tick / 1000, UTC)
        clamped = tick.model_copy(update={"occurred_at": moment, "received_at": moment})
        for client in self._due():
            try:
                self._think(client, clamped, record.offset, said)
            except DeadLetterError:
                self._set(client, self._latest_tick + AGAIN_MS)
                said.append(_dead(record, said))

    def _set(self, client: str, when: int) -> None:
        self._timers[client] = when
        heappush(self._queue, (when, client.encode()))

    def _due(self) -> list[str]:
        """Take the clients off the queue who are due by the latest tick, the earliest first, no more than a tick wakes."""
        due: dict[str, None] = {}
        while self._queue and self._queue[0][0] <= self._latest_tick and len(due) < DUE_PER_TICK:
            when, name = heappop(self._queue)
            if self._timers.get(client := name.decode()) == when:
                due[client] = None
        return list(due)

    def _think(self, client: str, event: AnyEvent, offset: int, said: list[Told]) -> str:
        before = self._states.get(client)
        thought = think(self._program.under(self._regime), before, event)
        if self._watch is not None:
            self._watch(client, event, before, thought)
        if thought.state is not before or isinstance(event, ClockTicked):
            self._states[client] = thought.state
            self._timers.pop(client, None)
            if thought.next_due_ms is not None:
                self._set(client, thought.next_due_ms)
        for output in thought.outputs:
            said.append(Told(Position(offset, len(said)), _topic(output), output_key(output), encode_output(output)))
        if thought.disposition == "late":
            raise DeadLetterError(Reason.LATE, "nobody can tell any more whether it was counted before")
        return thought.disposition


def _dead(record: Record, said: list[Told]) -> Told:
    return Told(Position(record.offset, len(said)), DEAD_LETTERS.name, record.key, record.value or b"")


def _topic(output: AnyOutput) -> str:
    match output:
        case Decision():
            return DECISIONS.name
        case Example() | RenewalExample() | ExamplesWithdrawn():
            return EXAMPLES.name
        case Trigger() | Retraction():
            return TRIGGERS[output.channel].name
        case _:
            return CLIENT_EVENTS.name

"""What must come out: the log folded by one thread, one record at a time, with nothing that can fail."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, assert_never

from streams.engine.fold import DUE_PER_TICK, ClientsFold, ControlBatch, EventBatch, Folded, Program, TickBatch
from streams.engine.writes import OutboxEntry, Outcome
from streams.wire.records import Record

S = TypeVar("S")


@dataclass(slots=True)
class Expected:
    """Everything that follows from a log."""

    states: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    outputs: list[OutboxEntry] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    regime: bytes = b""


class Oracle(Generic[S]):
    """Folds a growing log of one partition; `history[n]` and `regimes[n]` are what holds after n records."""

    def __init__(self, program: Program[S], *, partitions: int) -> None:
        """Start before the first record."""
        self._program = program
        self._fold = ClientsFold(program, partitions=partitions)
        self._watermark_ms = 0
        self.expected = Expected()
        self.history: list[Mapping[str, bytes]] = [{}]
        self.regimes: list[bytes] = [b""]

    def follow(self, log: Sequence[Record]) -> Expected:
        """Fold the records of `log` that were not folded yet."""
        for record in log[len(self.history) - 1 :]:
            self._take(self._one(record))
            self.history.append(dict(self.expected.states))
            self.regimes.append(self.expected.regime)
        return self.expected

    def _one(self, record: Record) -> Folded[S]:
        batch = self._fold.read([record], watermark_ms=self._watermark_ms)
        match batch:
            case EventBatch(clients=clients):
                states = {client: self._state(client) for client in clients}
                return self._fold.fold_events(batch, states, watermark_ms=self._watermark_ms, regime=self.expected.regime)
            case TickBatch(until_ms=until_ms):
                ripe = sorted((due, client.encode()) for client, due in self.expected.timers.items() if due <= until_ms)
                clients = tuple(client.decode() for _, client in ripe[:DUE_PER_TICK])
                due = [(client, self._state(client)) for client in clients]
                return self._fold.fold_tick(batch, due, regime=self.expected.regime)
            case ControlBatch():
                return self._fold.fold_control(batch, watermark_ms=self._watermark_ms, regime=self.expected.regime)
            case _:
                assert_never(batch)

    def _state(self, client: str) -> S | None:
        blob = self.expected.states.get(client)
        return None if blob is None else self._program.decode(blob)

    def _take(self, folded: Folded[S]) -> None:
        writes = folded.writes
        self._watermark_ms = writes.watermark_ms
        self.expected.states.update(writes.states)
        if (wake_ms := writes.wake_ms) is not None:
            for client in self.expected.states:
                self.expected.timers[client] = min(self.expected.timers.get(client, wake_ms), wake_ms)
        for client, due in writes.timers.items():
            if due is None:
                self.expected.timers.pop(client, None)
            else:
                self.expected.timers[client] = due
        self.expected.outputs += writes.outbox
        if writes.regime is not None:
            self.expected.regime = writes.regime
        for (_, outcome), count in folded.counts.items():
            self.expected.outcomes[outcome] += count

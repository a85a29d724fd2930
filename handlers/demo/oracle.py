"""What must have come out: the client log folded again from its beginning, by one thread, without the engine's machinery.

No lanes, no fence, no batches, no outbox: only the log, the pure fold and a dictionary. Whatever the running system did in
between (kills, rebalances, repetitions), its stored states and its accepted outputs must be the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.state.client import ClientState
from models.state.codec import encode
from streams.engine.fold import DUE_PER_TICK, ClientsFold, EventBatch, Folded, cut
from streams.engine.program import ClientProgram
from streams.wire.headers import Position
from streams.wire.records import Record


@dataclass(slots=True)
class Expected:
    """The result of one partition: encoded states by client, outputs by topic in order, and what became of the records."""

    states: dict[str, bytes] = field(default_factory=dict)
    outputs: dict[str, list[tuple[Position, bytes]]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def fold_log(records: Sequence[Record], *, partitions: int) -> Expected:
    """Fold all records of one partition of the client log, in order, from nothing."""
    fold = ClientsFold(ClientProgram(), partitions=partitions)
    states: dict[str, ClientState] = {}
    due: dict[str, int] = {}
    expected = Expected()
    watermark_ms = at = 0
    while at < len(records):
        # Ticks stand alone; everything between two ticks may be one batch, for the fold does not care where batches end.
        size = cut(records[at : at + 1_000])
        batch = fold.read(records[at : at + size], watermark_ms=watermark_ms)
        if isinstance(batch, EventBatch):
            known = {client: states.get(client) for client in batch.clients}
            folded = fold.fold_events(batch, known, watermark_ms=watermark_ms)
        else:
            waking = sorted((ms, client) for client, ms in due.items() if ms <= batch.until_ms)[:DUE_PER_TICK]
            folded = fold.fold_tick(batch, [(client, states.get(client)) for _, client in waking])
        _take(folded, states, due, expected)
        watermark_ms = folded.writes.watermark_ms
        at += size
    expected.states = {client: encode(state) for client, state in states.items()}
    return expected


def _take(folded: Folded[ClientState], states: dict[str, ClientState], due: dict[str, int], expected: Expected) -> None:
    states.update(folded.states)
    for client, ms in folded.writes.timers.items():
        if ms is None:
            due.pop(client, None)
        else:
            due[client] = ms
    for entry in folded.writes.outbox:
        expected.outputs.setdefault(entry.topic, []).append((entry.position, entry.value))
    for (_, outcome), count in folded.counts.items():
        expected.counts[outcome.value] += count

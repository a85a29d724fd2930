"""An exported log told as it was lived: its own time, outcomes, policies and learners. What it decides is what was decided."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from handlers.commands.log_file import event_in, records_in
from handlers.commands.simulation import Happening
from models.events.control import ClockTicked
from models.events.union import AnyEvent
from models.policy.policy import Policy
from models.state.client import ClientState
from models.transition import Disposition
from streams.engine.fold import Thought
from streams.engine.oracle import PartitionFold
from streams.engine.program import ClientProgram
from streams.engine.ticks import TICK_SLACK_MS
from streams.wire.records import Record


def recorded(path: Path, *, policy: Policy, partitions: int, until_ms: int | None = None) -> Iterator[Happening]:
    """Yield what each line of an export did, in order, up to the moment `until_ms` of the clients' own time.

    Each partition is folded as workers do it, under `policy` until the log puts another one in force. Its own time ends it: what
    reached it after a tick beyond `until_ms` was not known by then.
    """
    seen: list[Happening] = []
    program = ClientProgram(policy=policy)
    folds = [PartitionFold(program, partitions=partitions, watch=partial(_watch, seen)) for _ in range(partitions)]
    going = set(range(partitions))
    for record in records_in(path, partitions=partitions):
        if until_ms is not None and _is_beyond(record, until_ms):
            going.discard(record.partition)
        if not going:
            return
        if record.partition not in going:
            continue
        folds[record.partition].feed(record)
        yield from (row for row in seen if until_ms is None or row.at_ms <= until_ms)
        seen.clear()


def _is_beyond(record: Record, until_ms: int) -> bool:
    if b'"clock.ticked"' not in (record.value or b""):
        return False
    event = event_in(record)
    return isinstance(event, ClockTicked) and min(event.occurred_ms, record.timestamp + TICK_SLACK_MS) > until_ms


def _watch(
    seen: list[Happening], client: str, event: AnyEvent, before: ClientState | None, thought: Thought[ClientState]
) -> None:
    seen.append(
        Happening(
            at_ms=thought.state.now_ms,
            event=event,
            client_id=client,
            before=before,
            after=thought.state,
            outputs=tuple(thought.outputs),
            disposition=Disposition(thought.disposition),
        )
    )

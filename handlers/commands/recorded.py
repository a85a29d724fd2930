"""An exported log told as it was lived: its own time, outcomes, policies and learners. What it decides is what was decided."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from handlers.commands.log_file import records_in
from handlers.commands.simulation import Happening
from models.events.union import AnyEvent
from models.policy.policy import Policy
from models.state.client import ClientState
from models.transition import Disposition
from streams.engine.fold import Thought
from streams.engine.oracle import PartitionFold
from streams.engine.program import ClientProgram


def recorded(path: Path, *, policy: Policy, partitions: int, until_ms: int | None = None) -> Iterator[Happening]:
    """Yield what each line of an export did, in order, up to the moment `until_ms` of the clients' own time.

    Each partition is folded as workers do it, under `policy` until the log puts another one in force.
    """
    seen: list[Happening] = []
    program = ClientProgram(policy=policy)
    folds = [PartitionFold(program, partitions=partitions, watch=partial(_watch, seen)) for _ in range(partitions)]
    for record in records_in(path, partitions=partitions):
        folds[record.partition].feed(record)
        yield from (row for row in seen if until_ms is None or row.at_ms <= until_ms)
        seen.clear()


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

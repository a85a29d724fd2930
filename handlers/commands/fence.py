"""`rapport fence show|accept-loss|supersede|rebuild|recall` (`fence`, a cyclopts App): what a person must decide about."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.directory import tell_again
from streams.engine.fence import Slot
from streams.engine.lag import WATCHED_TOPICS
from streams.engine.log_view import LogView
from streams.engine.repair import FenceView, Repair
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS

fence = App(
    name="fence",
    help="""Show where each partition stands, and decide what the workers must not decide by themselves.

    State, timers, outputs and position of a partition are one thing in Redis, the fence. Workers move it; they halt where
    going on would lose data. Each command here changes it atomically, and only if it still stands where you saw it. A worker
    notices within RAPPORT_IDLE_CHECK_SECONDS; none has to be restarted. deploy/RUNBOOK.md says when to use which.
    """,
)

_Topic = Annotated[str, Parameter(help="Name of the topic without RAPPORT_TOPIC_PREFIX.")]
_Partition = Annotated[int, Parameter(help="Its partition.")]
_Every = Annotated[bool, Parameter(name="--all", help="Every partition of every topic.", negative="")]


@fence.command
def show(
    *, everything: Annotated[bool, Parameter(name="--all", help="Also partitions that are well.", negative="")] = False
) -> int:
    """Show partitions whose fence is not well, or all of them: position, owner, log.

    Example: rapport fence show --all

    Exit codes: 0 all are well, 1 some are not or a server is away.
    """
    views = asyncio.run(_looked(load_settings()))
    ill = [each for each in views if each.condition not in {"ok", "never taken"}]
    Console().print(_table(views if everything else ill) if everything or ill else f"All {len(views)} partitions are well.")
    return 1 if ill else 0


@fence.command(name="accept-loss")
def accept_loss(
    *,
    topic: _Topic,
    partition: _Partition,
    records: Annotated[int, Parameter(help="How many deleted records you accept to lose: exactly as many as are gone.")],
) -> None:
    """Let a partition go on that retention has passed: records that were deleted before they were folded are lost for good.

    Restoring them would be better. On a public topic senders can send again what is missing: event ids keep that harmless.

    Example: rapport fence accept-loss --topic payments --partition 3 --records 120
    """
    at = asyncio.run(_changed(Slot(topic, partition), lambda repair, view: repair.accept_loss(view, records=records)))
    print(f"{topic}-{partition} goes on at offset {at}; {records} records are lost.")


@fence.command
def supersede(*, topic: _Topic = CLIENT_EVENTS.name, partition: _Partition | None = None, everything: _Every = False) -> None:
    """Begin a new incarnation: the remedy when workers wait for ever because the group's generation began again at 1.

    That happens when the group was deleted or expired while older fences remember higher generations. Workers find out by
    themselves as a rule; this does it at once. Harmless while they work.

    Example: rapport fence supersede --all
    """
    if (partition is None) != everything:
        message = "name one partition (--topic payments --partition 3), or say --all"
        raise UsageError(message)
    slots = _slots(load_settings()) if partition is None else [Slot(topic, partition)]
    print(f"{asyncio.run(_superseded(slots, sparing=everything))} partitions have a new incarnation.")


@fence.command
def rebuild(
    *,
    partition: _Partition,
    topic: _Topic = CLIENT_EVENTS.name,
    yes: Annotated[bool, Parameter(help="Do it; else only say what would be done.", negative="")] = False,
) -> None:
    """Forget what is stored for a partition and let its worker fold the log again from the beginning. Nothing is sent again.

    For states that are known to be wrong, and after a total loss of Redis (there workers do it by themselves). Takes about as
    long as `rapport lag` then says; until it is through, clients of the partition wait.

    Example: rapport fence rebuild --partition 3 --yes
    """
    slot = Slot(topic, partition)
    if not yes:
        (view,) = asyncio.run(_looked(load_settings(), [slot]))
        print(f"{view.bounds.end} records would be folded again; add --yes to do it.")
        return
    print(f"{topic}-{partition} is folded again: {asyncio.run(_changed(slot, Repair.rebuild))} records.")


@fence.command
def recall(*, yes: Annotated[bool, Parameter(help="Do it; else only say what it is for.", negative="")] = False) -> None:
    """Tell workers again what deliveries of before told about ids, after Redis has lost it.

    A Stripe dispute names its payment and not the client. Whose payment it is stands in a directory in Redis, which no fold
    makes anew: after a total loss such deliveries would become dead letters (`no_client`). This reads the client log from its
    beginning, then the webhooks that Kafka still has, and tells what both say. It publishes nothing, workers may go on, and
    repeating it changes nothing. Letters of meanwhile are driven again: rapport dead-letters redrive --reason no_client.

    Example: rapport fence recall --yes
    """
    if not yes:
        print("Reads client.events and webhooks once, and tells the directory whose payments they name; add --yes to do it.")
        return
    print(f"The directory was told of ids {asyncio.run(tell_again(load_settings())):,} times.")


def _slots(settings: Settings) -> list[Slot]:
    return [Slot(topic.name, partition) for topic in WATCHED_TOPICS for partition in range(settings.partitions)]


@asynccontextmanager
async def _repair(settings: Settings) -> AsyncIterator[Repair]:
    redis, view = connect_redis(settings), LogView(settings)
    try:
        yield Repair(redis, settings, view=view)
    finally:
        await view.close()
        await redis.aclose()


async def _looked(settings: Settings, slots: list[Slot] | None = None) -> list[FenceView]:
    async with _repair(settings) as repair:
        return await repair.look(slots or _slots(settings))


async def _changed(slot: Slot, change: Callable[[Repair, FenceView], Awaitable[int]]) -> int:
    settings = load_settings()
    if slot not in _slots(settings):
        message = f"there is no {slot.topic}-{slot.partition}; rapport fence show --all lists them"
        raise UsageError(message)
    async with _repair(settings) as repair:
        (view,) = await repair.look([slot])
        return await change(repair, view)


async def _superseded(slots: list[Slot], *, sparing: bool) -> int:
    async with _repair(load_settings()) as repair:
        views = [view for view in await repair.look(slots) if not sparing or view.incarnation is not None]
        for view in views:
            await repair.supersede(view)
        return len(views)


def _table(views: Sequence[FenceView]) -> Table:
    table = Table("topic", "partition", "next", "log begins", "log ends", "outbox", "generation", "incarnation", "condition")
    for each in views:
        numbers = (each.next_offset, each.bounds.start, each.bounds.end, each.outbox_depth, each.generation, each.incarnation)
        told = ("-" if number is None else str(number) for number in numbers)
        table.add_row(each.slot.topic, str(each.slot.partition), *told, each.condition)
    return table

"""`rapport lag`: how far the workers are behind. Exposes the function `lag`."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams.engine.lag import WATCHED_TOPICS, PartitionLag, read_lag, total
from streams.engine.log_view import LogView
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import SystemClock
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_store import connect_redis

_REFRESH_SECONDS: Final = 1.0

_Watch = Annotated[bool, Parameter(help="Keep showing, once a second, until Ctrl-C.", negative="")]
_All = Annotated[bool, Parameter(name="--all", help="Show partitions without lag too.", negative="")]


def lag(*, watch: _Watch = False, all_partitions: _All = False) -> None:
    """Show how far the workers are behind, in records and in seconds, per topic and partition.

    Compares the end of each log with the position that the workers keep in Redis, so it is true also when every worker is
    dead. Seconds are the age of the oldest record that waits. Reads only; needs KAFKA_BOOTSTRAP and REDIS_URL.

    Example: rapport lag --watch

    Exit codes: 0 shown, 1 a server is away.
    """
    asyncio.run(_show(load_settings(), watch=watch, everything=all_partitions))


async def _show(settings: Settings, *, watch: bool, everything: bool) -> None:
    redis = connect_redis(settings)
    fence, view = RedisFence(redis, settings), LogView(settings)
    clock = SystemClock()  # brokers stamp records by the machine's time, also where a clock file drives everything else
    console = Console()
    try:
        lags = await read_lag(settings, fence, clock=clock, view=view)
        if not watch:
            console.print(make_table(lags, everything=everything))
            return
        with Live(make_table(lags, everything=everything), console=console) as live:
            while True:
                await asyncio.sleep(_REFRESH_SECONDS)
                live.update(make_table(await read_lag(settings, fence, clock=clock, view=view), everything=everything))
    finally:
        await view.close()
        await redis.aclose()


def make_table(lags: Sequence[PartitionLag], *, everything: bool) -> Table:
    """Return one row per topic, and below it one per partition that lags, or per partition with `everything`."""
    table = Table("topic", "partition", "next", "log end", "records", "seconds")
    for column in table.columns[1:]:
        column.justify = "right"
    for topic in WATCHED_TOPICS:
        records, seconds = total(lags, topic.name)
        table.add_row(topic.name, "all", "", "", f"{records:,}", f"{seconds:.1f}", style="bold")
        for at in lags:
            if at.slot.topic == topic.name and (everything or at.records):
                position = "never taken" if at.next_offset is None else str(at.next_offset)
                table.add_row("", str(at.slot.partition), position, str(at.end), f"{at.records:,}", f"{at.seconds:.1f}")
    return table

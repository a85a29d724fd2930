"""A backlog worked off by one worker: its memory stays flat. `make bench-backlog` has a million events.

The worker folds the counting program, whose states are full after 64 events of a client. States of the shipped one remember eight
days of a client, and grow for as long, whether the worker is behind or not; their size has a law of its own. Prints a table:
share of the backlog folded, seconds, resident memory, open files, threads. Fails where memory grows after the first tenth by more
than the allowed part: then it would grow with the backlog.
"""

import os
import sys
from pathlib import Path
from typing import Final

import pytest

from streams.engine.fence import Slot
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import monotonic
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS
from tests.chaos.soak import Usage
from tests.conftest import SettingsMaker
from tests.integration.engine_world import crew_of, feed, on_the_log, payment
from tests.waiting import until_async

EVENTS: Final = int(os.environ.get("BENCH_BACKLOG", "100000"))
CLIENTS: Final = 1_000
CHUNK: Final = 20_000
MARKS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
FLAT: Final = 1.15
"""Memory at the end may be this many times that after a tenth, when lanes, caches and arenas are full."""


@pytest.mark.timeout(3_000)
async def test_what_a_worker_holds_does_not_grow_with_the_backlog_that_it_works_off(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    for first in range(0, EVENTS, CHUNK):
        numbers = range(first, min(first + CHUNK, EVENTS))
        await feed(settings, on_the_log([payment(number, clients=CLIENTS) for number in numbers], settings))
    redis = connect_redis(settings)
    fence = RedisFence(redis, settings)

    async def folded() -> int:
        slots = [Slot(CLIENT_EVENTS.name, partition) for partition in range(settings.partitions)]
        return sum([await fence.position(slot) or 0 for slot in slots])

    async def has_folded(count: float) -> bool:
        return await folded() >= count

    lines = [f"| folded of {EVENTS:,} | seconds | memory MiB | files | threads |", "| ---: | ---: | ---: | ---: | ---: |"]
    held: dict[float, int] = {}
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start(RAPPORT_BATCH_RECORDS="500").until_working()
        started = monotonic()
        for mark in MARKS:
            await until_async(lambda mark=mark: has_folded(mark * EVENTS), timeout=2_500, what=f"{mark:.0%}")  # type: ignore[misc]
            usage = Usage.of(worker.process.pid)
            seconds = monotonic() - started
            held[mark] = usage.memory
            lines.append(f"| {mark:.0%} | {seconds:.0f} | {usage.memory} | {usage.files} | {usage.threads} |")
    await redis.aclose()
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert held[1.0] <= FLAT * held[0.1], f"memory grew with the backlog: {held} MiB by the share that was folded"

"""A backlog worked off by one worker: its memory stays flat. `make bench-backlog` has a million events.

Once with the counting program, whose states are full after 64 events of a client, and once with the shipped one, whose states
remember eight days of a client and grow for as long; a hundred clients, so that what grows with the backlog is seen beside them.
The size of a state has a law of its own, and a lane keeps so many (`cached_states`). Prints a table for each:
share of the backlog folded, seconds, resident memory, open files, threads. Fails where memory grows after the first tenth by more
than the allowed part: then it would grow with the backlog.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from models.events.union import AnyClientEvent
from streams.engine.fence import Slot
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import monotonic
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS
from tests.bench.firm import events
from tests.bench.shipped import shipped_workers
from tests.chaos.soak import Usage
from tests.conftest import SettingsMaker
from tests.integration.engine_world import crew_of, feed, on_the_log, payment
from tests.waiting import until_async

EVENTS: Final = int(os.environ.get("BENCH_BACKLOG", "100000"))
CLIENTS: Final = 1_000
FEW: Final = 100
CHUNK: Final = 20_000
MARKS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
FLAT: Final = 1.15
"""Memory at the end may be this many times that after a tenth, when lanes, caches and arenas are full."""


_Running: TypeAlias = Callable[[Settings, Path], AbstractContextManager[int]]


@contextmanager
def _counting(settings: Settings, folder: Path) -> Iterator[int]:
    with crew_of(settings, folder) as crew:
        yield crew.start(RAPPORT_BATCH_RECORDS="500").until_working().process.pid


@contextmanager
def _shipped(settings: Settings, folder: Path) -> Iterator[int]:
    with shipped_workers(settings, 1, folder) as (pid,):
        yield pid


PROGRAMS: Final[dict[str, tuple[_Running, Callable[[], Iterable[AnyClientEvent]]]]] = {
    "counting": (_counting, lambda: (payment(number, clients=CLIENTS) for number in range(EVENTS))),
    "shipped": (_shipped, lambda: events(EVENTS, clients=FEW)),
}


@pytest.mark.timeout(6_000)
@pytest.mark.parametrize("name", PROGRAMS)
async def test_what_a_worker_holds_does_not_grow_with_the_backlog_that_it_works_off(
    make_settings: SettingsMaker, tmp_path: Path, name: str
) -> None:
    running, waiting = PROGRAMS[name]
    settings = make_settings(partitions=2)
    coming = iter(waiting())
    while some := list(islice(coming, CHUNK)):
        await feed(settings, on_the_log(some, settings))
    redis = connect_redis(settings)
    fence = RedisFence(redis, settings)

    async def folded() -> int:
        slots = [Slot(CLIENT_EVENTS.name, partition) for partition in range(settings.partitions)]
        return sum([await fence.position(slot) or 0 for slot in slots])

    async def has_folded(count: float) -> bool:
        return await folded() >= count

    head = f"| folded of {EVENTS:,}, {name} program | seconds | memory MiB | files | threads |"
    lines = [head, "| ---: | ---: | ---: | ---: | ---: |"]
    held: dict[float, int] = {}
    with running(settings, tmp_path) as pid:
        started = monotonic()
        for mark in MARKS:
            await until_async(lambda mark=mark: has_folded(mark * EVENTS), timeout=5_500, what=f"{mark:.0%}")  # type: ignore[misc]
            usage = Usage.of(pid)
            seconds = monotonic() - started
            held[mark] = usage.memory
            lines.append(f"| {mark:.0%} | {seconds:.0f} | {usage.memory} | {usage.files} | {usage.threads} |")
    await redis.aclose()
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert held[1.0] <= FLAT * held[0.1], f"memory grew with the backlog: {held} MiB by the share that was folded"

"""Our workers as they are shipped, in processes of their own, and what can be seen of them from outside."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from streams.engine.fence import Slot
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import FileClock, monotonic
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS
from tests.bench.firm import START
from tests.bench.jobs import Job
from tests.conftest import REPOSITORY
from tests.integration.engine_world import environment
from tests.waiting import until_async

PARTITIONS: Final = 4
SHIPPED_BATCH: Final = str(Settings.model_fields["batch_records"].default)  # tests of the engine take small ones


@contextmanager
def shipped_workers(
    settings: Settings, count: int, folder: Path, *, named: bool = False, job: Job = Job.CLIENTS
) -> Iterator[list[int]]:
    """Run `count` workers and give their process ids. Timers stay quiet: every contender folds the same events and no ticks."""
    clock = folder / "clock"
    FileClock.write(clock, START)
    more = {"RAPPORT_CLOCK_FILE": str(clock), "RAPPORT_BATCH_RECORDS": os.environ.get("BENCH_BATCH", SHIPPED_BATCH)}
    quiet = subprocess.DEVNULL
    running = [
        subprocess.Popen(
            job.worker(),
            cwd=REPOSITORY,
            env=environment(settings, **more, **({"RAPPORT_INSTANCE": f"worker-{number}"} if named else {})),
            stdout=quiet,
            stderr=quiet,
        )
        for number in range(count)
    ]
    try:
        yield [worker.pid for worker in running]
    finally:
        for worker in running:
            worker.kill()
            worker.wait()


@asynccontextmanager
async def fence_of(settings: Settings) -> AsyncIterator[RedisFence]:
    """Give the fence of a deployment, to look at."""
    client = connect_redis(settings)
    try:
        yield RedisFence(client, settings)
    finally:
        await client.aclose()


async def position(fence: RedisFence) -> int:
    """Return how many records of the client log are folded and stored, all partitions together."""
    found = [await fence.position(Slot(CLIENT_EVENTS.name, partition)) for partition in range(PARTITIONS)]
    return sum(at or 0 for at in found)


async def moved(fence: RedisFence, beyond: int) -> bool:
    """Return whether more than `beyond` records are stored."""
    return await position(fence) > beyond


async def time_to_the_end(settings: Settings, end: int, pids: Sequence[int], *, since: int = 0) -> tuple[float, float]:
    """Return seconds, and processor seconds of `pids`, from record `since` to `end`, scaled from the commits seen to all."""
    async with fence_of(settings) as fence:
        await until_async(lambda: moved(fence, since), timeout=900, what="the first commit")
        began, cpu, already = monotonic(), sum(map(cpu_of, pids)), await position(fence)
        await until_async(lambda: moved(fence, end - 1), timeout=900, what="the last commit")
        share = (end - since) / max(end - already, 1)
        return (monotonic() - began) * share, (sum(map(cpu_of, pids)) - cpu) * share


def cpu_of(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pids: Sequence[int]) -> int:
    """Return the resident memory of the largest of `pids`."""
    return max(int(_status(pid)["VmRSS"].split()[0]) // 1024 for pid in pids)


def _status(pid: int) -> dict[str, str]:
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def bytes_stored(settings: Settings) -> int:
    """Return what states, timers and positions take in Redis; outputs are there only until Kafka has them."""
    total = 0
    with redis.Redis.from_url(settings.redis_url) as wire:
        for partition in range(PARTITIONS):
            for key in PartitionKeys.of(settings, CLIENT_EVENTS.name, partition).all()[:3]:
                used: Any = wire.memory_usage(key, samples=0)
                total += used or 0
    return total

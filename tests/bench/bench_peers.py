"""The engine beside its peers: the same work on the same events, from one broker, in one run. Prints, asserts nothing.

The work is all of `models.transition`, for firms of several sizes, and once a mere count, which leaves the engines alone.

`make bench-peers` runs it with Quix Streams, which needs an older pydantic than ours and so an environment of its own, made of
the extra `bench`; `make bench` runs it without. BENCH_EVENTS and BENCH_CLIENTS choose the size; slow contenders get a
part of the events.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from streams.engine.producer import KafkaProducer
from streams.runtime.clock import monotonic
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.codec import decode_event, encode_event
from tests.bench.contenders import cpu_seconds
from tests.bench.document import machine, write_part
from tests.bench.firm import events
from tests.bench.jobs import Job
from tests.bench.shipped import (
    PARTITIONS,
    bytes_stored,
    fence_of,
    position,
    resident_mib,
    shipped_workers,
    time_to_the_end,
)
from tests.conftest import REPOSITORY, SettingsMaker
from tests.integration.engine_world import environment, feed, on_the_log
from tests.waiting import pause

EVENTS: Final = int(os.environ.get("BENCH_EVENTS", "24000"))
CLIENTS: Final = [int(count) for count in os.environ.get("BENCH_CLIENTS", "1000,100000").split(",")]
PACED: Final = 500  # events a second, where waiting times are measured
PACED_SECONDS: Final = 4
_LOOK_SECONDS: Final = 0.002
SLOW: Final = {"faust_each": 10, "faust_take": 2}  # which part of the events: one tenth, one half
QUIX: Final = os.environ.get("BENCH_QUIX_PYTHON")
PYTHONS: Final = {"floor": sys.executable, "faust_each": sys.executable, "faust_take": sys.executable} | (
    {"quix": QUIX} if QUIX else {}
)
ALONE: Final = {Job.CLIENTS: "decode and transition alone", Job.COUNT: "decode and count alone"}
_SAMPLED: Final = 1000  # keys of a peer whose size is asked for
ROWS: Final = {
    "floor": "aiokafka, no work",
    "faust_each": "stock Faust, event by event, Redis",
    "faust_take": "stock Faust, take(500), Redis batched by hand",
    "quix": "Quix Streams 3.28, RocksDB and changelog",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; waits in ms.

    `cpu` and `beyond` are microseconds of processor time per event, the latter beyond decode and transition: time on the
    wall says little on a machine that others use too.
    """

    name: str
    rate: float
    cpu: float
    beyond: float | None = None
    waits: tuple[float, float] | None = None
    per_client: float | None = None
    memory: int | None = None

    def __str__(self) -> str:
        waits = "" if self.waits is None else f"{self.waits[0]:.0f} / {self.waits[1]:.0f}"
        beyond = "" if self.beyond is None else f"{self.beyond:.1f}"
        per_client = "" if self.per_client is None else f"{self.per_client:.0f}"
        return f"| {self.name} | {self.rate:,.0f} | {self.cpu:.1f} | {beyond} | {waits} | {per_client} | {self.memory or ''} |"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("job", "clients"), [*((Job.CLIENTS, clients) for clients in CLIENTS), (Job.COUNT, CLIENTS[0])])
def test_the_engine_beside_its_peers(make_settings: SettingsMaker, tmp_path: Path, job: Job, clients: int) -> None:
    settings = make_settings(partitions=PARTITIONS)
    asyncio.run(feed(settings, on_the_log(events(EVENTS, clients=clients), settings)))
    bare = BareWork(job, clients)
    rows: list[Row] = []
    fed = EVENTS
    for name in (name for name in ROWS if name in PYTHONS):
        rows.append(contender(name, settings, bare, tmp_path, fed=fed))
        fed += 0 if name == "floor" else PACED * PACED_SECONDS
    # Topics of its own for each: a worker that finds its outputs published already does not publish them again.
    rows += [ours(make_settings(partitions=PARTITIONS), workers, bare, clients, tmp_path) for workers in (1, 2)]
    rows.insert(0, Row(ALONE[job], 1 / bare.mean, bare.mean * 1e6, 0.0))
    lines = [
        f"`make bench-peers`: {EVENTS:,} events of {clients:,} clients, {PARTITIONS} partitions, one broker; {machine()}.",
        "",
        "| what | events/s | CPU µs per event | beyond the bare work | p50 / p99 ms to kept | bytes per client | MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *map(str, rows),
    ]
    write_part(f"peers of {clients}" if job is Job.CLIENTS else "peers alone", lines)
    sys.stdout.write("\n".join(["", *lines, ""]))


class BareWork:
    """Processor seconds per event of decoding and thinking alone, with the states in a dict.

    Measured anew beside each contender: a machine that others use too changes its pace within minutes.
    """

    def __init__(self, job: Job, clients: int) -> None:
        """Prepare the events of a firm with so many clients."""
        self.job = job
        self._values = [encode_event(event) for event in events(EVENTS, clients=clients)]
        self._program = job.program()
        self._measured = [self._measure()]

    @property
    def mean(self) -> float:
        """The mean of all measurements."""
        return sum(self._measured) / len(self._measured)

    def beside(self) -> float:
        """Measure once more; returns the mean of this time and the time before, between which the contender ran."""
        self._measured.append(self._measure())
        return sum(self._measured[-2:]) / 2

    def _measure(self) -> float:
        states: dict[str, Any] = {}
        began = cpu_seconds()
        for value in self._values:
            event: Any = decode_event(value)
            states[event.client_id] = self._program.think(states.get(event.client_id), event).state
        return (cpu_seconds() - began) / len(self._values)


def contender(name: str, settings: Settings, bare: BareWork, folder: Path, *, fed: int) -> Row:
    """Run a peer in a process of its own, from the beginning of the `fed` events and then at a steady pace."""
    count, paced = (EVENTS // SLOW.get(name, 1), 0) if name == "floor" else (EVENTS // SLOW.get(name, 1), PACED * PACED_SECONDS)
    command = [PYTHONS[name], "-m", "tests.bench.contenders", name, str(count), str(folder / "state"), str(fed), str(paced)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(settings, **bare.job.environment()), stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdout is not None
        try:
            found = json.loads(peer.stdout.readline())
            peer.stdout.readline()  # now it is through all that was there
            asyncio.run(_feed_at_pace(settings, fed, paced))
            waits: list[int] = json.loads(peer.stdout.readline())
        finally:
            peer.kill()
    cpu = found["cpu"] / found["events"]
    return Row(
        ROWS[name],
        found["events"] / found["seconds"],
        cpu * 1e6,
        None if name == "floor" else (cpu - bare.beside()) * 1e6,
        waits=(waits[len(waits) // 2], waits[len(waits) * 99 // 100]) if waits else None,
        per_client=_bytes_under(settings, f"{name.removeprefix('faust_')}:*"),
        memory=found["memory"],
    )


async def _feed_at_pace(settings: Settings, fed: int, count: int, *, sent: list[float] | None = None) -> None:
    """Send `count` further events, never seen before, five at a time; `sent` takes the moment of each."""
    began = monotonic()
    producer = KafkaProducer(settings, Meter())
    never = asyncio.get_running_loop().create_future()
    try:
        for number, chunk in enumerate(_chunks(on_the_log(list(events(fed + count, clients=1000))[fed:], settings), 5)):
            ahead = began + number * 5 / PACED - monotonic()
            if ahead > 0:
                await asyncio.wait([never], timeout=ahead)
            if sent is not None:
                sent += [monotonic()] * len(chunk)
            await producer.send_all(chunk)
    finally:
        await producer.close()


def _bytes_under(settings: Settings, keys: str) -> float | None:
    """Return what each key of a peer takes in Redis, none where it keeps nothing there, and delete them."""
    with redis.Redis.from_url(settings.redis_url) as wire:
        names: list[bytes] = list(wire.scan_iter(match=keys, count=1000))
        sizes: list[int] = [wire.memory_usage(name, samples=0) or 0 for name in names[:: max(1, len(names) // _SAMPLED)]]
        for first in range(0, len(names), _SAMPLED):
            wire.delete(*names[first : first + _SAMPLED])
    return sum(sizes) / len(sizes) if sizes else None


def ours(settings: Settings, workers: int, bare: BareWork, clients: int, folder: Path) -> Row:
    """Run our workers as they are shipped, from an empty Redis, and then at a steady pace."""
    asyncio.run(feed(settings, on_the_log(events(EVENTS, clients=clients), settings)))
    with shipped_workers(settings, workers, folder, job=bare.job) as pids:
        each, cpu = (value / EVENTS for value in asyncio.run(time_to_the_end(settings, EVENTS, pids)))
        memory = resident_mib(pids)
        per_client = bytes_stored(settings) / min(clients, EVENTS)
        waits = asyncio.run(_waits(settings)) if workers == 1 else None
    return Row(
        f"Rapport, {workers} worker{'s' * (workers > 1)}",
        1 / each,
        cpu * 1e6,
        (cpu - bare.beside()) * 1e6,
        waits,
        per_client,
        memory,
    )


async def _waits(settings: Settings) -> tuple[float, float]:
    """Send events at a steady pace; return the median and the 99th percentile of the ms from sending to committed."""
    sent: list[float] = []
    waits: list[float] = []
    count = PACED * PACED_SECONDS
    async with fence_of(settings) as fence:
        start = await position(fence)
        feeding = asyncio.create_task(_feed_at_pace(settings, EVENTS, count, sent=sent))
        while len(waits) < count:
            stored, now = await position(fence) - start, monotonic()
            waits += [(now - at) * 1000 for at in sent[len(waits) : stored]]
            await pause(_LOOK_SECONDS)
        await feeding
    waits.sort()
    return waits[len(waits) // 2], waits[len(waits) * 99 // 100]


def _chunks(records: list[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(records), size):
        yield records[first : first + size]

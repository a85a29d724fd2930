"""What an event costs in a small firm and in large ones, and how long a killed worker takes to catch up. Asserts nothing.

And how long states take that are made anew. `make bench-scale` writes the tables into docs/benchmarks.md; BENCH_LARGE=1 adds a
firm of a million clients.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from models.events.union import AnyClientEvent
from streams.engine.program import ClientProgram
from streams.runtime.clock import monotonic
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire.codec import decode_event, encode_event
from streams.wire.topics import CLIENT_EVENTS, DECISIONS, TRIGGERS
from tests.bench.bench_peers import EVENTS
from tests.bench.contenders import cpu_seconds
from tests.bench.document import machine, write_part
from tests.bench.firm import events
from tests.bench.seeded import Past, next_events
from tests.bench.shipped import PARTITIONS, bytes_stored, fence_of, moved, position, shipped_workers, time_to_the_end
from tests.conftest import SettingsMaker
from tests.integration.engine_world import feed, on_the_log, read_topic, stored_states
from tests.waiting import until_async

_ASKED: Final = os.environ.get("BENCH_CLIENTS", "1000,100000" + ",1000000" * ("BENCH_LARGE" in os.environ))
FIRMS: Final = [int(count) for count in _ASKED.split(",")]
WAITING: Final = int(os.environ.get("BENCH_WAITING", "100000"))


@pytest.mark.timeout(3600)
def test_an_event_of_a_large_firm(make_settings: SettingsMaker, tmp_path: Path) -> None:
    rows = []
    first = 0.0
    past = Past()
    for clients in FIRMS:
        settings = make_settings(partitions=PARTITIONS)
        coming = list(next_events(EVENTS, clients=clients))
        asyncio.run(_stored(past, settings, clients))
        asyncio.run(feed(settings, on_the_log(coming, settings)))
        alone = _alone(past, coming)
        with shipped_workers(settings, 1, tmp_path) as pids:
            seconds, cpu = asyncio.run(time_to_the_end(settings, EVENTS, pids))
            stored = bytes_stored(settings) / clients
        each = cpu / EVENTS * 1e6
        beyond = each - alone * 1e6
        first = first or each
        rate, bare, ratio = EVENTS / seconds, alone * 1e6, each / first
        rows.append(f"| {clients:,} | {rate:,.0f} | {bare:.1f} | {each:.1f} | {beyond:.1f} | {ratio:.2f} | {stored:,.0f} |")
    table = [
        f"`make bench-scale`: {EVENTS:,} events, one worker, {PARTITIONS} partitions; {machine()}.",
        "",
        "| clients | events/s | bare work, CPU µs | worker, CPU µs | beyond | against the first row | bytes per client |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    write_part("scale", table)
    sys.stdout.write("\n".join(["", *table, ""]))


async def _stored(past: Past, settings: Settings, clients: int) -> None:
    async with fence_of(settings) as fence:
        await past.store(fence, clients=clients)


def _alone(past: Past, coming: Sequence[AnyClientEvent]) -> float:
    """Return processor seconds per event of decoding and thinking alone, with the states in a dict."""
    program, values = ClientProgram(), [encode_event(event) for event in coming]
    states = {event.client_id: past.state(int(event.client_id.removeprefix("client-"))) for event in coming}
    began = cpu_seconds()
    for value in values:
        event: Any = decode_event(value)
        states[event.client_id] = program.think(states[event.client_id], event).state
    return (cpu_seconds() - began) / len(values)


@pytest.mark.timeout(1800)
def test_a_killed_worker_catches_up(make_settings: SettingsMaker, tmp_path: Path) -> None:
    rows = [
        _restarted(make_settings(partitions=PARTITIONS), tmp_path, workers, named=named)
        for workers, named in ((1, False), (1, True), (2, True))
    ]
    table = [
        f"`make bench-scale`: kill -9 with about {WAITING:,} events waiting, as many workers started at once, session time 6 s.",
        f"Measured with {machine()}.",
        "",
        "| workers | waiting | first commit after | caught up after | events/s from the first commit on |",
        "| --- | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    write_part("restart", table)
    sys.stdout.write("\n".join(["", *table, ""]))


def _restarted(settings: Settings, folder: Path, workers: int, *, named: bool) -> str:
    """Kill `workers` at work and start them again, under the names they had or under none; return a row of the table."""
    records = on_the_log(events(WAITING + WAITING // 10, clients=10_000), settings)
    asyncio.run(feed(settings, records))
    with shipped_workers(settings, workers, folder, named=named):
        asyncio.run(_until(settings, WAITING // 10))
    killed, left = monotonic(), len(records) - asyncio.run(_position(settings))
    with shipped_workers(settings, workers, folder, named=named):
        asyncio.run(_until(settings, len(records) - left))
        moving = monotonic() - killed
        asyncio.run(_until(settings, len(records) - 1))
        took = monotonic() - killed
    kept = "that keep their names" if workers > 1 else "that keeps its name"
    what = f"{workers}, {kept if named else 'without a name'}"
    return f"| {what} | {left:,} | {moving:.1f} s | {took:.1f} s | {left / (took - moving):,.0f} |"


@pytest.mark.timeout(3600)
def test_states_are_rebuilt_after_redis_lost_everything(make_settings: SettingsMaker, tmp_path: Path) -> None:
    settings, clients = make_settings(partitions=PARTITIONS), WAITING // 2
    records = on_the_log(events(WAITING, clients=clients), settings)
    asyncio.run(feed(settings, records))
    with shipped_workers(settings, 2, tmp_path, named=True):
        asyncio.run(_until(settings, WAITING - 1))
        asyncio.run(_published(settings))
    before, told = asyncio.run(_kept(settings))
    with redis.Redis.from_url(settings.redis_url) as wire:
        for key in wire.scan_iter(match=f"*{settings.namespace}*", count=1_000):
            wire.delete(key)
    lost = monotonic()
    with shipped_workers(settings, 2, tmp_path, named=True):
        asyncio.run(_until(settings, 0))
        moving = monotonic() - lost
        asyncio.run(_until(settings, WAITING - 1))
        took = monotonic() - lost
        asyncio.run(_published(settings))
    after, again = asyncio.run(_kept(settings))
    differ = f"{sum(after.get(client) != state for client, state in before.items()):,} of {len(before):,}"
    rate, twice = WAITING / (took - moving), f"{again - told:,} of {told:,}"
    table = [
        f"`make bench-scale`: Redis emptied, two workers started at once, which fold the whole log anew; {machine()}.",
        "",
        "| clients | records | first commit after | rebuilt after | records/s from then on | states differ | told again |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| {clients:,} | {WAITING:,} | {moving:.1f} s | {took:.1f} s | {rate:,.0f} | {differ} | {twice} |",
    ]
    write_part("rebuild", table)
    sys.stdout.write("\n".join(["", *table, ""]))


async def _published(settings: Settings) -> None:
    """Wait until every output that is stored has left."""
    client = connect_redis(settings)

    async def empty() -> bool:
        found = [await client.xlen(PartitionKeys.of(settings, CLIENT_EVENTS.name, place).outbox) for place in range(PARTITIONS)]
        return not any(found)

    await until_async(empty, timeout=900, what="the outputs")
    await client.aclose()


async def _kept(settings: Settings) -> tuple[dict[str, bytes], int]:
    """Return all stored states, and how many decisions and triggers are on their topics."""
    states: dict[str, bytes] = {}
    for partition in range(PARTITIONS):
        states |= await stored_states(settings, partition)
    topics = (DECISIONS, *TRIGGERS.values())
    return states, sum([len(rows) for topic in topics for rows in (await read_topic(settings, topic)).values()])


async def _position(settings: Settings) -> int:
    async with fence_of(settings) as fence:
        return await position(fence)


async def _until(settings: Settings, beyond: int) -> None:
    async with fence_of(settings) as fence:
        await until_async(lambda: moved(fence, beyond), timeout=900, what="the worker")

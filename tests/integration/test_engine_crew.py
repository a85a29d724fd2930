"""Workers that come and go under load, and how they leave."""

import asyncio
import re
import signal
import socket
from pathlib import Path

import pytest

from streams.engine.lag import lag_now, total
from streams.engine.lag_export import LagExport
from streams.runtime.metrics import (
    CONSUMER_LAG,
    CONSUMER_LAG_SECONDS,
    LAG_READ,
    REDIS_EVICTED,
    REDIS_MEMORY,
    REDIS_MEMORY_LIMIT,
    REDIS_SAVES,
    TOPIC_PARTITIONS,
    Meter,
)
from streams.runtime.settings import Settings
from streams.wire.topics import CLIENT_EVENTS, PAYMENTS
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, payment, to_topic, until_caught_up
from tests.streams.counting import CountingProgram
from tests.waiting import until_async

pytestmark = pytest.mark.integration


async def test_two_workers_joining_and_leaving_under_load_fold_every_event_once(settings: Settings, tmp_path: Path) -> None:
    events = on_the_log([payment(number) for number in range(6_000)], settings)
    with crew_of(settings, tmp_path) as crew:
        first = crew.start().until_working()
        await feed(settings, events[:1_500])
        second = crew.start()
        await feed(settings, events[1_500:3_000])
        await asyncio.to_thread(second.until_working)
        first.kill()
        await feed(settings, events[3_000:4_500])
        third = crew.start()
        await asyncio.to_thread(third.until_working)
        leaving = asyncio.create_task(asyncio.to_thread(second.stop))
        await feed(settings, events[4_500:])
        assert await leaving == 0
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())


async def test_a_worker_that_keeps_its_name_goes_on_before_its_session_ends_also_beside_its_former_self(
    settings: Settings, tmp_path: Path
) -> None:
    events = on_the_log([payment(number) for number in range(2_400)], settings)
    named = {"RAPPORT_INSTANCE": "worker-0", "RAPPORT_SESSION_SECONDS": "120"}
    with crew_of(settings, tmp_path) as crew:
        await feed(settings, events[:800])
        crew.start(**named).until_working().kill()
        second = crew.start(**named)
        await until_caught_up(settings)
        second.process.send_signal(signal.SIGSTOP)
        await feed(settings, events[800:1_600])
        crew.start(**named)
        await until_caught_up(settings)
        second.process.send_signal(signal.SIGCONT)  # wakes up with the fence it held, in the generation that still runs
        await feed(settings, events[1_600:])
        await until_async(lambda: second.said("commit refused"), timeout=60, what="the fence to stop it")
        second.kill()
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())


async def test_a_worker_told_to_stop_leaves_with_code_0_and_never_listens_on_faust_s_port(
    settings: Settings, tmp_path: Path
) -> None:
    await feed(settings, on_the_log([payment(number) for number in range(1_000)], settings))
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start().until_working()
        await until_caught_up(settings)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", 6066)) != 0
        assert worker.stop() == 0
    await assert_equals_oracle(settings, CountingProgram())


async def test_lag_is_told_in_records_and_seconds_also_when_every_worker_is_dead(settings: Settings, tmp_path: Path) -> None:
    events = on_the_log([payment(number) for number in range(400)], settings)
    await feed(settings, events[:300])
    assert await lag_of(settings) == (300, True, 0)
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start()
        await until_caught_up(settings)
        worker.kill()
    assert await lag_of(settings) == (0, False, settings.partitions)
    await feed(settings, [*events[300:], to_topic(PAYMENTS, b"{}")])
    assert await lag_of(settings) == (100, True, settings.partitions)
    await assert_monitoring_is_told(settings, waiting=100)


async def assert_monitoring_is_told(settings: Settings, *, waiting: int) -> None:
    meter = Meter()
    export = LagExport(settings, meter)
    await export.read()
    parts = [{"topic": CLIENT_EVENTS.name, "partition": str(number)} for number in range(settings.partitions)]
    assert sum(meter.read(CONSUMER_LAG, **part) for part in parts) == waiting
    assert all(meter.read(CONSUMER_LAG_SECONDS, **part) > 0 for part in parts)
    assert meter.read(TOPIC_PARTITIONS, topic=CLIENT_EVENTS.name) == settings.partitions
    shown = meter.render().decode()
    # Of all that waits only the payment can ever be deleted.
    (headroom,) = re.findall(r'retention_headroom_seconds\{partition="\d",topic="(\w+)"\} (\S+)', shown)
    assert headroom[0] == PAYMENTS.name
    assert 29 * 86_400 < float(headroom[1]) < PAYMENTS.retention_ms / 1000
    assert meter.read(LAG_READ) > 0
    assert 0 < meter.read(REDIS_MEMORY) < meter.read(REDIS_MEMORY_LIMIT)
    assert (meter.read(REDIS_EVICTED), meter.read(REDIS_SAVES)) == (0, 1)
    assert not export.flaw
    await export.close()
    blind = LagExport(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"}), meter)
    await blind.read()
    assert "Redis" in blind.flaw
    assert "consumer_lag_records{" not in meter.render().decode()
    await blind.close()


async def lag_of(settings: Settings) -> tuple[int, bool, int]:
    """Return the records waiting on the client log, whether the oldest has an age, and how many partitions were ever taken."""
    lags = await lag_now(settings)
    own = [at for at in lags if at.slot.topic == CLIENT_EVENTS.name]
    records, seconds = total(lags, CLIENT_EVENTS.name)
    return records, seconds > 0, sum(at.next_offset is not None for at in own)

"""A channel whose provider hangs waits alone: nothing before it waits with it, and nothing is lost or sent twice for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from handlers.channels.contract import Content, Recipient
from handlers.channels.courier import Courier
from handlers.channels.dispatch import Dispatch
from handlers.channels.presend import LastLook
from handlers.channels.redis_ledger import RedisLedgers
from handlers.channels.worker import ChannelWorker
from models.triggers import Trigger
from streams.engine.oracle import fold_partition
from streams.runtime.clock import ManualClock, SystemClock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.topics import CLIENT_EVENTS, TRIGGERS
from tests.handlers.channel_bench import ScriptedChannel
from tests.integration.engine_world import (
    START,
    assert_equals_oracle,
    crew_of,
    feed,
    on_the_log,
    payment,
    read_topic,
    until_caught_up,
)
from tests.streams.counting import CountingProgram
from tests.waiting import until_async

pytestmark = pytest.mark.integration

EVENTS = 300
MOST_WAITING = 10  # per partition, in the ledger
AT_ONCE = 5


def _allowed(_state: bytes, _trigger: Trigger, _now_ms: int, _regime: bytes) -> LastLook:
    return LastLook(allowed=True, recipient=Recipient(email="ada@client.example"))


def _written(trigger: Trigger, _recipient: Recipient) -> Content:
    return Content(trigger.step, "text\n", "<p>text</p>")


def _worker(channel: ScriptedChannel, settings: Settings, redis: Redis) -> ChannelWorker:
    meter, clock, wall = Meter(), ManualClock(START + timedelta(hours=1)), SystemClock()
    store = RedisStateStore(redis, settings)
    courier = Courier(
        channel, store=store, look=_allowed, write=_written, clock=clock, wall=wall, meter=meter, failpoint=lambda _: None
    )
    return ChannelWorker(
        settings.model_copy(update={"batch_records": AT_ONCE}),
        channel="email",
        ledgers=RedisLedgers(redis, namespace=settings.namespace, pending_limit=MOST_WAITING),
        dispatch=Dispatch(channel, courier=courier, clock=clock, wall=wall, meter=meter),
        clock=clock,
        wall=wall,
        meter=meter,
        failpoint=lambda _: None,
    )


@asynccontextmanager
async def _running(worker: ChannelWorker) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait_for(task, 30)


async def test_a_channel_whose_provider_hangs_holds_up_no_fold_no_other_output_and_keeps_only_what_its_ledger_may(
    settings: Settings, tmp_path: Path
) -> None:
    channel, redis = ScriptedChannel(), connect_redis(settings)
    channel.gate.clear()
    opened, topic = RedisLedgers(redis, namespace=settings.namespace), settings.topic(TRIGGERS["email"].name)
    ledgers = [opened.open(topic, partition) for partition in range(settings.partitions)]
    events = on_the_log([payment(number) for number in range(EVENTS)], settings)
    async with _running(_worker(channel, settings, redis)):
        with crew_of(settings, tmp_path) as crew:
            crew.start()
            await feed(settings, events[: EVENTS // 2])
            await until_async(lambda: channel.at_once, timeout=60, what="a provider that hangs")
            await feed(settings, events[EVENTS // 2 :])
            await until_caught_up(settings)
        assert channel.most_at_once <= channel.limits.concurrency
        depths = [await ledger.depth() for ledger in ledgers]
        assert all(depth.prepared <= MOST_WAITING for depth in depths)
        assert sum(depth.sending for depth in depths) <= channel.limits.concurrency
        await assert_equals_oracle(settings, CountingProgram())
        log = await read_topic(settings, CLIENT_EVENTS)
        told = [
            Trigger.model_validate_json(output.value)
            for records in log.values()
            for output in fold_partition(CountingProgram(), records, partitions=settings.partitions).outputs
            if output.topic == TRIGGERS["email"].name
        ]
        assert len(told) > settings.partitions * MOST_WAITING
        channel.gate.set()
        await until_async(lambda: len(channel.sent) >= len(told), timeout=60, what="everything that had waited")
    assert sorted(each.trigger.trigger_id for each in channel.sent) == sorted(trigger.trigger_id for trigger in told)
    await redis.aclose()

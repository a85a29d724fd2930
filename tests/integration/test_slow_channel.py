"""A channel whose provider hangs waits alone: nothing before it waits with it, and nothing is lost or sent twice for it."""

from pathlib import Path

import pytest

from handlers.channels.redis_ledger import RedisLedgers
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.topics import TRIGGERS
from tests.handlers.channel_bench import ScriptedChannel
from tests.integration.channel_at_hand import delivering, mails_told, paid_lately, sent_by
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, until_caught_up
from tests.streams.counting import CountingProgram
from tests.waiting import until_async

pytestmark = pytest.mark.integration

EVENTS = 300
MOST_WAITING = 10  # per partition, in the ledger


async def test_a_channel_whose_provider_hangs_holds_up_no_fold_no_other_output_and_keeps_only_what_its_ledger_may(
    settings: Settings, tmp_path: Path
) -> None:
    channel, redis = ScriptedChannel(), connect_redis(settings)
    channel.gate.clear()
    opened, topic = RedisLedgers(redis, namespace=settings.namespace), settings.topic(TRIGGERS["email"].name)
    ledgers = [opened.open(topic, partition) for partition in range(settings.partitions)]
    events = on_the_log([paid_lately(number) for number in range(EVENTS)], settings)
    async with delivering(channel, settings.model_copy(update={"batch_records": 5}), most_waiting=MOST_WAITING):
        with crew_of(settings, tmp_path) as crew:
            crew.start()
            await feed(settings, events[: EVENTS // 2])
            await until_async(lambda: channel.at_once, timeout=60, what="a provider that hangs")
            await feed(settings, events[EVENTS // 2 :])
            await until_caught_up(settings)
        depths = [await ledger.depth() for ledger in ledgers]
        assert all(depth.prepared <= MOST_WAITING for depth in depths)
        assert sum(depth.sending for depth in depths) <= channel.limits.concurrency
        await assert_equals_oracle(settings, CountingProgram())
        told = await mails_told(settings)
        assert len(told) > settings.partitions * (MOST_WAITING + channel.limits.concurrency)
        channel.gate.set()
        await until_async(lambda: len(channel.sent) >= len(told), timeout=60, what="everything that had waited")
    assert sent_by(channel) == told
    await redis.aclose()

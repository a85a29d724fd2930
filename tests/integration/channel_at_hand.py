"""A channel worker in the test's own process, behind the counting program's triggers; its provider may hang."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from handlers.channels.contract import Content, Recipient
from handlers.channels.courier import Courier
from handlers.channels.dispatch import Dispatch
from handlers.channels.presend import LastLook
from handlers.channels.readers import MemoryReaders, Places
from handlers.channels.redis_ledger import RedisLedgers
from handlers.channels.worker import ChannelWorker
from models.events.payments import PaymentReceived
from models.triggers import Trigger
from streams.engine.oracle import fold_partition
from streams.runtime.clock import SystemClock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.topics import CLIENT_EVENTS, TRIGGERS
from tests.handlers.channel_bench import ScriptedChannel
from tests.integration.engine_world import payment, read_topic
from tests.streams.counting import CountingProgram


def _allowed(_state: bytes, _trigger: Trigger, _now_ms: int, _regime: bytes) -> LastLook:
    return LastLook(allowed=True, recipient=Recipient(email="ada@client.example"))


def _written(trigger: Trigger, _recipient: Recipient) -> Content:
    return Content(trigger.step, "text\n", "<p>text</p>")


@asynccontextmanager
async def running(worker: ChannelWorker) -> AsyncIterator[None]:
    """Run a channel worker while the body runs."""
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait_for(task, 30)


@asynccontextmanager
async def delivering(channel: ScriptedChannel, settings: Settings, *, most_waiting: int = 1_000) -> AsyncIterator[None]:
    """Run the email worker, with at most `most_waiting` triggers per partition in its ledger, while the body runs."""
    meter, clock = Meter(), SystemClock()
    redis = connect_redis(settings)
    courier = Courier(
        channel,
        store=RedisStateStore(redis, settings),
        look=_allowed,
        write=_written,
        clock=clock,
        wall=clock,
        meter=meter,
        failpoint=lambda _: None,
        readers=MemoryReaders(Places()),
    )
    worker = ChannelWorker(
        settings,
        channel="email",
        ledgers=RedisLedgers(redis, namespace=settings.namespace, pending_limit=most_waiting),
        dispatch=Dispatch(channel, courier=courier, clock=clock, wall=clock, meter=meter),
        clock=clock,
        wall=clock,
        meter=meter,
        failpoint=lambda _: None,
    )
    try:
        async with running(worker):
            yield
    finally:
        await redis.aclose()


def paid_lately(number: int) -> PaymentReceived:
    """Return a payment of this hour: what it leads to is neither expired nor too early."""
    moment = SystemClock().now() - timedelta(hours=1) + timedelta(seconds=number)
    return payment(number).model_copy(update={"occurred_at": moment, "received_at": moment})


async def mails_told(settings: Settings) -> list[str]:
    """Return the ids of the triggers that the log leads to, by the oracle, sorted."""
    log = await read_topic(settings, CLIENT_EVENTS)
    return sorted(
        Trigger.model_validate_json(output.value).trigger_id
        for records in log.values()
        for output in fold_partition(CountingProgram(), records, partitions=settings.partitions).outputs
        if output.topic == TRIGGERS["email"].name
    )


def sent_by(channel: ScriptedChannel) -> list[str]:
    """Return the ids of the triggers that the provider was given, sorted."""
    return sorted(each.trigger.trigger_id for each in channel.sent)

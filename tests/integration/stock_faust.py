"""Stock Faust on a real broker: apps as its manual shows them, for tests that keep watch over what goes wrong with them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.runtime.settings import Settings
from streams.wire.topics import PAYMENTS
from tests.waiting import until_async

Stock: TypeAlias = Any
"""An object of Faust's, which is not typed for us."""


class StockApp(faust.App):  # type: ignore[misc] # Faust is not typed for us
    """Faust's app without its folder of tables, which it makes even where no table is: a killed process could not remove one."""

    def _create_directories(self) -> None:
        """Make none."""


def stock_app(settings: Settings, **options: Stock) -> Stock:
    """Return an app in the group of `settings`; `options` are Faust's."""
    usual = {
        "broker": f"kafka://{settings.kafka_bootstrap}",
        "store": "memory://",
        "web_enabled": False,
        "autodiscover": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "broker_commit_interval": 0.2,
        "table_standby_replicas": 0,
        "consumer_auto_offset_reset": "earliest",
    }
    return StockApp(settings.group, **{**usual, **options})


def raw_topic(app: Stock, settings: Settings) -> Stock:
    """Return the topic of payments as bytes."""
    return app.topic(settings.topic(PAYMENTS.name), key_serializer="raw", value_serializer="raw", value_type=bytes)


@asynccontextmanager
async def running(app: Stock) -> AsyncIterator[Stock]:
    """Run `app` inside the test's own loop."""
    app.finalize()
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def produce(settings: Settings, values: Sequence[bytes]) -> None:
    """Write `values` to the first partition of payments."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(settings.topic(PAYMENTS.name), value, partition=0)
    finally:
        await producer.stop()


def numbers(count: int) -> list[bytes]:
    """Return the values 0 to `count` - 1, so that a value is its offset."""
    return [b"%d" % number for number in range(count)]


async def committed(settings: Settings) -> int | None:
    """Return what the group has committed for the first partition of payments."""
    tp = TopicPartition(settings.topic(PAYMENTS.name), 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=settings.group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([tp])
        offset: int | None = await consumer.committed(tp)
        return offset
    finally:
        await consumer.stop()


async def until_committed(settings: Settings, offset: int) -> None:
    """Wait until the group has committed `offset`."""

    async def there() -> bool:
        return (await committed(settings) or 0) >= offset

    await until_async(there, timeout=20, what=f"a commit of {offset}")

"""Reads whole topics from their beginning to their present end: for inspection and proofs, never for processing."""

from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition

from streams.runtime.settings import Settings
from streams.wire.kafka import reader

_POLL_MS: Final = 500
_FETCH_BYTES: Final = 8_388_608


async def read_topic(settings: Settings, topic: str, *, partitions: list[int]) -> dict[int, list[Any]]:
    """Return the records of `partitions` of a topic (bare name) up to the present end; raises RetryError while Kafka is away.

    Everything is held in memory: a topic that is too large for that is read by `read_each`.
    """
    found: dict[int, list[Any]] = {partition: [] for partition in partitions}
    await read_each(settings, topic, partitions=partitions, see=lambda record: found[record.partition].append(record))
    return found


async def read_each(settings: Settings, topic: str, *, partitions: list[int], see: Callable[[Any], None], since: int = 0) -> None:
    """Show each record of `partitions` of a topic (bare name) up to the present end, in the order of its partition.

    Of each partition it begins with offset `since`, or with the oldest record there is.

    Raises RetryError while Kafka is away.
    """
    parts = [TopicPartition(settings.topic(topic), partition) for partition in partitions]
    async with reader(settings, max_partition_fetch_bytes=_FETCH_BYTES) as consumer:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        starts = await consumer.beginning_offsets(parts)
        for part in parts:
            consumer.seek(part, max(since, starts[part]))
        while any([ends[part] > await consumer.position(part) for part in parts]):
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    see(record)

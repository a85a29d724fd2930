"""What Kafka already has of a partition's outputs: read from the tails of the output topics when Redis has lost its memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.engine.fence import Slot
from streams.runtime.errors import DeadLetterError, RetryError
from streams.runtime.settings import Settings
from streams.wire.headers import Position, read_origin
from streams.wire.topics import DEAD_LETTERS, DECISIONS, EXAMPLES, TRIGGERS, Partitioning, Topic

OUTPUT_TOPICS: Final = (*TRIGGERS.values(), DECISIONS, EXAMPLES, DEAD_LETTERS)

_OWN_TAIL: Final = 2_000
"""Records read back of a topic with a partition of our own: two publishers may have interleaved there, so the last record
need not be the furthest; each sends at most 500 at a time."""

_SHARED_TAIL: Final = 20_000  # of a topic that all partitions share

_POLL_MS: Final = 500


async def read_published(settings: Settings, slot: Slot) -> dict[str, Position]:
    """Return, by output topic, the furthest output of `slot` found near the end; raises RetryError while Kafka is away."""
    try:
        async with _consumer(settings) as consumer:
            marks = {topic.name: await _furthest(consumer, settings, topic, slot) for topic in OUTPUT_TOPICS}
    except (KafkaError, OSError) as error:
        message = f"Kafka at {settings.kafka_bootstrap} cannot be read ({error!r}); check it with `rapport doctor`"
        raise RetryError(message) from error
    return {name: mark for name, mark in marks.items() if mark is not None}


async def read_furthest(settings: Settings, topic: Topic, slot: Slot) -> Position | None:
    """Return the furthest output of `slot` near the end of one topic, none without any; RetryError while Kafka is away."""
    try:
        async with _consumer(settings) as consumer:
            return await _furthest(consumer, settings, topic, slot)
    except (KafkaError, OSError) as error:
        message = f"Kafka at {settings.kafka_bootstrap} cannot be read ({error!r}); check it with `rapport doctor`"
        raise RetryError(message) from error


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _furthest(consumer: AIOKafkaConsumer, settings: Settings, topic: Topic, slot: Slot) -> Position | None:
    shared = topic.partitioning is Partitioning.SINGLE
    at = TopicPartition(settings.topic(topic.name), 0 if shared else slot.partition)
    consumer.assign([at])
    end = (await consumer.end_offsets([at]))[at]
    start = (await consumer.beginning_offsets([at]))[at]
    consumer.seek(at, max(start, end - (_SHARED_TAIL if shared else _OWN_TAIL)))
    furthest: Position | None = None
    while await consumer.position(at) < end:
        for record in (await consumer.getmany(at, timeout_ms=_POLL_MS)).get(at, ()):
            found = _position(record.headers, slot)
            if found is not None and (furthest is None or found > furthest):
                furthest = found
    return furthest


def _position(headers: tuple[tuple[str, bytes], ...], slot: Slot) -> Position | None:
    try:
        origin = read_origin(headers)
    except DeadLetterError:
        return None  # not published by a partition's owner, so never suppressed either
    return origin.position if (origin.src_topic, origin.src_partition) == slot else None

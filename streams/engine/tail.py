"""What Kafka already has of a partition's outputs: read from the tails of the output topics when Redis has lost its memory."""

from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from models.events.envelope import epoch_ms
from streams.engine.fence import Slot
from streams.runtime.clock import Clock, SystemClock
from streams.runtime.errors import DeadLetterError
from streams.runtime.settings import Settings
from streams.wire.admin import read_topics
from streams.wire.headers import Position, read_origin
from streams.wire.kafka import reader
from streams.wire.topics import DEAD_LETTERS, DECISIONS, EXAMPLES, TRIGGERS, Partitioning, Topic

OUTPUT_TOPICS: Final = (*TRIGGERS.values(), DECISIONS, EXAMPLES, DEAD_LETTERS)

_OWN_TAIL: Final = 2_000
"""Records read back of a topic with a partition of our own: two publishers may have interleaved there, so the last record
need not be the furthest; each sends at most 500 at a time."""

_SHARED_TAIL: Final = 20_000  # of a topic that all partitions share

_POLL_MS: Final = 500
_LAST: Final = 2**31 - 1  # more outputs than one record has


async def read_published(settings: Settings, slot: Slot, *, clock: Clock | None = None) -> dict[str, Position]:
    """Return, by output topic, the furthest output of `slot` found near the end; raises RetryError while Kafka is away.

    Where retention has deleted all there was, that is what was caused longer ago than the topic keeps records, by `clock` (none:
    the machine's). Otherwise a fold of the whole log would publish the past of a quiet topic again.
    """
    async with reader(settings) as consumer:
        furthest, emptied = await _read_tails(consumer, settings, OUTPUT_TOPICS, slot)
        if not emptied:
            return furthest
        facts = await read_topics(settings, topics=emptied)
        now_ms = epoch_ms((clock or SystemClock()).now())
        for topic in emptied:
            kept_ms = int(facts[settings.topic(topic.name)].config.get("retention.ms", topic.retention_ms))
            last = await _last_before(consumer, settings, slot, now_ms - kept_ms) if kept_ms >= 0 else None
            if last is not None:
                furthest[topic.name] = last
    return furthest


async def read_furthest(settings: Settings, topic: Topic, slot: Slot) -> Position | None:
    """Return the furthest output of `slot` near the end of one topic, none without any; RetryError while Kafka is away."""
    async with reader(settings) as consumer:
        furthest, _ = await _read_tails(consumer, settings, (topic,), slot)
    return furthest.get(topic.name)


async def _read_tails(
    consumer: AIOKafkaConsumer, settings: Settings, topics: Sequence[Topic], slot: Slot
) -> tuple[dict[str, Position], list[Topic]]:
    """Return the furthest by topic, and the topics that had records and have none of ours left.

    Reads all tails at once: a topic at a time costs half a second each for the news of its partitions alone.
    """
    tails = {TopicPartition(settings.topic(topic.name), _partition(topic, slot)): topic for topic in topics}
    consumer.assign(list(tails))
    ends, starts = await consumer.end_offsets(list(tails)), await consumer.beginning_offsets(list(tails))
    for at, topic in tails.items():
        consumer.seek(at, max(starts[at], ends[at] - _tail_of(topic)))
    furthest: dict[str, Position] = {}
    unread = set(tails)
    while unread := {at for at in unread if await consumer.position(at) < ends[at]}:
        for at, records in (await consumer.getmany(*unread, timeout_ms=_POLL_MS)).items():
            found = [position for record in records if (position := _position(record.headers, slot)) is not None]
            if found:
                name = tails[at].name
                furthest[name] = max(*found, furthest.get(name, found[0]))
    emptied = [
        topic
        for at, topic in tails.items()
        if topic.name not in furthest and starts[at] > 0 and ends[at] - _tail_of(topic) <= starts[at]
    ]
    return furthest, emptied


async def _last_before(consumer: AIOKafkaConsumer, settings: Settings, slot: Slot, before_ms: int) -> Position | None:
    """Return the position after all outputs of what `slot` got before a moment (epoch ms), none where it got nothing."""
    at = TopicPartition(settings.topic(slot.topic), slot.partition)
    found = (await consumer.offsets_for_times({at: max(before_ms, 0)}))[at]
    offset: int = (await consumer.end_offsets([at]))[at] if found is None else found.offset
    return Position(offset - 1, _LAST) if offset else None


def _partition(topic: Topic, slot: Slot) -> int:
    return 0 if topic.partitioning is Partitioning.SINGLE else slot.partition


def _tail_of(topic: Topic) -> int:
    return _SHARED_TAIL if topic.partitioning is Partitioning.SINGLE else _OWN_TAIL


def _position(headers: tuple[tuple[str, bytes], ...], slot: Slot) -> Position | None:
    try:
        origin = read_origin(headers)
    except DeadLetterError:
        return None  # not published by a partition's owner, so never suppressed either
    return origin.position if (origin.src_topic, origin.src_partition) == slot else None

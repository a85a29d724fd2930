"""More partitions without breaking any client's order: the log is copied into another deployment that has a multiple of them.

A client of partition p of n lives in one of the partitions p, p + n, p + 2n ... of a multiple of n. So each new partition's
log is a part of one old partition's, in its order; what is about the whole partition goes into each of them. Folded anew,
every client gets the same state and the same outputs in the same order.
"""

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from streams.engine.producer import Outgoing, Producer
from streams.runtime.errors import RetryError, UsageError
from streams.runtime.settings import Settings
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY

_POSITIVE: Final = 0x7FFF_FFFF  # Kafka clears the sign bit of murmur2 before it takes the remainder
_AT_ONCE: Final = 1_000
_POLL_MS: Final = 500


def new_homes(key: bytes | None, *, partition: int, before: int, after: int) -> tuple[int, ...]:
    """Return where a record of `partition` goes when there are `after` partitions in place of `before`.

    Raises UsageError unless `after` is a multiple of `before`. A record that is not where its key belongs stays a dead letter.
    """
    if after % before:
        message = f"{after} partitions are no multiple of {before}: clients of two old partitions would share a new one"
        raise UsageError(message)
    if key == CONTROL_KEY:
        return tuple(range(partition, after, before))
    home = partition if key is None else (int(murmur2(key)) & _POSITIVE) % after
    return (home if home % before == partition else partition,)


async def resettle(source: Settings, target: Settings, *, producer: Producer) -> int:
    """Copy the client log of `source` into the empty one of `target`; return how many records were written.

    Intake of both must be stopped, and no worker of `target` may run. Raises UsageError when `target` has records already or its
    partitions are no multiple, RetryError while Kafka is away: then begin again with an empty target.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=source.kafka_bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        await _check_empty(consumer, target)
        written = 0
        for partition in range(source.partitions):
            written += await _copy(consumer, source, target, partition=partition, producer=producer)
    except (KafkaError, OSError) as error:
        message = f"Kafka at {source.kafka_bootstrap} does not answer ({error!r}); check it with `rapport doctor`"
        raise RetryError(message) from error
    finally:
        await consumer.stop()
    return written


async def _check_empty(consumer: Any, target: Settings) -> None:  # noqa: ANN401 - the client library is not typed
    parts = [TopicPartition(target.topic(CLIENT_EVENTS.name), partition) for partition in range(target.partitions)]
    filled = {part.partition: end for part, end in (await consumer.end_offsets(parts)).items() if end}
    if filled:
        message = f"the log of the new deployment is not empty (partition: records {filled}): give it another topic prefix"
        raise UsageError(message)


async def _copy(
    consumer: Any,  # noqa: ANN401 - likewise
    source: Settings,
    target: Settings,
    *,
    partition: int,
    producer: Producer,
) -> int:
    part = TopicPartition(source.topic(CLIENT_EVENTS.name), partition)
    consumer.assign([part])
    end = (await consumer.end_offsets([part]))[part]
    await consumer.seek_to_beginning(part)
    written = 0
    while await consumer.position(part) < end:
        found = await consumer.getmany(part, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        copies = [
            Outgoing(topic=CLIENT_EVENTS.name, partition=home, key=record.key, value=record.value, headers=record.headers)
            for record in found.get(part, ())
            for home in new_homes(record.key, partition=partition, before=source.partitions, after=target.partitions)
        ]
        await producer.send_all(copies)
        written += len(copies)
    return written

"""More partitions without breaking any client's order: the log is copied into another deployment that has a multiple of them.

A client of partition p of n lives in one of the partitions p, p + n, p + 2n ... of a multiple of n. So each new partition's
log is a part of one old partition's, in its order; what is about the whole partition goes into each of them. Folded anew,
every client gets the same state and the same outputs in the same order.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

from models.events.control import ClockTicked
from streams.engine.producer import Outgoing, Producer
from streams.engine.ticks import believed_ms
from streams.runtime.errors import DeadLetterError, UsageError
from streams.runtime.settings import Settings
from streams.wire.codec import decode_event, encode_event
from streams.wire.headers import Position
from streams.wire.kafka import reader
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY

_POSITIVE: Final = 0x7FFF_FFFF  # Kafka clears the sign bit of murmur2 before it takes the remainder
_AT_ONCE: Final = 1_000
_WHOLE: Final = 2**31  # more outputs than any record has: all of them
NOTHING: Final = Position(-1, -1)
"""The position before all others."""
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


class Places:
    """Where positions of one old partition come to lie in the new ones, found out while its records are copied in order."""

    def __init__(self, marks: Iterable[Position], homes: Iterable[int]) -> None:
        """Look for `marks`, each in every one of `homes`."""
        self._waiting = sorted(set(marks))
        self._last = dict.fromkeys(homes, NOTHING.src_offset)
        self.found: dict[Position, dict[int, Position]] = {}

    def copied(self, offset: int, placed: Mapping[int, int]) -> None:
        """Note that the record at `offset` was written to these partitions, at these offsets."""
        while self._waiting and self._waiting[0].src_offset < offset:
            self._settle(frozenset())
        self._last.update(placed)
        while self._waiting and self._waiting[0].src_offset == offset:
            self._settle(frozenset(placed))

    def close(self) -> None:
        """Note that nothing comes any more."""
        while self._waiting:
            self._settle(frozenset())

    def _settle(self, exactly: frozenset[int]) -> None:
        """Say of the next mark that it lies behind what was copied so far; of its own record only as many outputs as it says."""
        mark = self._waiting.pop(0)
        self.found[mark] = {home: Position(last, mark.idx if home in exactly else _WHOLE) for home, last in self._last.items()}


@dataclass(frozen=True, slots=True)
class Resettled:
    """`records` written; and for marks of old partitions, the same position in each of the new ones that came of it."""

    records: int
    places: Mapping[int, Mapping[Position, Mapping[int, Position]]]


async def resettle(
    source: Settings, target: Settings, *, producer: Producer, marks: Mapping[int, Collection[Position]] = MappingProxyType({})
) -> Resettled:
    """Copy the client log of `source` into the empty one of `target`, and find where `marks` (by old partition) come to lie.

    Intake of both must be stopped, and no worker of `target` may run. Raises UsageError when `target` has records already, its
    partitions are no multiple, or the log of `source` has lost its beginning; RetryError while Kafka is away: then begin again
    with an empty target.
    """
    new_homes(CONTROL_KEY, partition=0, before=source.partitions, after=target.partitions)
    places = {
        partition: Places(marks.get(partition, ()), range(partition, target.partitions, source.partitions))
        for partition in range(source.partitions)
    }
    async with reader(source) as consumer:
        await _check_whole(consumer, source)
        await _check_empty(consumer, target)
        written = 0
        for partition, own in places.items():
            written += await _copy(consumer, source, target, partition=partition, producer=producer, places=own)
    return Resettled(written, {partition: own.found for partition, own in places.items()})


async def _check_whole(consumer: Any, source: Settings) -> None:  # noqa: ANN401 - the client library is not typed
    parts = [TopicPartition(source.topic(CLIENT_EVENTS.name), partition) for partition in range(source.partitions)]
    begun = {part.partition: start for part, start in (await consumer.beginning_offsets(parts)).items() if start}
    if begun:
        message = f"the log has lost its beginning (partition: first offset {begun}): folded anew it would give other states"
        raise UsageError(message)


async def _check_empty(consumer: Any, target: Settings) -> None:  # noqa: ANN401 - likewise
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
    places: Places,
) -> int:
    part = TopicPartition(source.topic(CLIENT_EVENTS.name), partition)
    consumer.assign([part])
    end = (await consumer.end_offsets([part]))[part]
    await consumer.seek_to_beginning(part)
    written = 0
    while await consumer.position(part) < end:
        found = await consumer.getmany(part, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        copies: list[Outgoing] = []
        origins: list[int] = []
        for record in found.get(part, ()):
            value = as_believed(record)
            for home in new_homes(record.key, partition=partition, before=source.partitions, after=target.partitions):
                copies.append(
                    Outgoing(topic=CLIENT_EVENTS.name, partition=home, key=record.key, value=value, headers=record.headers)
                )
                origins.append(record.offset)
        offsets = await producer.send_all(copies)
        for origin, group in groupby(zip(origins, copies, offsets, strict=True), key=itemgetter(0)):
            places.copied(origin, {copy.partition or 0: offset for _, copy, offset in group})
        written += len(copies)
    places.close()
    return written


def as_believed(record: Record) -> bytes | None:
    """Return what a copy of `record` must say: the same, but a tick ahead of its arrival tells the moment that was believed.

    The broker stamps the copy anew, so what held the tick back would be lost.
    """
    if record.key != CONTROL_KEY:
        return record.value
    try:
        event = decode_event(record.value)
    except DeadLetterError:
        return record.value
    if not isinstance(event, ClockTicked):
        return record.value
    believed = believed_ms(event.occurred_ms, arrived_ms=record.timestamp, watermark_ms=0)
    if believed >= event.occurred_ms:
        return record.value
    moment = datetime.fromtimestamp(believed / 1000, UTC)
    return encode_event(event.model_copy(update={"occurred_at": moment, "received_at": moment}))

"""One order of the records of several partitions: by the time at which the broker stored them, then by partition."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from aiokafka import TopicPartition

from streams.runtime.settings import Settings
from streams.wire.kafka import reader
from streams.wire.records import Record

_POLL_MS: Final = 500
_AT_ONCE: Final = 2_000  # records fetched at a time, of all partitions that have run out
_FETCH_BYTES: Final = 1_048_576  # of each partition; with what waits here, all that is held in memory


class InOrder:
    """Merges partitions that are fed bit by bit. The order does not depend on how they were cut.

    Where a broker's clock was set back, a record counts as old as the one before it: a partition keeps its order.
    """

    def __init__(self, partitions: Iterable[int]) -> None:
        """Wait for records of `partitions`."""
        self._waiting: dict[int, deque[tuple[int, Record]]] = {partition: deque() for partition in sorted(partitions)}
        self._latest = dict.fromkeys(self._waiting, 0)

    def feed(self, partition: int, records: Iterable[Record]) -> None:
        """Take the next records of a partition."""
        for record in records:
            self._latest[partition] = max(self._latest[partition], record.timestamp)
            self._waiting[partition].append((self._latest[partition], record))

    @property
    def hungry(self) -> list[int]:
        """Partitions of which the next record must be known, or that there is none, before anything can be said."""
        return [partition for partition, records in self._waiting.items() if not records]

    @property
    def is_over(self) -> bool:
        """Say whether all partitions have ended."""
        return not self._waiting

    def end(self, partition: int) -> None:
        """Take that nothing more comes of a hungry partition."""
        del self._waiting[partition]

    def ready(self) -> Iterator[Record]:
        """Yield all records that no other can precede any more."""
        waiting = self._waiting
        while waiting and all(waiting.values()):
            first = min(waiting, key=lambda partition: (waiting[partition][0][0], partition))
            yield waiting[first].popleft()[1]


async def ends_of(settings: Settings, topic: str) -> dict[int, tuple[int, int]]:
    """Return the first offset and the present end of each partition of a topic (bare name); RetryError while Kafka is away."""
    parts = _parts(settings, topic, range(settings.partitions))
    async with reader(settings) as consumer:
        starts, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
    return {part.partition: (starts[part], ends[part]) for part in parts}


async def read_in_order(
    settings: Settings,
    topic: str,
    *,
    ends: Mapping[int, int],
    see: Callable[[Any], None],
    between: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Show each record of a topic (bare name) before `ends`, of all partitions named there, in one order; memory stays flat.

    `between` is awaited after each fetch, and at the end: to carry out what was seen.
    Raises RetryError while Kafka is away.
    """
    parts = _parts(settings, topic, ends)
    merge = InOrder(ends)
    async with reader(settings, max_partition_fetch_bytes=_FETCH_BYTES) as consumer:
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        while not merge.is_over:
            for record in merge.ready():
                see(record)
            if between is not None:
                await between()
            for part in _parts(settings, topic, merge.hungry):
                if await consumer.position(part) >= ends[part.partition]:
                    merge.end(part.partition)
            wanted = _parts(settings, topic, merge.hungry)
            if wanted:
                for part, records in (await consumer.getmany(*wanted, timeout_ms=_POLL_MS, max_records=_AT_ONCE)).items():
                    merge.feed(part.partition, (record for record in records if record.offset < ends[part.partition]))


def _parts(settings: Settings, topic: str, partitions: Iterable[int]) -> list[TopicPartition]:
    return [TopicPartition(settings.topic(topic), partition) for partition in partitions]

"""The memory twin of the producer: topics as lists."""

from collections import defaultdict
from collections.abc import Sequence

from streams.engine.producer import Outgoing
from streams.wire.partitioning import partition_of


class MemoryProducer:
    """Keeps what is produced, by topic (bare name) and partition."""

    def __init__(self, *, partitions: int) -> None:
        """Place records without a partition among `partitions`, by their key as Kafka does."""
        self._partitions = partitions
        self.topics: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        """Append `records` in order and return their offsets."""
        offsets = []
        for record in records:
            partition = record.partition
            if partition is None:
                partition = partition_of((record.key or b"").decode(), self._partitions)
            log = self.topics[record.topic, partition]
            offsets.append(len(log))
            log.append(record)
        return offsets

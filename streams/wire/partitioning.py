"""Which partition of the client log a client lives in: the rule of Kafka's own default partitioner."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFF_FFFF  # Kafka clears the sign bit of murmur2 before it takes the remainder


@lru_cache(maxsize=65_536)
def partition_of(client_id: str, partitions: int) -> int:
    """Return the partition of `client_id` among `partitions`: murmur2 of the UTF-8 key, as every standard producer has it."""
    return int(murmur2(client_id.encode()) & _POSITIVE) % partitions

"""A record as every reader sees it: bytes at an offset, with the time at which the broker stored them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Record(Protocol):
    """What agents and readers may use of a Kafka record; aiokafka's ConsumerRecord fits as it is."""

    @property
    def topic(self) -> str:
        """Name of the topic on the broker, with the deployment's prefix."""
        ...

    @property
    def partition(self) -> int:
        """Partition of the topic."""
        ...

    @property
    def offset(self) -> int:
        """Position in the partition, from 0."""
        ...

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds; the broker's arrival time, as our topics are LogAppendTime."""
        ...

    @property
    def key(self) -> bytes | None:
        """The key, which decides the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """The content; none is a tombstone, which no topic of ours knows."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Headers in the order they were written; a name may repeat."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRecord:
    """A record made in memory, for simulation and tests."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()

"""The memory twin of what Redis holds: one object per partition, and reads of committed states."""

from collections import defaultdict
from dataclasses import dataclass, field

from streams.wire.headers import Position
from streams.wire.partitioning import partition_of
from streams.wire.topics import CLIENT_EVENTS


@dataclass(slots=True)
class MemoryFenceFields:
    """The fence of one partition: who may write, where the state stands and under which version."""

    generation: int
    owner: str
    incarnation: int
    next_offset: int
    ver: str
    watermark_ms: int
    high_water: dict[str, Position]
    regime: bytes = b""


@dataclass(slots=True)
class MemoryPartition:
    """Everything stored for one partition of one topic; `outbox` keeps packed entries by position, in ascending order."""

    fence: MemoryFenceFields | None = None
    states: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    outbox: dict[Position, bytes] = field(default_factory=dict)


class MemoryPartitions:
    """All partitions of a deployment that lives in memory, made on first use."""

    def __init__(self) -> None:
        """Start with nothing stored."""
        self._partitions: defaultdict[tuple[str, int], MemoryPartition] = defaultdict(MemoryPartition)

    def at(self, topic: str, partition: int) -> MemoryPartition:
        """Return the partition of `topic` (its bare name)."""
        return self._partitions[topic, partition]


class MemoryStateStore:
    """The committed states in memory."""

    def __init__(self, data: MemoryPartitions, *, partitions: int) -> None:
        """Read from `data`, whose client log has `partitions` partitions."""
        self._data = data
        self._partitions = partitions

    async def read(self, client_id: str) -> bytes | None:
        """Return the encoded state of the client, or none."""
        return self._at(client_id).states.get(client_id)

    async def regime(self, client_id: str) -> bytes:
        """Return the encoded regime of the client's partition."""
        fence = self._at(client_id).fence
        return b"" if fence is None else fence.regime

    def _at(self, client_id: str) -> MemoryPartition:
        return self._data.at(CLIENT_EVENTS.name, partition_of(client_id, self._partitions))

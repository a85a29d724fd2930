"""What a lane works with: the consumer that feeds it, the stage that knows what to do, and its hold on a partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.engine.fence import Claim, Missing, Moved, Slot
from streams.engine.writes import OutboxEntry, Writes
from streams.runtime.errors import RapportError
from streams.wire.headers import Position
from streams.wire.records import Record


class HaltError(RapportError):
    """Going on with this partition would lose data: it stands still until a person has decided."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Offset of the first record a partition still has, and the offset after its last."""

    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class Grasp:
    """Our hold on a partition: the version under which we may write, and where its state stands."""

    claim: Claim
    next_offset: int
    ver: str
    watermark_ms: int
    outbox_depth: int
    next_due_ms: int | None
    high_water: Mapping[str, Position]
    regime: bytes = b""
    fresh: tuple[OutboxEntry, ...] = ()  # outputs stored by the latest batch, for whoever publishes them to take
    outbox_head: Position | None = None  # the oldest one stored when they were
    folded_ms: int = 0  # when the latest batch was computed and when it was stored, by our clock
    committed_ms: int = 0


class Flow(Protocol):
    """What a lane asks of the consumer."""

    def pause(self, slot: Slot) -> None:
        """Stop fetching the partition."""
        ...

    def resume(self, slot: Slot) -> None:
        """Fetch the partition again."""
        ...

    async def seek(self, slot: Slot, offset: int) -> None:
        """Fetch from `offset` on."""
        ...

    async def bounds(self, slot: Slot) -> Bounds:
        """Return what the broker has of the partition."""
        ...

    async def first_from(self, slot: Slot, offset: int) -> int:
        """Return the offset of the log's first record at or after `offset`, found out without the consumer that feeds us."""
        ...

    async def committed(self, slot: Slot) -> int | None:
        """Return the offset that the group committed, which is advice and never truth."""
        ...

    async def prove_membership(self, slot: Slot) -> bool:
        """Say whether the broker takes us for a member of the group's living generation: it accepts a commit of no change."""
        ...


class Stage(Protocol):
    """What a lane does with its records."""

    def cut(self, records: Sequence[Record]) -> int:
        """Return how many of the first records form one batch."""
        ...

    def birth(self, bounds: Bounds, committed: int | None) -> int:
        """Return where a partition without a fence begins; raises HaltError where no beginning is safe."""
        ...

    async def published(self, slot: Slot) -> Mapping[str, Position]:
        """Return, by output topic, the last output of this partition that Kafka has; asked for when there is no fence."""
        ...

    async def prepare(self, records: Sequence[Record], grasp: Grasp) -> Writes | Moved | Missing:
        """Compute what the batch changes; raises RetryError to be called again with the same batch."""
        ...

    def committed(self) -> None:
        """Note that what `prepare` returned last is stored."""
        ...

    def reset(self) -> None:
        """Forget what was remembered between batches: it may be another history's."""
        ...

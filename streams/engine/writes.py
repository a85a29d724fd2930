"""What one batch changes: the values that the fold computes and the fence writes, all or nothing."""

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from streams.wire.headers import Position


class Outcome(StrEnum):
    """What became of one record of the log; each record has exactly one outcome."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    POISON = "poison"
    TICK = "tick"
    CONTROL = "control"


class OutboxEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record to publish. `topic` is the bare name of the topic table; `position` orders entries of a partition."""

    position: Position
    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """Absolute values to store for a partition, so that writing them twice is the same as once.

    `next_offset` is the offset after the last record of the batch. `timers` maps a client to its earliest due time in epoch
    ms, none where it has none any more; only changed clients appear. `watermark_ms` is the latest tick folded so far. `regime`
    is none where it stays as it is. From `wake_ms` on every client of the partition counts as due, whether it has a timer or not.
    """

    next_offset: int
    watermark_ms: int
    states: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, int | None] = field(default_factory=dict)
    outbox: tuple[OutboxEntry, ...] = ()
    regime: bytes | None = None
    wake_ms: int | None = None

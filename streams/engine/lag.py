"""How far the workers are behind: what the log has, against the position in the fence. True also when every worker is dead."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from streams.engine.fence import Fence, Slot
from streams.engine.log_view import LogView
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import Clock, SystemClock
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.kafka import reader
from streams.wire.topics import CLIENT_EVENTS, INTAKE_TOPICS

WATCHED_TOPICS: Final = (*INTAKE_TOPICS, CLIENT_EVENTS)
"""Topics whose position is in the fence."""

_PEEK_MS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """`next_offset` none: no worker has ever taken the partition. `seconds` is the age of the oldest record not folded yet."""

    slot: Slot
    start: int
    end: int
    next_offset: int | None
    seconds: float

    @property
    def records(self) -> int:
        """Records not folded yet."""
        return self.end - max(self.next_offset if self.next_offset is not None else self.start, self.start)


async def read_lag(settings: Settings, fence: Fence, *, clock: Clock, view: LogView) -> list[PartitionLag]:
    """Return the lag of every watched partition; raises RetryError while Kafka or Redis does not answer.

    Seconds are the clock's time less the broker's time of the record at the position, 0 when there is none.
    """
    slots = [Slot(topic.name, partition) for topic in WATCHED_TOPICS for partition in range(settings.partitions)]
    positions = dict(zip(slots, await asyncio.gather(*map(fence.position, slots)), strict=True))
    bounds = await view.read(slots)
    waiting = {slot: _oldest(bounds[slot].start, positions[slot]) for slot in slots}
    waiting = {slot: offset for slot, offset in waiting.items() if offset < bounds[slot].end}
    stamps = await _timestamps(settings, waiting) if waiting else {}
    now_ms = clock.now().timestamp() * 1000
    return [
        PartitionLag(
            slot=slot,
            start=bounds[slot].start,
            end=bounds[slot].end,
            next_offset=positions[slot],
            seconds=max(now_ms - stamps[slot], 0.0) / 1000 if slot in stamps else 0.0,
        )
        for slot in slots
    ]


def _oldest(start: int, position: int | None) -> int:
    return start if position is None else max(start, position)


async def _timestamps(settings: Settings, wanted: Mapping[Slot, int]) -> dict[Slot, int]:
    """Return the broker's time, in epoch ms, of the record at the wanted offset of each slot."""
    at = {TopicPartition(settings.topic(slot.topic), slot.partition): slot for slot in wanted}
    stamps: dict[Slot, int] = {}
    async with reader(settings) as consumer:
        consumer.assign(list(at))
        for tp, slot in at.items():
            consumer.seek(tp, wanted[slot])
        while len(stamps) < len(wanted):
            found = await consumer.getmany(*(tp for tp in at if at[tp] not in stamps), timeout_ms=_PEEK_MS)
            if not found:
                break
            stamps.update({at[tp]: records[0].timestamp for tp, records in found.items() if records})
    return stamps


async def lag_now(settings: Settings) -> list[PartitionLag]:
    """Connect, read the lag once and let go. Ages are by the machine's time, as brokers stamp, also where a clock file drives."""
    redis, view = connect_redis(settings), LogView(settings)
    try:
        return list(await read_lag(settings, RedisFence(redis, settings), clock=SystemClock(), view=view))
    finally:
        await view.close()
        await redis.aclose()


def total(lags: Sequence[PartitionLag], topic: str) -> tuple[int, float]:
    """Return the records waiting in all partitions of `topic` (bare name), and the age of the oldest in seconds."""
    own = [lag for lag in lags if lag.slot.topic == topic]
    return sum(lag.records for lag in own), max((lag.seconds for lag in own), default=0.0)

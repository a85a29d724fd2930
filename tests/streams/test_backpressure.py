"""However much waits, what a lane and its outbox hold stays within their bounds, and nothing is lost for it."""

import asyncio
from collections.abc import Sequence

import pytest

from streams.engine.lane import Lane
from streams.engine.memory_producer import MemoryProducer
from streams.engine.oracle import fold_partition
from streams.engine.producer import Outgoing
from streams.wire.records import PlainRecord
from tests.streams.counting import CountingProgram
from tests.streams.engine_examples import event_content, on_log
from tests.streams.lane_world import LaneWorld, MemoryFlow
from tests.waiting import pause, until_async

BACKLOG = 6_000
FETCH = 250


def backlog(length: int) -> list[PlainRecord]:
    return on_log([event_content(number % 600, f"client-{number % 40}", f"e{number}", "test") for number in range(length)])


class Watching(MemoryFlow):
    """A consumer that has everything at hand, and notes how much the lane holds after each fetch."""

    def __init__(self, log: list[PlainRecord]) -> None:
        super().__init__(log, fetch=FETCH)
        self.most_records = 0
        self.most_bytes = 0

    def pump(self, lane: Lane) -> None:
        super().pump(lane)
        records, size = lane.inbox.held
        self.most_records = max(self.most_records, records)
        self.most_bytes = max(self.most_bytes, size)


class StuckProducer(MemoryProducer):
    """Kafka that takes nothing until told."""

    def __init__(self) -> None:
        super().__init__(partitions=1)
        self.moving = asyncio.Event()

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        await self.moving.wait()
        return await super().send_all(records)


@pytest.mark.parametrize("bounds", [{"lane_records": 300}, {"lane_bytes": 50_000}], ids=["records", "bytes"])
async def test_a_backlog_waits_in_the_log_and_not_in_memory(bounds: dict[str, int]) -> None:
    log = backlog(BACKLOG)
    world = LaneWorld(log, **{"batch_records": 100, **bounds})
    flow = Watching(log)
    world.lane(flow=flow)
    try:
        await world.until_done()
    finally:
        await world.close()
    assert world.stored.states == fold_partition(CountingProgram(), log, partitions=1).states
    fetched = max(sum(len(record.value or b"") + len(record.key or b"") for record in log[at : at + FETCH]) for at in (0, 5_000))
    assert flow.pauses > 1
    assert flow.most_records <= bounds.get("lane_records", BACKLOG) + FETCH
    assert flow.most_bytes <= bounds.get("lane_bytes", 10**9) + fetched


async def test_outputs_that_kafka_does_not_take_stop_the_fold_at_the_ceiling_and_go_out_in_order_afterwards() -> None:
    log = backlog(1_500)
    world = LaneWorld(log, batch_records=50, lane_records=200, outbox_limit=40)
    world.producer = stuck = StuckProducer()
    flow = Watching(log)
    world.lane(flow=flow)
    try:
        await until_async(lambda: len(world.stored.outbox) >= 40, what="the ceiling")
        await pause(0.3)
        stopped_at, depth = world.position(), len(world.stored.outbox)
        await pause(0.3)
        assert world.position() == stopped_at < len(log)
        assert 40 <= depth <= 40 + 2 * 50
        assert flow.most_records <= 200 + FETCH
        stuck.moving.set()
        await world.until_done()
    finally:
        await world.close()
    truth = fold_partition(CountingProgram(), log, partitions=1)
    assert world.accepted() == [tuple(told) for told in truth.outputs]

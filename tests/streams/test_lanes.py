"""All lanes of a process: ticks that fire timers, partitions that wait for their fence, and what ends the process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from streams.engine.fence import Missing, Moved
from streams.engine.memory_producer import MemoryProducer
from streams.engine.producer import Outgoing
from streams.engine.stage import Grasp
from streams.engine.writes import Writes
from streams.runtime import metrics
from streams.runtime.clock import ManualClock
from streams.wire.records import PlainRecord, Record
from tests.streams.engine_examples import ARRIVED_MS, SLOT, START, START_MS, event_content, on_log
from tests.streams.lane_world import LaneWorld, Process, WorldStage
from tests.waiting import until_async

NOW = START + timedelta(milliseconds=ARRIVED_MS - START_MS)
SECOND = (ARRIVED_MS - START_MS) // 1000
DUE = NOW + timedelta(minutes=1)  # as the counting program says of the first event of a client


class Broker(MemoryProducer):
    """Appends ticks to the log that the lane reads, stamped with its own time."""

    def __init__(self, log: list[PlainRecord], clock: ManualClock) -> None:
        super().__init__(partitions=1)
        self._log = log
        self._clock = clock
        self.broken = False

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        if self.broken:
            message = "nobody had foreseen this"
            raise RuntimeError(message)
        if records[0].topic != SLOT.topic:
            return await super().send_all(records)
        first, at_ms = len(self._log), int(self._clock.now().timestamp() * 1000)
        self._log += [
            PlainRecord(topic=SLOT.topic, partition=0, offset=first + place, timestamp=at_ms, key=row.key, value=row.value)
            for place, row in enumerate(records)
        ]
        return list(range(first, len(self._log)))


class Site(Process):
    """One partition in a process at work, with a broker and a clock."""

    def __init__(self, log: list[PlainRecord], stage: type[WorldStage] = WorldStage) -> None:
        self.clock = ManualClock(NOW)
        self.broker = Broker(log, self.clock)
        world = LaneWorld(log)
        super().__init__(world, self.broker, tools=world.tools(clock=self.clock), stage=stage)

    async def looked(self, times: int = 3) -> None:
        """Wait until all lanes were looked at so many times more."""
        wanted = self.watchdog.looks + times
        await until_async(lambda: self.watchdog.looks >= wanted, what="a few looks")

    @property
    def ticks(self) -> int:
        """Records on the log that the process wrote itself."""
        return sum(record.key == b"" for record in self.flow.log)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Site"]:
        """Work until left."""
        self.assign()
        tasks = [asyncio.create_task(self.pump()), asyncio.create_task(self.lanes.watch(lambda _slot, _next: False))]
        try:
            yield self
            await until_async(lambda: not any(task.done() for task in tasks), what="both to work still")
        finally:
            for task in tasks:
                task.cancel()
            await self.lanes.revoke()


def one_event() -> list[PlainRecord]:
    return on_log([event_content(SECOND, "ada", "e0", "test")])


async def test_a_timer_that_is_due_is_told_by_one_tick_and_the_next_waits_until_that_is_folded() -> None:
    async with Site(one_event()).at_work() as site:
        await site.world.until_position(1)
        await site.looked()
        assert site.ticks == 0
        site.is_fetching = False
        site.clock.advance_to(DUE)
        await until_async(lambda: site.ticks, what="a tick")
        await site.looked()
        assert site.ticks == 1
        site.is_fetching = True
        await site.world.until_position(2)
        assert site.world.stored.timers == {}
        await site.looked()
        assert site.ticks == 1
        assert site.world.meter.read(metrics.TIMERS_DUE_BACKLOG, partition="0") == 0
        assert site.world.meter.read(metrics.CLOCK_AHEAD, partition="0") == 0


async def test_after_one_timer_the_next_is_told_as_well() -> None:
    async with Site(one_event()).at_work() as site:
        site.clock.advance_to(DUE)
        await site.world.until_position(2)
        later = on_log([*[(b"", b"")] * 2, event_content(SECOND + 61, "bob", "e1", "test")])
        site.flow.log.append(later[-1])
        site.clock.advance_to(DUE + timedelta(minutes=2))
        await site.world.until_position(4)
        assert (site.ticks, site.world.stored.timers) == (2, {})


async def test_timers_that_wait_are_shown_with_their_age() -> None:
    async with Site(one_event()).at_work() as site:
        await site.world.until_position(1)
        site.is_fetching = False
        site.clock.advance_to(DUE + timedelta(seconds=7))
        await until_async(lambda: site.ticks, what="a tick")
        assert site.world.meter.read(metrics.TIMERS_DUE_BACKLOG, partition="0") == 7


async def test_a_partition_is_not_fetched_before_its_fence_is_taken() -> None:
    site = Site(one_event())
    site.flow.resume(SLOT)
    site.assign()
    assert site.flow.paused
    await until_async(lambda: not site.flow.paused, what="the fence")
    assert site.lanes.positions() == {SLOT: 0}
    await site.lanes.revoke()


class BrokenStage(WorldStage):
    """Fails as nobody had foreseen."""

    async def prepare(self, records: Sequence[Record], grasp: Grasp) -> Writes | Moved | Missing:
        message = f"nobody had foreseen {len(records)} records at {grasp.next_offset}"
        raise RuntimeError(message)


@pytest.mark.parametrize("where", ["lane", "publisher"])
async def test_an_error_that_nobody_had_foreseen_ends_the_process_with_its_cause(where: str) -> None:
    log = on_log([event_content(SECOND + place, "ada", f"e{place}", "test") for place in range(3)])  # the third makes an output
    site = Site(log, stage=BrokenStage if where == "lane" else WorldStage)
    site.broker.broken = where == "publisher"
    async with site.at_work():
        (reason,) = await until_async(lambda: site.watchdog.reasons, what="an end")
        assert reason.startswith(f"{where} {SLOT.topic}-0: RuntimeError('nobody had foreseen")
        assert site.world.meter.read(metrics.WATCHDOG_EXITS, reason="error") == 1


async def test_partitions_that_stand_still_are_counted_for_as_long_as_they_do() -> None:
    site = Site(one_event())
    site.flow.start = 1
    async with site.at_work():
        await until_async(lambda: site.world.meter.read(metrics.PARTITIONS_HALTED, topic=SLOT.topic) == 1, what="a halt")
        assert "without the beginning" in site.lanes.halted()[SLOT]
        site.flow.start = 0
        await until_async(lambda: site.world.meter.read(metrics.PARTITIONS_HALTED, topic=SLOT.topic) == 0, what="its end")
    assert site.world.meter.read(metrics.PARTITIONS_ASSIGNED, topic=SLOT.topic) == 0

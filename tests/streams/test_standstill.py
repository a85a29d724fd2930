"""A worker ends for a lane that hangs, and not for a server that is away, on a clock that the test moves."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from streams.engine.failpoints import make_failpoint
from streams.engine.fence import Acquired, Birth, Claim, Slot
from streams.engine.lane import LaneTools
from streams.engine.lanes import Lanes
from streams.engine.memory_producer import MemoryProducer
from streams.engine.patience import EXCUSED_TIMES
from streams.engine.producer import Outgoing
from streams.runtime.clock import ManualClock
from streams.runtime.errors import RetryError
from streams.runtime.lifecycle import ExitWatchdog
from streams.wire.records import PlainRecord
from tests.streams.engine_examples import SLOT, event_content, on_log
from tests.streams.lane_world import FaultyFence, LaneWorld, MemoryFlow, WorldStage
from tests.waiting import pause, until_async

STALL_SECONDS = 300


class Recording(ExitWatchdog):
    """Notes for what the process would have ended."""

    def __init__(self) -> None:
        super().__init__(exit_seconds=1, stall_seconds=1)
        self.reasons: list[str] = []

    def fail(self, reason: str) -> None:
        self.reasons.append(reason)


class AwayFence(FaultyFence):
    """Redis that fails every claim, or never answers one."""

    calls = 0
    is_away = False
    hangs = False

    async def acquire(self, slot: Slot, claim: Claim, *, birth: Birth | None = None) -> Acquired:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            message = "Redis does not answer"
            raise RetryError(message)
        return await super().acquire(slot, claim, birth=birth)


class FailingProducer(MemoryProducer):
    """Kafka that fails every record."""

    calls = 0

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        self.calls += 1
        message = f"{len(records)} records were not taken"
        raise RetryError(message)


async def another(server: AwayFence | FailingProducer) -> None:
    """Wait for the next call of `server`."""
    before = server.calls
    await until_async(lambda: server.calls > before, what="another call", every=0)


class Site:
    """One partition in a process whose watchdog looks at it when the test says so."""

    def __init__(self, log: list[PlainRecord], **fields: object) -> None:
        self.now = 0.0
        self.watchdog = Recording()
        self.world = LaneWorld(log, stall_seconds=STALL_SECONDS, **fields)
        self.fence = self.world.fence = AwayFence(self.world.data)
        self.producer = FailingProducer(partitions=1)
        self.flow = MemoryFlow(log)
        tools = LaneTools(
            settings=self.world.settings,
            clock=ManualClock(datetime(2026, 1, 5, tzinfo=UTC)),
            meter=self.world.meter,
            fence=self.fence,
            owner="me",
            failpoint=make_failpoint(""),
            seconds=lambda: self.now,
        )
        stages = {SLOT.topic: lambda _slot: WorldStage(self.world)}
        self.lanes = Lanes(tools=tools, producer=self.producer, stages=stages, watchdog=self.watchdog)
        self.lanes.assign([SLOT], generation=1, flow=self.flow)

    async def pump(self) -> None:
        """Fetch, as the consumer of a worker does."""
        while True:
            found = [] if self.flow.paused else self.flow.log[self.flow.at : self.flow.at + 7]
            self.flow.at += len(found)
            hole = self.lanes.offer(SLOT, found) if found else None
            self.flow.at = self.flow.at if hole is None else hole
            await pause(0)

    def look(self) -> list[str]:
        """Let the watchdog look; the partition has lag."""
        self.lanes.tell(lambda _slot, _next: True)
        return self.watchdog.reasons


async def test_a_lane_whose_server_fails_is_waited_for_and_one_that_hangs_ends_the_worker() -> None:
    site = Site(on_log([event_content(0, "ada", "e0", "test")]))
    site.fence.is_away = True
    try:
        for _ in range(3):
            site.now += STALL_SECONDS - 1
            await another(site.fence)
            assert site.look() == []
        site.fence.hangs = True
        await another(site.fence)
        site.now += STALL_SECONDS - 1
        assert site.look() == []
        site.now += 2
        assert site.look() == [f"{SLOT.topic}-{SLOT.partition} does not move at offset -1"]
    finally:
        await site.lanes.revoke()


async def test_a_lane_whose_calls_only_ever_fail_ends_the_worker_in_the_end() -> None:
    site = Site(on_log([event_content(0, "ada", "e0", "test")]))
    site.fence.is_away = True
    try:
        for _ in range(EXCUSED_TIMES):
            site.now += STALL_SECONDS
            await another(site.fence)
            assert site.look() == []
        site.now += 1
        await another(site.fence)
        assert site.look() == [f"{SLOT.topic}-{SLOT.partition} does not move at offset -1"]
    finally:
        await site.lanes.revoke()


async def test_a_lane_that_waits_for_a_full_outbox_waits_for_kafka_and_ends_no_worker() -> None:
    site = Site(on_log([event_content(number, "ada", f"e{number}", "test") for number in range(60)]), outbox_limit=2)
    pumping = asyncio.create_task(site.pump())
    try:
        await another(site.producer)
        for _ in range(3):
            site.now += STALL_SECONDS - 1
            await another(site.producer)
            assert site.look() == []
    finally:
        pumping.cancel()
        await site.lanes.revoke()


async def test_of_a_revoked_partition_nothing_goes_on() -> None:
    before = asyncio.all_tasks()
    site = Site(on_log([event_content(0, "ada", "e0", "test")]))
    site.fence.hangs = True
    await another(site.fence)
    assert len(asyncio.all_tasks() - before) > 1
    await site.lanes.revoke()
    assert asyncio.all_tasks() == before
    assert site.lanes.positions() == {}

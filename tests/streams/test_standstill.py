"""A worker ends for a lane that hangs, and not for a server that is away, on a clock that the test moves."""

import asyncio
from collections.abc import Sequence

from streams.engine.fence import Acquired, Birth, Claim, Slot
from streams.engine.memory_producer import MemoryProducer
from streams.engine.patience import EXCUSED_TIMES
from streams.engine.producer import Outgoing
from streams.runtime.errors import RetryError
from streams.wire.records import PlainRecord
from tests.streams.engine_examples import SLOT, event_content, on_log
from tests.streams.lane_world import FaultyFence, LaneWorld, Process
from tests.waiting import until_async

STALL_SECONDS = 300


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


class Site(Process):
    """One partition in a process whose watchdog looks at it when the test says so."""

    def __init__(self, log: list[PlainRecord], **fields: object) -> None:
        self.now = 0.0
        world = LaneWorld(log, stall_seconds=STALL_SECONDS, **fields)
        self.fence = world.fence = AwayFence(world.data)
        self.producer = FailingProducer(partitions=1)
        super().__init__(world, self.producer, tools=world.tools(seconds=lambda: self.now))
        self.assign()

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

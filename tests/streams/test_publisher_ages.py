"""How long an event took to become a trigger on its topic, as the publisher counts it and as each trigger tells by station."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from models.workdays import moment
from streams.engine.failpoints import make_failpoint
from streams.engine.fence import Birth, Claim
from streams.engine.memory_fence import MemoryFence
from streams.engine.memory_producer import MemoryProducer
from streams.engine.publisher import Publisher
from streams.engine.stage import Grasp
from streams.engine.writes import Writes
from streams.runtime.clock import ManualClock
from streams.runtime.metrics import EVENT_TO_TRIGGER, OUTBOX_DEPTH, OUTBOX_OLDEST_AGE, Meter
from streams.state.memory_store import MemoryPartitions
from streams.wire.headers import LOGGED, STATIONS, read_stations
from tests.streams.engine_examples import SLOT, commit_call, entry, event_content, on_log
from tests.streams.lane_world import LaneWorld

LOGGED_MS = 1_767_600_000_000


async def test_triggers_are_counted_by_how_long_ago_their_event_reached_the_log_and_other_outputs_are_not() -> None:
    fence, meter = MemoryFence(MemoryPartitions()), Meter()
    claim = Claim(generation=1, owner="me")
    await fence.acquire(SLOT, claim, birth=Birth(next_offset=0, ver="v0"))
    trigger = entry(0)
    trigger = replace(trigger, headers=(*trigger.headers, (LOGGED, b"%d" % LOGGED_MS)))
    outputs = (trigger, replace(trigger, topic="decisions", position=entry(1).position), entry(2))
    await fence.commit(SLOT, commit_call(claim, "v0", 0, "v1", Writes(next_offset=3, watermark_ms=0, outbox=outputs), 50))
    clock = ManualClock(moment(LOGGED_MS) + timedelta(seconds=7))
    publisher = Publisher(
        SLOT,
        fence=fence,
        producer=MemoryProducer(partitions=1),
        meter=meter,
        failpoint=make_failpoint(""),
        clock=clock,
    )
    grasp = Grasp(claim=claim, next_offset=3, ver="v1", watermark_ms=0, outbox_depth=3, next_due_ms=None, high_water={})
    publisher.wake(grasp)
    while await publisher.publish_some():
        pass
    name = EVENT_TO_TRIGGER.full_name
    assert meter.registry.get_sample_value(f"{name}_count") == 1  # a trigger without its time is not guessed at
    assert meter.registry.get_sample_value(f"{name}_sum") == 7


async def test_how_much_waits_and_for_how_long_is_shown_while_nothing_moves_and_gone_when_all_has_left() -> None:
    fence, meter = MemoryFence(MemoryPartitions()), Meter()
    claim = Claim(generation=1, owner="me")
    await fence.acquire(SLOT, claim, birth=Birth(next_offset=0, ver="v0"))
    await fence.commit(
        SLOT, commit_call(claim, "v0", 0, "v1", Writes(next_offset=2, watermark_ms=0, outbox=(entry(0), entry(1))), 50)
    )
    publisher = Publisher(SLOT, fence=fence, producer=MemoryProducer(partitions=1), meter=meter, failpoint=make_failpoint(""))

    def shown() -> tuple[float, bool]:
        publisher.report()
        labels = {"topic": SLOT.topic, "partition": str(SLOT.partition)}
        return meter.read(OUTBOX_DEPTH, **labels), meter.read(OUTBOX_OLDEST_AGE, **labels) > 0

    assert shown() == (0, False)
    publisher.wake(Grasp(claim=claim, next_offset=2, ver="v1", watermark_ms=0, outbox_depth=2, next_due_ms=None, high_water={}))
    assert shown() == (2, True)
    while await publisher.publish_some():
        pass
    assert shown() == (0, False)


class RunningClock(ManualClock):
    """Goes on by a second each time it is read."""

    def now(self) -> datetime:
        self.advance_to(super().now() + timedelta(seconds=1))
        return super().now()


async def test_every_trigger_tells_when_its_event_was_received_logged_folded_and_only_then_stored() -> None:
    world = LaneWorld(on_log([event_content(number, "ada", f"e{number}", "test") for number in range(40)]))
    world.lane(clock=RunningClock(datetime(2026, 1, 5, 12, tzinfo=UTC)))
    try:
        await world.until_done()
    finally:
        await world.close()
    told = [read_stations(record.headers) for record in world.producer.topics["triggers.email", 0]]
    assert len(told) > 5
    assert all(row.keys() == set(STATIONS) for row in told)
    assert all(row["received_ms"] <= row["logged_ms"] < row["folded_ms"] < row["committed_ms"] for row in told)

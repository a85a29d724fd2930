"""Lanes against everything that Redis, Kafka and other processes may do to them; the truth is always the oracle's."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.engine.fence import Claim
from streams.engine.memory_producer import MemoryProducer
from streams.engine.oracle import fold_partition
from streams.engine.producer import Outgoing
from streams.runtime import metrics
from streams.runtime.errors import RetryError
from streams.wire.records import PlainRecord
from tests.streams.counting import SENSELESS, CountingProgram
from tests.streams.engine_examples import SLOT, event_content, logs, on_log, tick_content
from tests.streams.lane_world import LaneWorld, MemoryFlow
from tests.waiting import until_async

CLIENTS = ("ada", "bob", "eve")


def make_log(length: int) -> list[PlainRecord]:
    contents = [
        tick_content(number + 70) if number % 9 == 8 else event_content(number, CLIENTS[number % 3], f"e{number % 50}", "test")
        for number in range(length)
    ]
    return on_log(contents)


@asynccontextmanager
async def world_of(log: list[PlainRecord], **fields: object) -> AsyncIterator[LaneWorld]:
    world = LaneWorld(log, **fields)
    try:
        yield world
    finally:
        await world.close()


def assert_equals_oracle(world: LaneWorld) -> None:
    truth = fold_partition(CountingProgram(), world.log, partitions=1)
    assert world.stored.states == truth.states
    assert world.stored.timers == truth.timers
    assert world.accepted() == [tuple(told) for told in truth.outputs]


async def test_a_lane_folds_its_log_to_the_end() -> None:
    async with world_of(make_log(60)) as world:
        world.lane()
        await world.until_done()
        assert_equals_oracle(world)


@pytest.mark.parametrize("fault", ["lost request", "lost reply"])
async def test_lost_requests_and_lost_replies_change_nothing(fault: str) -> None:
    async with world_of(make_log(40)) as world:
        world.fence.faults = ["", "", fault, fault, "", "", fault, "", "", fault]
        world.lane()
        await world.until_done()
        assert_equals_oracle(world)


async def test_a_batch_whose_states_were_moved_for_a_moment_is_read_again_and_not_passed_over() -> None:
    async with world_of(make_log(40)) as world:
        world.fence.faults = ["", "", "moved"]  # the claim, an idle look back or a first load, and a load
        world.lane()
        await world.until_done()
        assert_equals_oracle(world)
        assert not world.fence.faults


class AwayProducer(MemoryProducer):
    """Kafka that takes no record while it is away."""

    is_away = True

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        if self.is_away:
            message = "Kafka is away"
            raise RetryError(message)
        return await super().send_all(records)


async def test_what_a_predecessor_left_in_the_outbox_leaves_though_no_event_comes() -> None:
    world = LaneWorld(make_log(40))
    world.producer = producer = AwayProducer(partitions=1)
    world.lane()
    await world.until_position(len(world.log))
    await world.close()
    assert world.stored.outbox
    producer.is_away = False
    world.lane(generation=2, owner="next")
    await world.until_done()
    assert_equals_oracle(world)
    await world.close()


async def test_a_lane_knows_after_each_batch_when_the_next_timer_is_due() -> None:
    async with world_of(make_log(7)) as world:
        running = world.lane()
        await world.until_done()
        due = [moment for moment in world.stored.timers.values() if moment is not None]
        assert due
        assert running.lane.grasp is not None
        assert running.lane.grasp.next_due_ms == min(due)


async def test_dead_letters_are_counted_by_their_reason_and_only_once_they_are_stored() -> None:
    poison = event_content(1, "ada", "p1", "poison")
    log = on_log([poison, (b"bob", b"{"), event_content(2, "ada", "e2", "test"), (b"bob", b"{"), tick_content(9)])
    async with world_of(log, batch_records=2) as world:
        world.fence.faults = ["", "", "lost request", "", "", "lost reply"]
        world.lane()
        await world.until_done()
        counted = {
            reason: world.meter.read(metrics.DLQ_RECORDS, stage="clients", reason=reason) for reason in (SENSELESS, "bad_json")
        }
        assert counted == {SENSELESS: 1, "bad_json": 2}
        assert world.meter.read(metrics.EVENTS_PROCESSED, type="unreadable", outcome="poison") == 2


async def test_states_stay_decoded_between_batches_and_are_loaded_once() -> None:
    async with world_of(make_log(60)) as world:
        world.lane()
        await world.until_done()
        assert world.fence.loaded == Counter(CLIENTS)


async def test_a_closed_lane_ends_by_itself() -> None:
    async with world_of(make_log(20)) as world:
        running = world.lane()
        await world.until_done()
        running.lane.close()
        assert running.work is not None
        await asyncio.wait_for(running.work, timeout=5)


async def test_a_redis_that_comes_back_with_an_older_state_is_noticed_and_folded_forward_again() -> None:
    async with world_of(make_log(200)) as world:
        flow = MemoryFlow(world.log[:20])
        world.lane(flow=flow)
        await world.until_position(20)
        saved = world.save()
        flow.log = world.log[:80]
        await world.until_position(80)
        flow.log = world.log
        world.restore(saved)
        await world.until_done()
        assert_equals_oracle(world)
        assert world.meter.read(metrics.REDIS_ROLLBACKS, topic=SLOT.topic) >= 1


async def test_a_redis_that_lost_everything_is_rebuilt_and_nothing_is_published_twice() -> None:
    async with world_of(make_log(100)) as world:
        world.lane()
        await world.until_done()
        before = {place: len(records) for place, records in world.producer.topics.items()}
        world.restore(LaneWorld([]).stored)
        world.log += [
            PlainRecord(topic=at.topic, partition=0, offset=100 + at.offset, timestamp=at.timestamp, key=at.key, value=at.value)
            for at in make_log(3)
        ]
        await world.until_done()
        assert_equals_oracle(world)
        after = {place: len(records) for place, records in world.producer.topics.items()}
        assert all(after[place] - before[place] <= 3 for place in before)


async def test_an_old_owner_that_wakes_up_late_cannot_write() -> None:
    async with world_of(make_log(120)) as world:
        old = MemoryFlow(world.log[:40])
        world.lane(generation=1, owner="old", flow=old)
        await world.until_position(40)
        old.member = False
        world.lane(generation=2, owner="new")
        await world.until_position(80)
        old.log = world.log
        await until_async(lambda: old.proofs > 1, what="the old owner's doubts")
        await world.until_done()
        assert_equals_oracle(world)
        assert world.stored.fence is not None
        assert world.stored.fence.owner == "new"


async def test_a_group_that_the_broker_forgot_begins_a_new_incarnation() -> None:
    async with world_of(make_log(30)) as world:
        await world.fence.acquire(SLOT, Claim(generation=57, owner="before"))
        first = world.lane(generation=57, owner="before")
        await world.until_done()
        assert first.work is not None
        first.work.cancel()
        world.lane(generation=1, owner="after")
        await until_async(lambda: world.stored.fence is not None and world.stored.fence.owner == "after", what="the new owner")
        assert world.stored.fence is not None
        assert world.stored.fence.incarnation == 1


async def test_who_was_fenced_by_a_new_incarnation_does_not_take_it_back_by_the_higher_generation_of_a_forgotten_group() -> None:
    async with world_of(make_log(80), idle_check_seconds=60) as world:
        old = MemoryFlow(world.log[:40])
        world.lane(generation=57, owner="before", flow=old)
        await world.until_position(40)
        old.member = False
        world.lane(generation=1, owner="after")
        await world.until_done()
        world.log += make_log(84)[80:]
        old.log = world.log
        await until_async(lambda: old.proofs > 1, what="the old owner's doubts")
        await world.until_done()
        assert_equals_oracle(world)
        assert world.stored.fence is not None
        assert (world.stored.fence.owner, world.stored.fence.incarnation) == ("after", 1)


async def test_records_that_the_client_library_lost_are_read_again() -> None:
    async with world_of(make_log(60)) as world:
        flow = MemoryFlow(world.log)
        flow.lose = {3, 17, 18, 44}
        world.lane(flow=flow)
        await world.until_done()
        assert_equals_oracle(world)
        assert world.meter.read(metrics.OFFSET_GAPS, topic=SLOT.topic, kind="reread") == 3
        assert world.meter.read(metrics.OFFSET_GAPS, topic=SLOT.topic, kind="accepted") == 0


async def test_records_that_the_client_library_loses_again_and_again_are_never_taken_for_absent() -> None:
    async with world_of(make_log(60)) as world:
        flow = MemoryFlow(world.log)
        flow.lose_often = Counter({3: 2, 17: 5, 18: 5, 44: 9})
        world.lane(flow=flow)
        await world.until_done()
        assert_equals_oracle(world)
        assert world.meter.read(metrics.OFFSET_GAPS, topic=SLOT.topic, kind="refuted") > 0
        assert world.meter.read(metrics.OFFSET_GAPS, topic=SLOT.topic, kind="accepted") == 0


async def test_records_lost_at_the_end_of_the_log_where_no_hole_shows_are_read_again_after_a_while() -> None:
    async with world_of(make_log(60)) as world:
        flow = MemoryFlow(world.log)
        flow.lose_often = Counter({57: 1, 58: 1, 59: 1})
        world.lane(flow=flow)
        await world.until_done()
        assert_equals_oracle(world)


async def test_a_hole_that_is_in_the_log_itself_is_accepted_when_the_log_was_asked() -> None:
    async with world_of(make_log(60)) as world:
        flow = MemoryFlow(world.log)
        flow.absent = frozenset({7, 30, 31, 32})
        world.lane(flow=flow)
        await world.until_position(60)
        truth = fold_partition(CountingProgram(), [at for at in world.log if at.offset not in flow.absent], partitions=1)
        assert world.stored.states == truth.states
        assert flow.questions == 2
        assert world.meter.read(metrics.OFFSET_GAPS, topic=SLOT.topic, kind="accepted") == 2


async def test_a_hole_because_retention_passed_the_reader_halts_the_partition() -> None:
    async with world_of(make_log(60)) as world:
        flow = MemoryFlow(world.log[:20])
        running = world.lane(flow=flow)
        await world.until_position(20)
        flow.start, flow.absent = 40, frozenset(range(40))  # deleted while we read; the consumer jumps to what there is
        flow.log = world.log
        halted = await until_async(lambda: running.lane.halted, what="a halt")
        assert "retention has deleted" in str(halted)
        assert world.position() == 20


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda flow: setattr(flow, "start", 50), "retention has deleted"),
        (lambda flow: setattr(flow, "end", 2), "mix two clusters"),
    ],
    ids=["retention passed the position", "the log ends before the position"],
)
async def test_a_position_outside_the_log_halts_the_partition_with_the_cause(
    spoil: Callable[[MemoryFlow], None], words: str
) -> None:
    async with world_of(make_log(40)) as world:
        first = world.lane()
        await world.until_done()
        assert first.work is not None
        first.work.cancel()
        flow = MemoryFlow(world.log)
        spoil(flow)
        second = world.lane(generation=2, owner="next", flow=flow)
        halted = await until_async(lambda: second.lane.halted, what="a halt")
        assert words in str(halted)
        assert flow.paused


async def test_a_halted_partition_goes_on_by_itself_once_a_person_has_mended_the_cause() -> None:
    async with world_of(make_log(40)) as world:
        flow = MemoryFlow(world.log)
        flow.start = 5
        running = world.lane(flow=flow)
        await until_async(lambda: running.lane.halted, what="a halt")
        flow.start = 0
        await world.until_done()
        assert running.lane.halted is None
        assert_equals_oracle(world)


async def test_a_state_that_a_newer_release_wrote_halts_its_partition_and_is_left_as_it_is() -> None:
    async with world_of(make_log(60)) as world:
        flow = MemoryFlow(world.log[:20])
        running = world.lane(flow=flow)
        await world.until_position(20)
        client, known = next(iter(world.stored.states.items()))
        world.stored.states[client] = newer = b"\x03" + known
        assert world.stored.fence is not None
        world.stored.fence.ver = "theirs"
        flow.log = world.log
        halted = await until_async(lambda: running.lane.halted, what="a halt")
        assert "run the release that wrote it" in str(halted)
        assert world.stored.states[client] == newer
        world.stored.states[client] = known
        await world.until_done()
        assert_equals_oracle(world)


async def test_a_first_use_without_the_beginning_of_the_log_halts() -> None:
    async with world_of(make_log(40)) as world:
        flow = MemoryFlow(world.log)
        flow.start = 5
        running = world.lane(flow=flow)
        assert "without the beginning" in str(await until_async(lambda: running.lane.halted, what="a halt"))


async def test_a_full_lane_pauses_its_partition_and_goes_on_when_relieved() -> None:
    async with world_of(make_log(300), lane_records=10, batch_records=3) as world:
        running = world.lane()
        await world.until_done()
        assert_equals_oracle(world)
        assert running.flow.pauses > 0


async def test_a_full_outbox_holds_the_lane_until_the_publisher_has_made_room() -> None:
    async with world_of(make_log(120), outbox_limit=2) as world:
        world.lane()
        await world.until_done()
        assert_equals_oracle(world)


_ACTS = st.sampled_from(["lost request", "lost reply", "save", "restore", "forget", "take over", "step", "step", "step"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs, acts=st.lists(_ACTS, max_size=12), hops=st.lists(st.integers(1, 9), min_size=12, max_size=12))
async def test_whatever_happens_in_whatever_order_the_end_is_the_oracle_s(
    log: list[PlainRecord], acts: list[str], hops: list[int]
) -> None:
    async with world_of([]) as world:
        current = world.lane()
        generation, saved = 1, world.save()
        for act, hop in zip(acts, hops, strict=False):
            world.log += log[len(world.log) : len(world.log) + hop]
            match act:
                case "step":
                    await world.until_position(len(world.log))
                case "lost request" | "lost reply":
                    world.fence.faults += ["", act]
                case "save":
                    saved = world.save()
                case "restore":
                    world.restore(saved)
                case "forget":
                    world.restore(LaneWorld([]).stored)
                case "take over":
                    current.flow.member = False
                    generation += 1
                    current = world.lane(generation=generation, owner=f"owner-{generation}")
        world.log += log[len(world.log) :]
        await world.until_done()
        assert_equals_oracle(world)

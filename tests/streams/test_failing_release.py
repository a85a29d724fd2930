"""A release that fails on single events makes dead letters of them; on many, the partition stands still."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.control import ClockTicked
from models.events.union import AnyControlEvent, AnyEvent
from streams.agents.clients import MOST_FAILED, ClientsStage
from streams.engine.fence import Birth, Claim, Held, Missing, Moved
from streams.engine.fold import AGAIN_MS, Program
from streams.engine.memory_fence import MemoryFence
from streams.engine.oracle import PartitionFold, fold_partition
from streams.engine.stage import Grasp, HaltError
from streams.engine.writes import Outcome, Writes
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.memory_store import MemoryPartitions
from streams.wire.dead_letters import DeadLetter, Reason, read_dead_letter
from streams.wire.records import PlainRecord
from tests.streams.counting import Counted, CountingProgram, Tally
from tests.streams.engine_examples import SLOT, START_MS, control_content, event_content, logs, on_log, tick_content
from tests.streams.test_fold import Stored

BROKEN = "broken"
SECRET = "4000-0012"


@dataclass(frozen=True)
class Breaking(CountingProgram):
    """Fails on events of one source, and on the timers of clients of one name."""

    def think(self, state: Tally | None, event: AnyEvent) -> Counted:
        if event.source == BROKEN or (isinstance(event, ClockTicked) and state is not None and state.client_id == "ada"):
            raise KeyError(SECRET)
        return super().think(state, event)


def letters(stored: Stored) -> list[DeadLetter]:
    rows = [at for at in stored.outbox if at.topic == "dead.letters"]
    common = {"topic": "dead.letters", "partition": 0, "offset": 0, "timestamp": 0}
    return [read_dead_letter(PlainRecord(**common, key=at.key, value=at.value, headers=at.headers)) for at in rows]  # type: ignore[arg-type]


def test_an_event_on_which_the_release_fails_is_kept_and_its_neighbours_are_folded() -> None:
    contents = [event_content(second, "ben", f"e{second}", BROKEN if second == 1 else "test") for second in range(3)]
    log, stored = on_log(contents), Stored(Breaking())
    stored.feed(log, [50])
    (letter,) = letters(stored)
    assert (letter.reason, letter.value, letter.src_offset) == (Reason.FAILED, log[1].value, 1)
    assert "KeyError in think" in letter.detail
    assert SECRET not in letter.detail
    assert stored.counts["payment.received", Outcome.APPLIED] == 2
    assert stored.program.decode(stored.states["ben"]).count == 2


def test_a_timer_on_which_the_release_fails_is_tried_again_a_day_later_and_others_fire() -> None:
    stored = Stored(Breaking())
    stored.feed(on_log([*(event_content(0, name, name, "test") for name in ("ada", "ben")), tick_content(60)]), [50])
    (letter,) = letters(stored)
    assert (letter.reason, "'ada'" in letter.detail) == (Reason.FAILED, True)
    assert [at.key for at in stored.outbox if at.topic == "decisions"] == [b"ben"]
    assert stored.timers == {"ada": START_MS + 60_000 + AGAIN_MS}


@given(log=logs, broken=st.sets(st.integers(0, 40)), sizes=st.lists(st.integers(1, 25), min_size=1, max_size=6))
def test_wherever_batches_are_cut_what_fails_fails_as_for_the_oracle(
    log: list[PlainRecord], broken: set[int], sizes: list[int]
) -> None:
    contents = [
        event_content(row.offset, "ada", f"x{row.offset}", BROKEN) if row.offset in broken else (row.key, row.value or b"")
        for row in log
    ]
    log, stored = on_log(contents), Stored(Breaking())
    stored.feed(log, sizes)
    truth = fold_partition(Breaking(), log, partitions=1)
    assert (stored.states, stored.timers) == (truth.states, truth.timers)
    assert [(at.position, at.topic, at.key, at.value) for at in stored.outbox] == [tuple(told) for told in truth.outputs]
    assert stored.next_offset == len(log)


async def stage_of(program: Program[Any]) -> tuple[ClientsStage[Any], Grasp]:
    fence, claim = MemoryFence(MemoryPartitions()), Claim(generation=1, owner="one", incarnation=0)
    held = await fence.acquire(SLOT, claim, birth=Birth(next_offset=0, ver="v"))
    assert isinstance(held, Held)
    grasp = Grasp(
        claim=claim, next_offset=0, ver="v", watermark_ms=0, outbox_depth=0, next_due_ms=None, high_water={}, regime=b""
    )
    stage = ClientsStage(SLOT, program=program, fence=fence, settings=Settings(partitions=1), meter=Meter())
    return stage, grasp


async def prepared(program: Program[Any], contents: Sequence[tuple[bytes | None, bytes]]) -> Writes | Moved | Missing:
    stage, grasp = await stage_of(program)
    return await stage.prepare(on_log(contents), grasp)


def failing(clients: int) -> list[tuple[bytes | None, bytes]]:
    return [event_content(second, f"client-{second % clients}", f"e{second}", BROKEN) for second in range(2 * clients)]


async def test_a_release_that_fails_on_many_clients_makes_the_partition_stand_still() -> None:
    assert isinstance(await prepared(Breaking(), failing(MOST_FAILED)), Writes)
    with pytest.raises(HaltError, match="it is the release that is wrong"):
        await prepared(Breaking(), failing(MOST_FAILED + 1))


async def test_batch_after_batch_those_on_whom_it_failed_are_counted_once_each() -> None:
    stage, grasp = await stage_of(Breaking())
    for content in failing(MOST_FAILED):
        await stage.prepare(on_log([content]), grasp)
    with pytest.raises(HaltError):
        await stage.prepare(on_log([event_content(0, "one more", "e", BROKEN)]), grasp)


@dataclass(frozen=True)
class Ungoverned(CountingProgram):
    def govern(self, regime: bytes, event: AnyControlEvent) -> bytes:
        del regime, event
        raise ZeroDivisionError(SECRET)


async def test_a_policy_that_cannot_be_carried_out_halts_its_partition_and_stops_no_worker() -> None:
    with pytest.raises(HaltError, match="ZeroDivisionError"):
        await prepared(Ungoverned(), [control_content(0, "c")])


def test_the_oracle_swallows_no_fault_of_who_watches_it() -> None:
    def watch(*_: object) -> None:
        raise KeyError(SECRET)

    fold = PartitionFold(CountingProgram(), partitions=1, watch=watch)
    (record,) = on_log([event_content(0, "ada", "e", "test")])
    with pytest.raises(KeyError):
        fold.feed(record)


@dataclass(frozen=True)
class Unwritable(CountingProgram):
    def encode(self, state: Tally) -> bytes:
        del state
        raise OverflowError(SECRET)


async def test_a_state_that_cannot_be_written_halts_its_partition_and_stops_no_worker() -> None:
    with pytest.raises(HaltError, match="OverflowError") as raised:
        await prepared(Unwritable(), [event_content(0, "ada", "e", "test")])
    assert SECRET not in str(raised.value)

"""Ticks say what time it is; nobody believes one that is ahead of the broker, and a worker notices when its clock is."""

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.ticks import TICK_SLACK_MS, BrokerTime, believed_ms
from streams.runtime.clock import ManualClock
from tests.models.builders import on

_MOMENTS = st.integers(0, 2**42)


@given(tick=_MOMENTS, arrived=_MOMENTS, watermark=_MOMENTS)
def test_a_tick_is_believed_no_further_than_the_broker_s_clock_and_never_behind_an_earlier_one(
    tick: int, arrived: int, watermark: int
) -> None:
    believed = believed_ms(tick, arrived_ms=arrived, watermark_ms=watermark)
    assert watermark <= believed <= max(watermark, arrived + TICK_SLACK_MS)
    assert believed == tick or believed in {watermark, arrived + TICK_SLACK_MS}


def run(ahead_ms: int, *, due_ms: int, until_ms: int) -> tuple[list[int], int]:
    """Let a worker whose clock is `ahead_ms` ahead look around; returns when it wrote ticks and when the timer fired."""
    held, watermark, written, tick_out = BrokerTime(), 0, [], False
    for true_ms in range(10**6, until_ms, 100):
        if tick_out:
            held.folded(watermark)
        own = true_ms + ahead_ms
        now = max(held.now(own), watermark)
        if now < due_ms:
            tick_out = False
            continue
        held.tell(now, own)
        written.append(true_ms)
        watermark = believed_ms(now, arrived_ms=true_ms, watermark_ms=watermark)
        tick_out = True
        if watermark >= due_ms:
            return written, true_ms
    return written, -1


@given(ahead_ms=st.integers(2_000, 10**8))
def test_a_worker_far_ahead_writes_a_few_ticks_in_vain_and_fires_on_time(ahead_ms: int) -> None:
    due = 10**6 + 400_000
    written, fired = run(ahead_ms, due_ms=due, until_ms=due + 5_000)
    assert due - TICK_SLACK_MS <= fired <= due + 200
    assert len(written) <= 4


@given(behind_ms=st.integers(-TICK_SLACK_MS, 0))
def test_a_worker_that_is_not_ahead_writes_no_tick_in_vain(behind_ms: int) -> None:
    due = 10**6 + 50_000
    written, fired = run(-behind_ms, due_ms=due, until_ms=due + 5_000)
    assert written == [fired]


def test_a_clock_that_was_set_right_is_trusted_again() -> None:
    held = BrokerTime()
    held.tell(3_600_000, 3_600_000)
    assert held.folded(1_000) == 3_599_000
    assert held.now(3_600_500) == 1_500
    assert held.now(2_000) == 2_000


def test_what_was_learned_is_forgotten_after_ten_minutes() -> None:
    held = BrokerTime()
    held.tell(3_600_000, 3_600_000)
    held.folded(1_000)
    assert held.now(3_600_000 + 600_000) == 3_600_000 + 600_000
    assert held.folded(1_000) == 0


@given(behind_ms=st.integers(1, 10**8), latencies=st.lists(st.integers(0, 5_000), min_size=1, max_size=20))
def test_a_worker_that_is_behind_learns_it_from_records_and_never_overshoots(behind_ms: int, latencies: list[int]) -> None:
    time, true_ms = BrokerTime(), 10**12
    for latency in latencies:
        true_ms += 1_000
        time.hear(true_ms - latency, true_ms - behind_ms)
        assert time.now(true_ms - behind_ms) <= true_ms
    assert time.now(true_ms - behind_ms) >= true_ms - max(latencies[-1], behind_ms if behind_ms <= latencies[-1] else 0)


def test_records_from_the_past_teach_nothing() -> None:
    time = BrokerTime()
    time.hear(1_000, 500_000)
    assert time.now(500_000) == 500_000


def test_a_clock_that_is_told_an_earlier_moment_stands_still() -> None:
    clock = ManualClock(on(5))
    clock.advance_to(on(4))
    assert clock.now() == on(5)
    clock.advance_to(on(6))
    assert clock.now() == on(6)

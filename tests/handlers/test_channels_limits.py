from hypothesis import given
from hypothesis import strategies as st

from handlers.channels.backoff import FIRST_MS, LONGEST_MS, retry_delay_ms
from handlers.channels.breaker import FAILURES_TO_OPEN, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Breaker
from handlers.channels.pace import Pace


@given(trigger_id=st.text(max_size=40), attempt=st.integers(1, 10_000))
def test_a_retry_waits_between_half_and_the_whole_of_its_step_and_the_same_each_time(trigger_id: str, attempt: int) -> None:
    step = min(LONGEST_MS, FIRST_MS * 2 ** min(attempt - 1, 40))
    delay = retry_delay_ms(trigger_id, attempt=attempt)
    assert step / 2 <= delay <= step
    assert delay == retry_delay_ms(trigger_id, attempt=attempt)


def test_triggers_that_failed_together_do_not_return_together() -> None:
    delays = [retry_delay_ms(f"t{number}", attempt=5) for number in range(1_000)]
    tenth = 2_000 * 2**4 / 2 / 10
    fullest = max(sum(1 for delay in delays if at * tenth <= delay - 16_000 < (at + 1) * tenth) for at in range(10))
    assert fullest < 200


def opened(*, at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.started()
        breaker.failed(at=at)
    return breaker


def test_a_breaker_stays_closed_while_failures_are_not_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(FAILURES_TO_OPEN - 1):
            breaker.failed(at=0)
        breaker.succeeded()
    assert breaker.free(wanted=8, at=0) == 8


def test_an_open_breaker_lets_one_probe_through_after_its_pause() -> None:
    breaker = opened()
    assert breaker.free(wanted=8, at=FIRST_PAUSE_SECONDS * 0.99) == 0
    assert breaker.free(wanted=8, at=FIRST_PAUSE_SECONDS) == 1
    breaker.started()
    assert breaker.free(wanted=8, at=FIRST_PAUSE_SECONDS) == 0


def test_a_probe_that_never_reached_the_provider_is_followed_by_another() -> None:
    breaker = opened()
    breaker.started()
    breaker.skipped()
    assert breaker.free(wanted=8, at=FIRST_PAUSE_SECONDS) == 1


def test_each_failed_probe_doubles_the_pause_up_to_a_minute_and_a_success_forgets_it() -> None:
    breaker, at, pauses = opened(), 0.0, []
    for _ in range(8):
        pause = next(pause for pause in (1, 2, 4, 8, 16, 32, 60) if breaker.free(wanted=1, at=at + pause))
        pauses.append(pause)
        at += pause
        breaker.started()
        breaker.failed(at=at)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    breaker.succeeded()
    assert breaker.free(wanted=8, at=at) == 8


@given(
    per_second=st.floats(0.1, 1_000),
    arrivals=st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=60).map(sorted),
)
def test_no_second_sees_more_starts_than_two_seconds_worth_and_none_starts_early(
    per_second: float, arrivals: list[float]
) -> None:
    pace = Pace(per_second)
    starts = [at + pace.reserve(at=at) for at in arrivals]
    assert all(start >= at for start, at in zip(starts, arrivals, strict=True))
    for start in starts:
        within = sum(1 for other in starts if start <= other < start + 1)
        assert within <= 2 * max(per_second, 1) + 1


def test_after_a_quiet_time_a_second_worth_goes_at_once_and_the_rest_is_spaced() -> None:
    pace = Pace(10)
    waits = [pace.reserve(at=100.0) for _ in range(12)]
    assert waits[:10] == [0.0] * 10
    assert [round(wait, 3) for wait in waits[10:]] == [0.1, 0.2]

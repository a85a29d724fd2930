"""When a source is late: by its own hours of the week, and never before they are known."""

from hypothesis import given
from hypothesis import strategies as st

from models.feeds import LATE_BELOW, Arrivals
from models.workdays import DAY_MS, HOUR_MS

MONDAY = 1_704_672_000_000  # 2024-01-08 00:00 UTC
WEEK_MS = 7 * DAY_MS


def office(weeks: int = 4, *, per_hour: int = 1) -> Arrivals:
    """Return a source that was heard on working days from 8 to 18, until Friday of the last week."""
    arrivals = Arrivals(MONDAY + 8 * HOUR_MS)
    for week in range(weeks):
        for day in range(5):
            for hour in range(8, 18):
                for each in range(per_hour):
                    arrivals.heard(MONDAY + week * WEEK_MS + day * DAY_MS + hour * HOUR_MS + each * HOUR_MS // per_hour)
    return arrivals


def test_a_silent_weekend_is_usual_and_a_silent_monday_is_not() -> None:
    arrivals = office()
    monday = MONDAY + 4 * WEEK_MS
    assert not arrivals.is_late(monday + 8 * HOUR_MS)
    assert not arrivals.is_late(monday + 10 * HOUR_MS)
    assert arrivals.is_late(monday + 15 * HOUR_MS)


def test_a_source_heard_around_the_clock_is_late_within_a_few_hours() -> None:
    arrivals = Arrivals(MONDAY)
    for hour in range(6 * 168):
        arrivals.heard(MONDAY + hour * HOUR_MS)
    last = arrivals.last_ms
    assert not arrivals.is_late(last + 2 * HOUR_MS)
    assert arrivals.is_late(last + 7 * HOUR_MS)


def test_a_source_that_speaks_once_a_week_is_not_late_the_day_after() -> None:
    arrivals = Arrivals(MONDAY)
    for week in range(10):
        arrivals.heard(MONDAY + week * WEEK_MS)
    assert not arrivals.is_late(arrivals.last_ms + DAY_MS)
    assert not arrivals.is_late(arrivals.last_ms + WEEK_MS + DAY_MS)


def test_before_a_whole_week_was_heard_nobody_is_late() -> None:
    arrivals = Arrivals(MONDAY)
    for hour in range(60):
        arrivals.heard(MONDAY + hour * HOUR_MS)
    assert arrivals.likelihood_of_silence(MONDAY + 100 * HOUR_MS) == 1.0


def test_the_next_arrival_ends_the_lateness() -> None:
    arrivals = office()
    now = MONDAY + 4 * WEEK_MS + 16 * HOUR_MS
    assert arrivals.is_late(now)
    arrivals.heard(now)
    assert not arrivals.is_late(now + HOUR_MS)


@given(st.integers(1, 40))
def test_how_much_comes_in_an_hour_changes_nothing(per_hour: int) -> None:
    friday_evening = MONDAY + 3 * WEEK_MS + 5 * DAY_MS - 6 * HOUR_MS - 1
    now = MONDAY + 4 * WEEK_MS + 11 * HOUR_MS
    likelihoods = []
    for arrivals in (office(), office(per_hour=per_hour)):
        arrivals.heard(friday_evening)
        likelihoods.append(arrivals.likelihood_of_silence(now))
    assert likelihoods[0] == likelihoods[1] > LATE_BELOW


@given(st.lists(st.integers(0, 8 * 168), min_size=2, max_size=60), st.integers(0, 200), st.integers(0, 100))
def test_the_longer_the_silence_the_less_likely_it_is(hours: list[int], first: int, more: int) -> None:
    arrivals = Arrivals(MONDAY)
    for hour in sorted(hours):
        arrivals.heard(MONDAY + hour * HOUR_MS)
    then = arrivals.last_ms + first * HOUR_MS
    assert arrivals.likelihood_of_silence(then + more * HOUR_MS) <= arrivals.likelihood_of_silence(then) <= 1.0


@given(st.lists(st.integers(0, 80 * 168), min_size=1, max_size=60), st.data(), st.integers(0, 300))
def test_the_order_in_which_arrivals_are_told_changes_nothing(hours: list[int], data: st.DataObject, silent: int) -> None:
    now = MONDAY + (max(hours) + silent) * HOUR_MS
    likelihoods = []
    for order in (sorted(hours), data.draw(st.permutations(hours))):
        arrivals = Arrivals(MONDAY + order[0] * HOUR_MS)
        for hour in order:
            arrivals.heard(MONDAY + hour * HOUR_MS)
        likelihoods.append(arrivals.likelihood_of_silence(now))
    assert likelihoods[0] == likelihoods[1]


def test_a_watch_that_starts_anew_and_reads_partition_after_partition_knows_what_is_usual() -> None:
    told = [MONDAY + week * WEEK_MS + day * DAY_MS + 9 * HOUR_MS for week in range(8) for day in range(5)]
    arrivals = Arrivals(told[0])
    for partition in range(4):
        for at in told[partition::4]:
            arrivals.heard(at)
    assert arrivals.is_late(told[-1] + 10 * DAY_MS)

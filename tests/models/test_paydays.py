"""What is known of a client's payment days: weekdays, time of the month, runs; each said about one due date."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.paydays import by_runs, moves_of, next_run, payday, rules_of
from models.state.habits import Ending, Habits, weekday, with_ending, without_ending

EPOCH = date(1970, 1, 1)


def day_of(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def paying(days: list[int], *, late: int = 3) -> Habits:
    habits = Habits()
    for mark, day in enumerate(days):
        habits = with_ending(habits, Ending(mark, late, day))
    return habits


def test_a_payment_planned_for_a_day_without_a_run_is_made_on_the_nearest_run() -> None:
    fridays = (0, 0, 0, 0, 12, 0, 0)
    _, move = moves_of(fridays)[3]
    assert 0.5 < move < 1.2
    assert abs(moves_of((0,) * 7)[3][1]) < 1e-9


def test_the_due_weekday_decides_for_a_client_that_pays_on_fridays() -> None:
    fridays = [day_of("2024-03-01") + 7 * week for week in range(12)]
    habits = paying(fridays, late=5)
    on_sunday, on_saturday = day_of("2024-06-02"), day_of("2024-06-01")
    (sunday, *_), _, _ = payday(habits, on_sunday, [5])
    (saturday, *_), _, _ = payday(habits, on_saturday, [5])
    assert sunday < 2
    assert saturday > 10


@given(delays=st.lists(st.integers(-40, 80), min_size=1, max_size=12), due=st.integers(18_000, 21_000))
def test_fewer_go_over_a_wider_limit(delays: list[int], due: int) -> None:
    habits = Habits()
    for mark, late in enumerate(delays):
        habits = with_ending(habits, Ending(mark, late, due - 400 + 9 * mark))
    found, _, count = payday(habits, due, [-1, 5, 15, 30])
    assert found == sorted(found, reverse=True)
    assert 0 <= found[-1] <= found[0] <= len(delays) + 1e-9
    assert 0 <= count <= len(delays)


def running(runs: list[int], *, bills: int, step: int, grace: int = 0, skipping: int = 0) -> Habits:
    """Return a client whose bills fall due every `step` days; the first run `grace` days later pays, `skipping` the one after."""
    habits = Habits()
    for bill in range(bills):
        due = runs[0] + step * bill
        later = [day for day in runs if day >= due + grace]
        day = later[1 if skipping and bill % skipping == skipping - 1 else 0]
        habits = with_ending(habits, Ending(bill, day - due, day))
    return habits


def month_ends(count: int) -> list[int]:
    return [day_of(f"{2023 + (month + 9) // 12}-{(month + 9) % 12 + 1:02}-28") for month in range(count)]


EVEN = ([0.5, 0.5, 0.5], 10.0)
LIMITS = [5, 15, 30]


def test_a_payer_of_the_month_end_is_expected_at_the_month_end() -> None:
    habits = running(month_ends(14), bills=14, step=23)
    due = day_of("2024-09-10")
    (over_5, over_15, over_30), days = by_runs(habits, due, due - 20, LIMITS, EVEN)
    assert days == pytest.approx(18, abs=2)
    assert over_5 > over_15 > 0.85
    assert over_30 < 0.15
    (soon, *_), days = by_runs(habits, day_of("2024-09-26"), day_of("2024-09-01"), LIMITS, EVEN)
    assert soon < 0.15
    assert days == pytest.approx(2, abs=2)


def test_a_run_that_has_passed_pays_nothing_any_more() -> None:
    habits = running(month_ends(14), bills=14, step=23)
    due = day_of("2024-09-26")
    (_, over_15, over_30), days = by_runs(habits, due, day_of("2024-10-02"), LIMITS, EVEN)
    assert over_15 > 0.9
    assert over_30 > 0.4
    assert days == pytest.approx(32, abs=3)


def test_who_lets_bills_lie_for_weeks_before_a_run_is_expected_at_the_run_after() -> None:
    habits = running(month_ends(18), bills=14, step=23, grace=20)
    due = day_of("2024-09-20")
    _, days = by_runs(habits, due, due - 5, LIMITS, EVEN)
    assert days == pytest.approx(38, abs=3)


def test_who_leaves_bills_for_the_next_run_now_and_then_is_given_that_chance() -> None:
    punctual, forgetful = running(month_ends(14), bills=14, step=23), running(month_ends(14), bills=16, step=23, skipping=4)
    due = day_of("2024-09-26")
    (sure, *_), _ = by_runs(punctual, due, due - 20, LIMITS, EVEN)
    (unsure, *_), _ = by_runs(forgetful, due, due - 20, LIMITS, EVEN)
    assert sure + 0.1 < unsure < 0.5


def test_who_pays_twice_a_month_is_expected_at_the_nearer_of_both() -> None:
    runs = [day_of(f"2024-{month:02}-{day}") for month in range(3, 12) for day in (13, 28)]
    habits = running(runs, bills=16, step=11)
    _, near = by_runs(habits, day_of("2024-09-09"), day_of("2024-09-01"), LIMITS, EVEN)
    _, end = by_runs(habits, day_of("2024-09-18"), day_of("2024-09-01"), LIMITS, EVEN)
    assert near == pytest.approx(4, abs=2)
    assert end == pytest.approx(10, abs=2)


def test_the_same_delay_every_time_is_no_run_of_the_month() -> None:
    habits = Habits()
    for mark in range(16):
        habits = with_ending(habits, Ending(mark, 7, day_of("2024-01-03") + 9 * mark + mark % 4))
    (over_5, *_), days = by_runs(habits, day_of("2024-09-10"), day_of("2024-09-01"), LIMITS, ([0.9, 0.02, 0.01], 7.0))
    assert over_5 == pytest.approx(0.9, abs=0.05)
    assert days == pytest.approx(7, abs=1)


@given(
    ends=st.lists(st.tuples(st.integers(-40, 80), st.integers(0, 300)), max_size=20),
    due=st.integers(19_000, 19_800),
    asked=st.integers(-40, 20),
)
def test_chances_by_runs_are_chances_and_fall_with_the_limit(ends: list[tuple[int, int]], due: int, asked: int) -> None:
    habits = Habits()
    for mark, (late, day) in enumerate(ends):
        habits = with_ending(habits, Ending(mark, late, 18_700 + day))
    found, days = by_runs(habits, due, due + asked, [max(limit, asked) for limit in LIMITS], ([0.6, 0.3, 0.1], 4.0))
    assert all(0 <= chance <= 1 + 1e-9 for chance in found)
    assert found == sorted(found, reverse=True)
    assert min(asked, 4) - 2 <= days <= 60
    assert sum(rule.weight for rule in rules_of(habits)) <= 1 + 1e-9


def test_a_bundle_of_invoices_counts_as_one_day_of_payment() -> None:
    habits = Habits()
    for mark in range(16):
        habits = with_ending(habits, Ending(mark, mark, day_of("2024-03-04") + 3 * (mark // 8)))
    assert not rules_of(habits)


def test_runs_at_equal_gaps_are_expected_from_the_last_on_and_never_in_the_past() -> None:
    habits = paying([day_of("2024-03-04") + 10 * run for run in range(10)], late=1)
    last = day_of("2024-03-04") + 90
    due = last + 4
    run, habit = next_run(habits, due, due - 15)
    assert habit == 1
    assert due + run == last + 10
    assert due + next_run(habits, due, due + 8)[0] == last + 20


def test_many_invoices_paid_in_one_run_leave_the_runs_before_it_known() -> None:
    habits = Habits()
    for mark in range(60):
        habits = with_ending(habits, Ending(mark, mark % 5, day_of("2024-03-04") + 14 * (mark // 10)))
    assert len({row.day for row in habits.endings}) == 2
    assert (habits.run_gap, habits.run_spread, len(habits.runs)) == (14, 0, 6)


def test_a_payment_taken_back_is_taken_out_of_the_rhythm() -> None:
    days = [day_of("2024-03-04") + 10 * run for run in range(6)]
    assert without_ending(paying([*days, days[-1] + 3]), 6) == paying(days)


def test_weekdays_begin_on_monday() -> None:
    assert weekday(day_of("2024-06-03")) == 0

"""What is known of a client's payment days: weekdays, time of the month, runs; each said about one due date."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.paydays import moves_of, next_runs, payday
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


def test_a_payer_of_the_month_end_is_expected_at_the_month_end() -> None:
    habits = paying([day_of(f"2024-{month:02}-28") for month in range(1, 9)], late=0)
    due = day_of("2024-09-10")
    runs = next_runs(habits, due, due - 20)
    assert runs.monthly_habit > 0.9
    assert runs.monthly == pytest.approx(18, abs=2)


def test_who_pays_twice_a_month_is_expected_at_the_nearer_of_both() -> None:
    habits = paying([day_of(f"2024-{month:02}-{day}") for month in range(1, 7) for day in (14, 29)], late=0)
    due = day_of("2024-09-09")
    runs = next_runs(habits, due, due - 20)
    assert runs.half_habit > 0.9
    assert runs.monthly_habit < 0.1
    assert runs.half_monthly == pytest.approx(5, abs=2)


def test_runs_at_equal_gaps_are_expected_from_the_last_on_and_never_in_the_past() -> None:
    habits = paying([day_of("2024-03-04") + 10 * run for run in range(10)], late=1)
    last = day_of("2024-03-04") + 90
    due = last + 4
    runs = next_runs(habits, due, due - 15)
    assert runs.regular_habit == 1
    assert due + runs.regular == last + 10
    assert due + next_runs(habits, due, due + 8).regular == last + 20


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

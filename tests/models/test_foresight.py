"""What a stored answer, the client's own habit and what speaks against them make of a first message that is due."""

import pytest
from msgspec.structs import replace

from models.policy.foresight import foreseen, has_habit
from models.policy.silence import Silence
from models.state.client import ClientState
from models.state.habits import Asked, Habits, Watch
from models.state.rows import Invoice, Ledger, Promise
from models.workdays import DAY_MS

DUE = 19_000
STEP = DUE + 3
INVOICE = Invoice("A1", issued_at=1, currency="EUR", minor=100, due_ms=DUE * DAY_MS)


def state(recent: tuple[int, ...] = (5,) * 5, *asked: Asked, day: int = STEP) -> ClientState:
    watches = (Watch("A1", DUE, 1, 1.0, asked=asked),)
    return ClientState(
        "client-1", now_ms=day * DAY_MS, ledger=Ledger(invoices=(INVOICE,)), habits=Habits(recent_days=recent, watches=watches)
    )


def said(days: float, *, day: int = DUE, is_leaned: bool = False) -> Asked:
    tenths = round(10 * days)
    return Asked(3, day * DAY_MS, b"", (), (0, 0, tenths, tenths + 10), "lateness-1", is_leaned)


def waits(known: ClientState, *, oldest: int = DUE, within: int = 3) -> Silence | None:
    return foreseen(known, INVOICE, step_ms=STEP * DAY_MS, oldest_ms=oldest * DAY_MS, within_days=within)


@pytest.mark.parametrize("late", [3, 4, 5, 6])
def test_a_habit_within_three_days_is_waited_for_until_the_day_after(late: int) -> None:
    silence = waits(state((late,) * 5))
    assert silence is not None
    assert silence.until_ms == (DUE + late + 1) * DAY_MS
    assert waits(state((late,) * 5, day=DUE + late)) == silence
    assert waits(state((late,) * 5, day=DUE + late + 1)) is None


@pytest.mark.parametrize("late", [2, 7])
def test_a_habit_that_has_passed_or_lies_further_away_is_not_waited_for(late: int) -> None:
    assert waits(state((late,) * 5)) is None


def test_nine_in_ten_leave_out_one_of_ten_and_none_of_five() -> None:
    assert waits(state((5,) * 9 + (40,))) is not None
    assert waits(state((5,) * 8 + (40, 40))) is None
    assert waits(state((5,) * 4 + (40,))) is None


def test_the_latest_answer_before_the_step_outranks_the_habit() -> None:
    silence = waits(state((5,) * 5, said(9.0, day=DUE - 7), said(4.1)))
    assert silence is not None
    assert silence.until_ms == (DUE + 6) * DAY_MS
    assert waits(state((5,) * 5, said(9.0))) is None
    assert waits(state((5,) * 5, said(4.1), said(9.0, day=STEP + 1))) == silence


def test_learners_that_are_trusted_less_hold_nothing_back() -> None:
    assert waits(state((5,) * 5, said(5.0, is_leaned=True))) is None


def test_an_older_invoice_that_is_later_than_this_has_broken_the_habit() -> None:
    assert waits(state(), oldest=STEP - 5) is not None
    assert waits(state(), oldest=STEP - 6) is None


def test_too_little_history_an_alarm_and_a_promise_that_was_not_kept_are_no_habit() -> None:
    known = state()
    assert has_habit(known)
    assert not has_habit(state((5,) * 4))
    assert not has_habit(replace(known, care=replace(known.care, alarm_ms=1)))
    promise = Promise("Y1", "A1", promised_ms=1, made_at=1, judged=True)
    broken = replace(known, ledger=replace(known.ledger, promises=(promise,)))
    assert not has_habit(broken)
    elsewhere = replace(known.ledger, promises=(replace(promise, invoice_id="A0"),))
    assert has_habit(replace(known, ledger=elsewhere))

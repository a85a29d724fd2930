"""Books that list invoices longer than they know their payments: it is found, said, left out; and never found in a whole book."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from handlers.cli import EXIT_USAGE, run
from handlers.commands.book.bills import Bill as Row
from handlers.commands.book.bills import Part
from handlers.commands.book.horizon import WHOLE, AskedToJudge, Horizon, Outcomes, look
from handlers.commands.book.plan import Asked
from handlers.commands.evaluate import evaluate
from handlers.commands.held_history import hold_history
from handlers.commands.policies.trials import told_events
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import UsageError
from tests.histories.books import DIALECTS, Dialect, write_dialect
from tests.histories.cut import as_of, day_at, payments_until, withheld_from
from tests.histories.firms import FIRMS, FIRST, Bill, cash_bound, crowd, moody
from tests.histories.journals import JOURNALS, write_journal

BILLS = cash_bound(7, 1_200)
DAY = day_at(BILLS, 5 / 6)
FEW = crowd(3, 200)
FEW_UNTIL = day_at(FEW, 0.8)
ENTERPRISE = DIALECTS["enterprise"]


def found(bills: Sequence[Bill]) -> Horizon:
    """Return what is found in a book, without the way over a file."""
    outcomes = Outcomes()
    for bill in bills:
        paid = (Part(Money(bill.cents, "EUR"), _at(bill.paid)),) if bill.paid else ()
        issued = _at(bill.issued)
        outcomes.add(Row(bill.client, bill.number, Money(bill.cents, "EUR"), issued, _at(bill.due), issued, paid=paid), UTC)
    return look(outcomes, UTC)


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 9, tzinfo=UTC)


def last_payment(bills: Sequence[Bill], day: date) -> date:
    return max(bill.paid for bill in bills if bill.paid and bill.paid <= day)


def written(folder: Path, name: str, bills: Sequence[Bill], dialect: Dialect = ENTERPRISE) -> Path:
    return write_dialect(folder / f"{name}.csv", bills, dialect)


def told(path: Path, asked: Asked | None = None) -> list[AnyClientEvent]:
    return list(hold_history(path, asked=asked or Asked())[0])


def test_where_payments_end_the_history_ends_and_is_what_the_firm_knew_on_that_day(tmp_path: Path) -> None:
    path = written(tmp_path, "book", payments_until(BILLS, DAY))
    events, notes = hold_history(path, asked=Asked())
    last = last_payment(BILLS, DAY)
    assert list(events) == told(written(tmp_path, "as_of", as_of(BILLS, last)))
    later = [bill.issued for bill in BILLS if bill.issued > last]
    assert f"payments end on {last}, though {len(later)} invoices were issued after it, until {max(later)}" in notes.unknown[0]
    assert f"{len(later)} rows are left out" in notes.unknown[1]


def test_what_came_of_the_latest_invoices_is_withheld_and_the_others_are_told_as_if_these_rows_were_not_there(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "book", withheld_from(BILLS, DAY))
    events, notes = hold_history(path, asked=Asked())
    earlier = [bill for bill in BILLS if bill.issued < DAY]
    first, count = min(bill.issued for bill in BILLS if bill.issued >= DAY), len(BILLS) - len(earlier)
    money_until = max(bill.paid for bill in earlier if bill.paid)
    assert list(events) == told(written(tmp_path, "earlier", earlier))
    assert f"{count} invoices issued from {first} on have no payment" in notes.unknown[0]
    assert f"though money for earlier ones arrives until {money_until}" in notes.unknown[0]


def test_a_split_by_day_of_entry_is_found_where_days_of_issue_blur_it(tmp_path: Path) -> None:
    def cells(bill: Bill) -> tuple[object, ...]:
        made = bill.issued - timedelta(days=int(bill.number[1:]) % 9)
        return (bill.client, bill.number, made, bill.issued, bill.due, bill.cents / 100, bill.paid or "")

    dialect = Dialect(("customer", "invoice", "invoice date", "posting date", "due date", "amount", "paid on"), cells)
    events, notes = hold_history(written(tmp_path, "book", withheld_from(BILLS, DAY), dialect), asked=Asked())
    assert f"invoices entered from {min(bill.issued for bill in BILLS if bill.issued >= DAY)} on" in notes.unknown[0]
    earlier = [bill for bill in BILLS if bill.issued < DAY]
    assert list(events) == told(written(tmp_path, "earlier", earlier, dialect))


def test_slips_of_the_pen_do_not_hide_it() -> None:
    """One withheld invoice is paid all the same, and one of old in a distant year."""
    bills = withheld_from(moody(7, 1_200), day := date(2022, 6, 1))
    last = max(place for place, bill in enumerate(bills) if bill.issued >= day)
    old = next(place for place, bill in enumerate(bills) if bill.paid)
    bills[last] = replace(bills[last], paid=bills[last].issued + timedelta(days=3))
    bills[old] = replace(bills[old], paid=date(2027, 1, 1))
    known = found(bills)
    assert known.first == datetime(2022, 6, 1, tzinfo=UTC)
    assert known.said[0].startswith("all but 1 of ")
    assert known.end is None


def test_where_the_date_that_parted_a_large_book_is_not_in_it_the_few_paid_since_do_not_hide_it() -> None:
    every = crowd(7, 3_000)
    first = min(bill.issued for bill in every if bill.issued >= day_at(every, 0.7))
    bills = [
        mine if place % 40 else true for place, (mine, true) in enumerate(zip(withheld_from(every, first), every, strict=True))
    ]
    known = found(bills)
    assert known.first == _at(first).replace(hour=0)
    assert known.said[0].startswith("all but ")


def test_a_few_invoices_of_a_later_year_do_not_make_a_book_one_that_lists_on() -> None:
    bills = as_of(moody(7, 1_200), date(2022, 6, 1))
    for place in (200, 400, 600):
        bills[place] = replace(bills[place], issued=date(2023, 1, 1), due=date(2023, 2, 1), paid=None)
    assert found(bills) == WHOLE


def test_a_withheld_book_in_which_the_rest_of_the_money_came_soon_is_not_taken_for_one_that_ends_then() -> None:
    every = FIRMS["interplay"](1, 3_000)
    first = min(bill.issued for bill in every if bill.issued >= day_at(every, 0.8))
    bills = withheld_from(every, first)
    assert last_payment(bills, date.max) < first + timedelta(days=50)
    known = found(bills)
    assert known.first == _at(first).replace(hour=0)
    assert known.end is None


@pytest.mark.parametrize("name", FIRMS)
def test_of_a_whole_book_nothing_is_left_out_whenever_it_was_written(name: str) -> None:
    for count in (20, 120, 900):
        bills = FIRMS[name](11, count)
        for share in (0.2, 0.4, 0.55, 0.67, 0.72, 0.9, 1.0, 1.1):
            assert found(as_of(bills, day_at(bills, share))) == WHOLE


Pays = Callable[[np.random.Generator, int, date, date], date | None]


def firm(
    pays: Pays, *, count: int = 1_500, days: int = 900, clients: int = 60, terms: Callable[[date], int] = lambda _: 30
) -> list[Bill]:
    """Return a firm whose clients pay on the day that `pays` gives for the dice, the client, the issue and the due date."""
    dice, bills = np.random.default_rng(5), []
    for place, day in enumerate(sorted(dice.integers(0, days, count).tolist())):
        client, issued = int(dice.integers(clients)), FIRST + timedelta(days=day)
        due = issued + timedelta(days=terms(issued))
        bills.append(Bill(f"C{client}", f"R{place}", issued, due, 1_000, pays(dice, client, issued, due)))
    return bills


CRISIS = FIRST + timedelta(days=600)


def usual(dice: np.random.Generator, _client: int, _issued: date, due: date) -> date:
    return due + timedelta(days=round(dice.normal(3, 6)))


def at_month_end(_dice: np.random.Generator, _client: int, _issued: date, due: date) -> date:
    return due.replace(day=monthrange(due.year, due.month)[1])


def at_quarter_end(_dice: np.random.Generator, _client: int, _issued: date, due: date) -> date:
    month = (due.month + 2) // 3 * 3
    return due.replace(month=month, day=monthrange(due.year, month)[1])


def half_stop(dice: np.random.Generator, client: int, issued: date, due: date) -> date | None:
    return None if client % 2 and due > CRISIS else usual(dice, client, issued, due)


def all_slow_down(dice: np.random.Generator, client: int, issued: date, due: date) -> date:
    more = dice.exponential(60) if issued > CRISIS else 0
    return usual(dice, client, issued, due) + timedelta(days=round(more))


def seldom(dice: np.random.Generator, client: int, issued: date, due: date) -> date | None:
    return usual(dice, client, issued, due) if dice.random() < 0.05 else None


def never(_dice: np.random.Generator, _client: int, _issued: date, _due: date) -> None:
    return None


HONEST = {
    "all pay on one day a month": firm(at_month_end),
    "all pay on one day a quarter": firm(at_quarter_end),
    "half of the clients stop paying": firm(half_stop),
    "everybody slows down by months": firm(all_slow_down),
    "one in twenty is paid": firm(seldom),
    "nobody pays": firm(never),
    "terms of two weeks become three months": firm(usual, terms=lambda issued: 90 if issued > CRISIS else 14),
    "eight clients, of whom seven fail at once": firm(lambda *of: None if of[1] and of[3] > CRISIS else usual(*of), clients=8),
    "a single client who has stopped": firm(lambda *of: None if of[2] > CRISIS else usual(*of), clients=1),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_happens_to_firms_is_not_taken_for_what_happens_to_files(name: str) -> None:
    for share in np.linspace(0.1, 1.1, 21):
        assert found(as_of(HONEST[name], day_at(HONEST[name], float(share)))) == WHOLE


def test_payments_in_rows_of_their_own_end_as_well(tmp_path: Path) -> None:
    bills = crowd(3, 600)
    day = day_at(bills, 0.7)
    write = JOURNALS["transactions"]
    events, notes = hold_history(write_journal(tmp_path / "book.csv", payments_until(bills, day), write), asked=Asked())
    assert notes.unknown
    honest = told(write_journal(tmp_path / "as_of.csv", as_of(bills, day), write))
    assert [event.event_id for event in events] == [event.event_id for event in honest]


def test_what_is_left_out_is_said_on_the_terminal_and_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = written(tmp_path, "book", payments_until(FEW, FEW_UNTIL)), tmp_path / "report.html"
    evaluate(path, report=report, no_twins=True)
    said = f"payments end on {last_payment(FEW, FEW_UNTIL)}, though"
    assert said in " ".join(capsys.readouterr().out.split())
    page = report.read_text(encoding="utf-8")
    assert page.index(said) < page.index("In short")


def test_the_person_has_the_last_word(tmp_path: Path) -> None:
    path, other = written(tmp_path, "book", payments_until(FEW, FEW_UNTIL)), FEW_UNTIL - timedelta(days=40)
    day = datetime(other.year, other.month, other.day)  # noqa: DTZ001 (as the command line gives days)
    assert len(told(path, AskedToJudge(blank_is_unpaid=True))) > len(told(path))
    assert told(path, AskedToJudge(outcomes_until=day)) == told(written(tmp_path, "as_of", as_of(FEW, other)))
    whole = written(tmp_path, "whole", FEW)
    earlier = told(written(tmp_path, "earlier", [bill for bill in FEW if bill.issued < other]))
    assert told(whole, AskedToJudge(withheld_from=day)) == earlier
    with pytest.raises(UsageError, match="say one"):
        told(path, AskedToJudge(blank_is_unpaid=True, outcomes_until=day))
    log = tmp_path / "log.jsonl"
    log.write_text("", encoding="utf-8")
    for name in (hold_history, told_events):
        with pytest.raises(UsageError, match="of a CSV"):
            name(log, form=None, asked=AskedToJudge(withheld_from=day))


def test_all_that_judge_leave_it_out_and_say_so_and_an_import_tells_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, said = written(tmp_path, "book", payments_until(FEW, FEW_UNTIL)), "what was paid since is not in this file"
    judged = told_events(path, form=None, asked=AskedToJudge())
    assert said in capsys.readouterr().err
    assert len(judged) == len(told(path))
    assert len(told_events(path, form=None, asked=Asked())) > len(judged)
    run(["learners", "cohorts", str(path)])
    assert said in capsys.readouterr().err
    run(["import", str(path), "--dry-run"])
    out = capsys.readouterr().out
    assert f"{len(FEW):,} invoices" in out
    assert said in out
    assert run(["import", str(path), "--dry-run", "--blank-is-unpaid"]) == EXIT_USAGE  # it is no option of what tells all

"""`rapport evaluate` on books and firms that nobody tuned it for: it reads them, never fails, and says what it lacks."""

from math import isfinite
from pathlib import Path

import numpy as np
import pytest

from handlers.commands.book.plan import Asked
from handlers.commands.evaluate import evaluate
from handlers.commands.held_history import hold_history
from handlers.evaluation.metrics import adaptive_error, calibration_error, noise_floor
from handlers.evaluation.telling import Telling
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from streams.runtime.errors import UsageError
from tests.histories.books import DIALECTS, write_dialect
from tests.histories.firms import FIRMS, moody, random_payers

BILLS = moody(3, 120)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_book_is_read_whole_whatever_program_wrote_it(name: str, tmp_path: Path) -> None:
    events, notes = hold_history(write_dialect(tmp_path / "book.csv", BILLS, DIALECTS[name]), asked=Asked())
    issued = [event for event in events if isinstance(event, InvoiceIssued)]
    paid = [event for event in events if isinstance(event, PaymentReceived)]
    assert len(issued) == len(BILLS), notes
    assert len(paid) == sum(bill.paid is not None for bill in BILLS)
    assert sum(event.amount.minor for event in issued) == sum(bill.cents for bill in BILLS)
    assert {event.client_id for event in events} == {bill.client for bill in BILLS}
    assert sorted(event.occurred_at.date() for event in paid) == sorted(bill.paid for bill in BILLS if bill.paid)
    if name != "no due date":
        assert sorted(event.due_at.date() for event in issued) == sorted(bill.due for bill in BILLS)


def test_a_missing_due_date_is_said(tmp_path: Path) -> None:
    _, notes = hold_history(write_dialect(tmp_path / "book.csv", BILLS, DIALECTS["no due date"]), asked=Asked())
    assert any("30 days after issue assumed" in note for note in notes)


def test_columns_may_be_named_with_mapping(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("wer,was,wann,wieviel\nA,2024-01-05,2024-02-01,10.50\n", encoding="utf-8")
    names = ("client_id=wer", "issued_on=was", "settled_on=wann", "amount=wieviel")
    events, _ = hold_history(path, asked=Asked(columns=names))
    assert [event.kind for event in events] == ["invoice.issued", "payment.received"]
    with pytest.raises(UsageError, match="--map client_id=COLUMN"):
        hold_history(path, asked=Asked())


def test_rows_that_cannot_be_read_are_named_and_the_rest_is_evaluated(tmp_path: Path) -> None:
    path = write_dialect(tmp_path / "book.csv", BILLS[:40], DIALECTS["american"])
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = [lines[1].replace("$", "$x"), lines[2].replace("C0", "C0"), "\t\t\t\t\t", lines[3].rsplit("\t", 3)[0]]
    path.write_text("\n".join([*lines, *broken]), encoding="utf-8")
    events, notes = hold_history(path, asked=Asked())
    assert sum(isinstance(event, InvoiceIssued) for event in events) == 40
    assert any("3 rows rejected" in note for note in notes)
    assert any("line 42" in note for note in notes)


def test_credit_notes_and_bills_paid_before_they_were_issued_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    rows = ["A,1,2024-03-01,2024-02-01,10.00,2024-02-15", "A,2,2024-03-02,2024-04-01,-4.00,", "A,3,2024-03-03,2024-03-03,5.00,"]
    path.write_text("\n".join(["client,invoice,issue date,due date,amount,paid date", *rows]), encoding="utf-8")
    events, _ = hold_history(path, asked=Asked())
    assert Telling().tell(events).clients == 1


@pytest.mark.parametrize("name", FIRMS)
def test_every_firm_is_told_with_finite_chances_that_fall_with_the_limit(name: str, tmp_path: Path) -> None:
    path = write_dialect(tmp_path / "book.csv", FIRMS[name](5, 60), DIALECTS["german"])
    told = Telling().tell(hold_history(path, asked=Asked())[0])
    assert told.examples
    for example in told.examples:
        for question in example.questions:
            chances = [chance for chance in question.chances if chance >= 0]
            assert all(isfinite(chance) and 0 < chance < 1 for chance in chances)
            assert chances == sorted(chances, reverse=True)
            assert list(question.days) == sorted(question.days)


def test_a_book_in_which_nobody_pays_says_that_there_is_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "book.csv"
    rows = [f"A{number % 5},{number},2024-01-{1 + number % 28:02},10.00," for number in range(60)]
    path.write_text("\n".join(["client,invoice,issue date,amount,paid date", *rows]), encoding="utf-8")
    assert evaluate(path) == 1
    assert "too few answered questions" in capsys.readouterr().out


def test_the_floor_of_the_calibration_error_falls_with_the_number_of_questions() -> None:
    dice = np.random.default_rng(4)
    few, many = dice.random(200), dice.random(5_000)
    assert noise_floor(few)[0] > 2 * noise_floor(many)[0]
    assert noise_floor(few, calibration_error)[0] > 2 * noise_floor(many, calibration_error)[0]
    assert noise_floor(many)[0] < noise_floor(many)[1] < 0.03
    assert adaptive_error(many, (many > 0.5).astype(float)) > 0.2


def test_where_there_is_nothing_to_learn_the_base_rate_is_said(tmp_path: Path) -> None:
    path = write_dialect(tmp_path / "book.csv", random_payers(5, 300), DIALECTS["american"])
    told = Telling().tell(hold_history(path, asked=Asked())[0])
    rows = [row for row in told.examples if row.over_days == 5][150:]
    given = [row.questions[0].chances[0] for row in rows if row.questions[0].chances[0] >= 0]
    share = sum(row.late for row in rows) / len(rows)
    assert abs(sum(given) / len(given) - share) < 0.12

"""A client of whom more is open than a state keeps: what has no place is left out whole, and what has is told rightly."""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from handlers.commands.book.plan import Asked
from handlers.commands.evaluate import evaluate
from handlers.commands.held_history import hold_history
from handlers.evaluation.telling import Telling

FIRST: Final = date(2024, 1, 1)


def write_crowded(path: Path, *, more: int) -> Path:
    """Five invoices paid twenty days late, 195 that are not due for a year, and `more` that are paid a day after their issue."""
    bills = [
        *((f"N{number}", 0, 20, 40) for number in range(5)),
        *((f"L{number}", 0, 365, None) for number in range(195)),
        *((f"M{number}", 1, 16, 2) for number in range(more)),
    ]

    def day(number: int | None) -> str:
        return "" if number is None else str(FIRST + timedelta(days=number))

    rows = [f"LARGE,{name},{day(issued)},{day(due)},100.00,{day(paid)}" for name, issued, due, paid in bills]
    last = f"OTHER,1,{day(0)},{day(15)},100.00,{day(60)}"
    path.write_text("\n".join(["customer,invoice,issue date,due date,amount,paid date", *rows, last]))
    return path


def test_payments_of_invoices_that_had_no_place_do_not_make_others_paid_early(tmp_path: Path) -> None:
    told = Telling().tell(hold_history(write_crowded(tmp_path / "book.csv", more=5), asked=Asked())[0])
    assert told.refused == 5
    ended = [(row.invoice_id, row.days_late) for row in told.examples if row.client_id == "LARGE" and not row.over_days]
    assert sorted(ended) == [(f"N{number}", 20) for number in range(5)]


def test_a_client_who_has_a_place_for_all_has_nothing_left_out(tmp_path: Path) -> None:
    assert not Telling().tell(hold_history(write_crowded(tmp_path / "book.csv", more=0), asked=Asked())[0]).refused


def test_the_report_says_how_many_had_no_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(write_crowded(tmp_path / "book.csv", more=5), no_twins=True)
    assert "5 invoices are left out with their payments: so many of their client were open" in capsys.readouterr().out

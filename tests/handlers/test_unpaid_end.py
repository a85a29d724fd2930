"""Books whose latest invoices lack their payments, and books that only look like it."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from handlers.commands.book.plan import Asked
from handlers.commands.held_history import hold_history
from models.events.invoices import InvoiceIssued

FIRST: Final = date(2024, 1, 1)
HEADER: Final = "customer,invoice,issue date,due date,amount,paid date"
LATE: Final = (0, 1, 2, 3, 5, 8, 40)


def book(path: Path, *, stripped: int | None = None, reported: int = 400, terms: int = 15) -> tuple[list[str], str]:
    """Three invoices a day for 250 days; payments after `reported` are not known, those of invoices since `stripped` neither.

    From day 200 on `terms` hold. Return the ids of the invoices that are kept, and how the book was read.
    """

    def rows() -> Iterator[str]:
        for number in range(750):
            day = number // 3
            due = day + (15 if day < 200 else terms)
            paid = due + LATE[number % len(LATE)]
            known = paid <= reported and (stripped is None or day < stripped)
            issue, due_on, paid_on = (FIRST + timedelta(days=each) for each in (day, due, paid))
            yield f"C{number % 11},{number},{issue},{due_on},10.00,{paid_on if known else ''}"

    path.write_text("\n".join([HEADER, *rows()]))
    events, notes = hold_history(path, asked=Asked())
    return [event.invoice_id for event in events if isinstance(event, InvoiceIssued)], "\n".join(notes)


def test_invoices_whose_payments_are_missing_are_left_out_and_told(tmp_path: Path) -> None:
    kept, notes = book(tmp_path / "book.csv", stripped=180)
    assert kept == [str(number) for number in range(540)]
    assert f"210 invoices issued from {FIRST + timedelta(days=180)} on are open" in notes
    assert "their payments are missing from the file, and they are left out" in notes


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"reported": 220},  # the book ends like any that is alive
        {"stripped": 235},  # too few of them could have been paid
        {"reported": 260, "terms": 90},  # new terms: nothing of the latest is due
    ],
)
def test_what_is_open_for_another_reason_stays(how: dict[str, int], tmp_path: Path) -> None:
    kept, notes = book(tmp_path / "book.csv", **how)
    assert len(kept) == 750
    assert "missing" not in notes

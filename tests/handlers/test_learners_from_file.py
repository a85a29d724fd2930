"""`rapport learners cohorts FILE` and `seasons FILE`: what the trainer would know of a book, without servers."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from handlers.cli import EXIT_USAGE, run
from tests.histories.books import DIALECTS, write_dialect
from tests.histories.firms import Bill

FIRST: Final = date(2023, 1, 2)
SWIFT: Final = ("swift", FIRST, 10)
SLOW: Final = ("slow", FIRST + timedelta(days=100), 40)


def book(path: Path, *, bills: int, clients: Sequence[tuple[str, date, int]] = (SWIFT, SLOW)) -> Path:
    """Write a book of clients, each with a first day and days to pay: a swift one from January, one from April who is not."""
    rows = []
    for number in range(bills):
        for client, begins, days in clients:
            issued = begins + timedelta(days=number * 7)
            due, paid = issued + timedelta(days=30), issued + timedelta(days=days)
            rows.append(Bill(client, f"{client}-{number}", issued, due, 50_000, paid))
    return write_dialect(path, rows, DIALECTS["german"])


def test_cohorts_of_a_book_are_its_clients_by_the_month_in_which_they_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = book(tmp_path / "book.csv", bills=30)
    assert run(["learners", "cohorts", str(file), "--preset", "ledger", "--json"]) == EXIT_USAGE
    assert "ledger" in capsys.readouterr().err
    assert run(["learners", "cohorts", str(file), "--json"]) == 0
    rows = {row["group"]: row for row in json.loads(capsys.readouterr().out)}
    swift, slow = rows["month:2023-01"], rows["month:2023-04"]
    assert swift["invoices"] + slow["invoices"] == rows["firm"]["invoices"] > 40
    assert swift["paid"][1] == 1
    assert slow["paid"][1] == 0
    assert rows["firm"]["periods"] == 0


def test_seasons_of_a_book_are_shown_and_a_book_too_young_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["learners", "seasons", str(book(tmp_path / "book.csv", bills=30))]) == 0
    assert "invoices due" in capsys.readouterr().out
    assert run(["learners", "cohorts", str(book(tmp_path / "young.csv", bills=1, clients=[SLOW]))]) == 1
    assert "no invoice of young.csv is answered" in capsys.readouterr().out


def test_how_to_read_a_file_without_the_file_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["learners", "cohorts", "--currency", "EUR"]) == EXIT_USAGE
    assert "name it first" in capsys.readouterr().err

"""Readings that would be wrong without a word: days of what is open, columns exchanged, letters of another encoding."""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from handlers.commands.book.plan import Asked
from handlers.commands.held_history import hold_history
from handlers.commands.history import format_of
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from streams.runtime.errors import UsageError

FIRST: Final = date(2024, 1, 1)
REPORT: Final = date(2024, 12, 31)


Bills = dict[str, tuple[str, str, int, str]]
"""Of each invoice the days of issue and due date, minor units and day of payment."""


def read(path: Path, rows: list[str], written: str = "utf-8", **asked: object) -> tuple[Bills, str]:
    path.write_text("\n".join(rows), encoding=written)
    events, notes = hold_history(path, asked=Asked(**asked))  # type: ignore[arg-type]
    paid = {event.invoice_id: f"{event.occurred_at:%Y-%m-%d}" for event in events if isinstance(event, PaymentReceived)}
    issued = [event for event in events if isinstance(event, InvoiceIssued)]
    bills = {
        row.invoice_id: (f"{row.occurred_at:%Y-%m-%d}", f"{row.due_at:%Y-%m-%d}", row.amount.minor, paid.get(row.invoice_id, ""))
        for row in issued
    }
    return bills, "\n".join(notes)


def aged(number: int, late: int) -> str:
    """Return the beginning of a row, up to the number of days after due."""
    issued = FIRST + timedelta(days=number)
    return f"A,{number},{issued},{issued + timedelta(days=30)},10.00,{late}"


@pytest.mark.parametrize("name", ["days overdue", "days elapsed"])
def test_days_of_an_invoice_that_is_open_are_those_so_far_and_no_payment(name: str, tmp_path: Path) -> None:
    header = f"customer,invoice,issue date,due date,amount,{name},status"
    bills, _ = read(tmp_path / "book.csv", [header, aged(1, 40) + ",Paid", aged(2, 300) + ",Overdue", aged(3, 299) + ",Sent"])
    assert [bool(row[3]) for row in bills.values()] == [True, False, True]


def test_a_list_of_what_is_open_is_refused_where_its_days_all_end_on_the_day_of_the_report(tmp_path: Path) -> None:
    header = "customer,invoice,issue date,due date,amount,days overdue"
    rows = [aged(number, (REPORT - FIRST).days - 30 - number) for number in range(40)]
    with pytest.raises(UsageError, match=r"40 of 40 late payments.*2024-12-31.*day of the report.*--map days_late="):
        read(tmp_path / "book.csv", [header, *rows])
    spread = [aged(number, 3 + number % 17) for number in range(100, 160)]
    bills, _ = read(tmp_path / "book.csv", [header, *rows[:20], *spread])
    assert len(bills) == 80


def test_dates_of_payment_that_mostly_are_one_day_are_told(tmp_path: Path) -> None:
    header = "customer,invoice,issue date,due date,amount,paid on"
    rows = [aged(number, 0).removesuffix("0") + f"{REPORT}" for number in range(40)]
    _, notes = read(tmp_path / "book.csv", [header, *rows])
    assert "note: 40 of 40 late payments came on 2024-12-31; is it the day of the report, what bears it open?" in notes


def test_invoices_that_fall_due_before_they_were_issued_are_told(tmp_path: Path) -> None:
    header = "customer,invoice,due date,issue date,amount,paid on"
    _, notes = read(tmp_path / "book.csv", [header, aged(1, 0).removesuffix("0"), "A,2,2024-03-31,2024-03-01,10.00,2024-04-01"])
    assert "note: 1 of 2 invoices fell due before it was issued; are the two columns exchanged? --map issued_on=" in notes


def test_amounts_under_a_word_for_payment_are_no_dates(tmp_path: Path) -> None:
    header = "customer,invoice,issue date,due date,amount,settled,number of days until payment"
    rows = [f"A,{number},2024-01-01,2024-01-31,{cell},{cell},13" for number, cell in enumerate(("672.78", "5101.98", "21136.34"))]
    bills, notes = read(tmp_path / "book.csv", [header, *rows])
    assert "0 rows rejected" in notes
    assert {row[3] for row in bills.values()} == {"2024-01-14"}


def test_a_word_where_days_are_counted_is_an_invoice_that_is_open(tmp_path: Path) -> None:
    header = "customer,invoice,issue date,due date,amount,days late"
    bills, notes = read(tmp_path / "book.csv", [header, aged(1, 4), aged(2, 0).removesuffix("0") + "open"])
    assert ([bool(row[3]) for row in bills.values()], "0 rows rejected" in notes) == ([True, False], True)


@pytest.mark.parametrize(("cell", "day"), [("12 days", "2024-02-12"), ("(3)", "2024-01-28"), ("-3 d", "2024-01-28")])
def test_days_late_are_read_as_people_write_them(cell: str, day: str, tmp_path: Path) -> None:
    bills, _ = read(
        tmp_path / "book.csv",
        ["customer,invoice,issue date,due date,amount,days late", f"A,1,2024-01-01,2024-01-31,10.00,{cell}"],
    )
    assert bills["1"][3] == day


def test_terms_that_only_the_sender_understands_are_told_with_what_is_assumed(tmp_path: Path) -> None:
    header = "customer,invoice,issue date,terms,amount,paid on"
    rows = ["A,1,2024-01-01,NAH4,1.00,2024-02-01", "A,2,2024-01-01,Net 10,1.00,2024-02-01", "A,3,2024-01-01,,1.00,2024-02-01"]
    bills, notes = read(tmp_path / "book.csv", [header, *rows])
    assert [row[1] for row in bills.values()] == ["2024-01-31", "2024-01-11", "2024-01-31"]
    said = "note: 2 rows have neither a due date nor terms in days ('NAH4'): 30 days after issue assumed; change it with --terms"
    assert said in notes
    _, notes = read(tmp_path / "book.csv", [header.replace("terms", "due date"), rows[0].replace("NAH4", "2024-01-31"), rows[2]])
    assert "note: 1 row has neither a due date nor terms in days: 30 days after issue assumed" in notes
    _, notes = read(tmp_path / "book.csv", [header.replace("terms", "due date"), rows[0].replace("NAH4", "2024-01-31")])
    assert "terms" not in notes


def test_an_amount_is_found_by_its_short_name_and_otherwise_proposed(tmp_path: Path) -> None:
    rows = ["A,1,2024-01-01,2024-01-31,12.50,2024-02-02"]
    bills, notes = read(tmp_path / "book.csv", ["Party Name,Bill No,Bill Date,Due Date,Bill Amt (INR),Receipt Date", *rows])
    assert bills["1"][2] == 1_250
    assert "names INR" in notes
    _, notes = read(tmp_path / "book.csv", ["customer,invoice,issue date,due date,Honorar,paid on", *rows])
    assert "no amounts in the file: every invoice counts as 1.00 EUR; perhaps: --map amount=Honorar" in notes
    _, notes = read(tmp_path / "book.csv", ["customer,invoice,issue date,due date,Paid Amount,paid on", *rows])
    assert "every invoice counts as 1.00 EUR\n" in notes  # what was paid is no amount of what is open


def test_letters_of_another_encoding_are_asked_for_and_not_taken_for_western_ones(tmp_path: Path) -> None:
    rows = ["customer;invoice;issue date;due date;amount;paid on", "Контрагент;1;01.01.2024;31.01.2024;1,00;02.02.2024"]
    with pytest.raises(UsageError, match=r"neither UTF-8.*'Êîíòðàãåíò'.*--encoding.*cp1251"):
        read(tmp_path / "book.csv", rows, "cp1251")
    assert read(tmp_path / "book.csv", rows, "cp1251", encoding="cp1251")[0]["1"][3] == "2024-02-02"
    polish = [rows[0], "Zapłata i płatność;1;01.01.2024;31.01.2024;1,00;02.02.2024"]
    with pytest.raises(UsageError, match="cp1250"):
        read(tmp_path / "book.csv", polish, "cp1250")
    western = [rows[0], rows[1].replace("Контрагент", "Société Générale Œuvre")]
    assert read(tmp_path / "book.csv", western, "cp1252")[0]["1"][3] == "2024-02-02"


def test_a_day_of_payment_that_is_expected_is_not_proposed_as_one(tmp_path: Path) -> None:
    rows = ["customer,invoice,issue date,due date,amount,expected payment date", "A,1,2024-01-01,2024-01-31,1.00,2024-02-02"]
    with pytest.raises(UsageError, match="has no date of payment") as told:
        read(tmp_path / "book.csv", rows)
    assert "perhaps" not in str(told.value)


def test_names_without_a_date_among_them_are_names(tmp_path: Path) -> None:
    rows = ["Customer,Current,1 - 30,31 - 60,Total", "A,1.00,0.00,0.00,1.00"]
    with pytest.raises(UsageError, match="no column found for issued_on"):
        read(tmp_path / "book.csv", rows)


def test_the_end_of_time_of_another_program_is_no_day(tmp_path: Path) -> None:
    rows = ["customer,invoice,issue date,due date,amount,paid on", "A,1,2024-01-01,2024-01-31,1.00,31-DEC-4712"]
    assert read(tmp_path / "book.csv", rows)[0]["1"][3] == ""


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("book.csv.gz", b"\x1f\x8b\x08", "is compressed; unpack it first, for example: gunzip"),
        ("book.jsonl.bz2", b"BZh9", "is compressed; unpack it first, for example: bunzip2"),
        ("book.zip", b"PK\x03\x04", "is compressed; unpack it first, for example: unzip"),
        ("book.xlsx", b"PK\x03\x04", "is a workbook"),
        ("book.dat", b"a,b,c", "--format csv"),
    ],
)
def test_what_must_be_unpacked_or_exported_first_is_told_so(name: str, raw: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(UsageError, match=said):
        format_of(tmp_path / name, None)

"""`rapport evaluate` on exports in which a row is not simply an invoice, and on what is no book at all."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.commands.book.dates import read_moment
from handlers.commands.book.kinds import RowKind, kind_of
from handlers.commands.book.plan import ISSUED_AT, Asked, make_plan
from handlers.commands.book.terms import Terms, read_terms
from handlers.commands.evaluate import evaluate
from handlers.commands.held_history import hold_history
from models.events.invoices import CreditNoteIssued, InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import UsageError
from tests.histories.firms import moody
from tests.histories.journals import JOURNALS, write_journal

BILLS = moody(3, 120)
HEADER = "customer,invoice,issue date,due date,amount,paid date\n"


def read(path: Path, text: str | None = None, encoding: str = "utf-8") -> tuple[list[AnyClientEvent], list[str]]:
    if text is not None:
        path.write_text(text, encoding=encoding)
    events, notes = hold_history(path, asked=Asked())
    return list(events), notes


@pytest.mark.parametrize("name", JOURNALS)
def test_an_export_is_read_whole_whatever_its_rows_are(name: str, tmp_path: Path) -> None:
    events, notes = read(write_journal(tmp_path / "book.csv", BILLS, JOURNALS[name]))
    issued = [event for event in events if isinstance(event, InvoiceIssued)]
    paid = [event for event in events if isinstance(event, PaymentReceived)]
    assert len(issued) == len(BILLS), notes
    assert sum(event.amount.minor for event in issued) == sum(bill.cents for bill in BILLS)
    assert sorted(event.due_at.date() for event in issued) == sorted(bill.due for bill in BILLS)
    assert sorted(event.occurred_at.date() for event in paid) == sorted(bill.paid for bill in BILLS if bill.paid)
    assert all(event.invoice_id for event in paid)
    assert any(f"{len(BILLS):,} invoices" in note for note in notes)


def test_what_was_left_out_is_told_by_reason_with_its_number_and_first_line(tmp_path: Path) -> None:
    good = "A,1,2024-03-01,2024-04-01,10.00,2024-03-09\n"
    bad = "A,2,soon,2024-04-01,10.00,\nA,3,later,2024-04-01,10.00,\nA,4,2024-03-01,2024-04-01,10.00,2205-01-01\n" + good
    _, notes = read(tmp_path / "book.csv", HEADER + good + bad)
    told = "\n".join(notes)
    assert "5 rows: 1 invoices, 1 payments, 0 credit notes of 1 clients; 4 rows rejected" in told
    assert "2 rows, first line 3: 'soon' is not a date" in told
    assert "1 row, first line 5: '2205-01-01' is no date of a book" in told
    assert "1 row, first line 6: invoice 1 of A stands on line 2 already" in told


def test_a_later_credit_note_on_an_invoice_is_a_credit_note_and_lines_below_zero_lower_the_invoice(tmp_path: Path) -> None:
    rows = (
        "A,1,2024-03-01,2024-04-01,100.00,2024-03-20\nA,1,2024-03-01,2024-04-01,-10.00,2024-03-20\n"
        "A,2,2024-03-01,2024-04-01,50.00,\nA,2,2024-03-15,2024-04-01,-50.00,\n"
    )
    events, _ = read(tmp_path / "book.csv", HEADER + rows)
    assert {event.invoice_id: event.amount.minor for event in events if isinstance(event, InvoiceIssued)} == {
        "1": 9000,
        "2": 5000,
    }
    assert [event.amount.minor for event in events if isinstance(event, PaymentReceived)] == [9000]
    assert [event.amount.minor for event in events if isinstance(event, CreditNoteIssued)] == [5000]


def test_a_payment_without_an_invoice_settles_the_one_of_its_amount_else_the_oldest_and_the_rest_is_said(tmp_path: Path) -> None:
    rows = [
        "A,1,Invoice,2024-03-01,2024-04-01,30.00",
        "A,2,Invoice,2024-03-02,2024-04-02,20.00",
        "A,,Payment,2024-03-10,,-20.00",
        "A,,Payment,2024-03-12,,-10.00",
        "A,,Payment,2024-03-15,,-20.00",
        "A,,Payment,2024-03-20,,-5.00",
    ]
    events, notes = read(tmp_path / "book.csv", "\n".join(["customer,invoice,type,date,due date,amount", *rows]))
    paid = [
        (event.invoice_id, event.amount.minor, event.occurred_at.day) for event in events if isinstance(event, PaymentReceived)
    ]
    assert sorted(paid) == [("1", 1000, 12), ("1", 2000, 15), ("2", 2000, 10)]
    assert any("first line 7: the payment fits no open invoice" in note for note in notes)


def test_a_number_that_repeats_with_other_dates_names_an_invoice_together_with_its_date(tmp_path: Path) -> None:
    rows = "".join(f"A,contract,2024-{month:02}-{day:02},,10.00,\n" for month in range(1, 7) for day in (1, 5, 9, 13, 17))
    events, notes = read(tmp_path / "book.csv", HEADER + rows)
    assert len([event for event in events if isinstance(event, InvoiceIssued)]) == 30
    assert any("repeats with other dates" in note for note in notes)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"customer,date,amount,paid on\n", "no rows"),
        (b"PK\x03\x04rest of a workbook", "is a workbook"),
        (b"\x1f\x8b\x08compressed", "is compressed.*gunzip"),
        (b'"EXTF";700;21;"Buchungsstapel"\nUmsatz;Konto;Belegdatum\n10,00;10042;0302\n', "have no year.*open and settled items"),
        (bytes(range(256)) * 4, "another --encoding"),
        (b"wer,wann,wieviel,ende\nA,2024-01-05,10.50,2024-02-01\n", "--map client_id=COLUMN.*wann '2024-01-05'"),
        (b'customer,date,amount,paid on\nA,2024-01-05,"10', "--map|nothing|closed"),
    ],
)
def test_what_is_no_book_is_refused_with_what_to_do(raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes(raw)
    if b'"10' in raw:
        assert evaluate(path) == 1
        return
    with pytest.raises(UsageError, match=said):
        hold_history(path, asked=Asked())


def test_a_book_without_issue_dates_takes_them_from_its_due_dates_and_says_so(tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", "customer,invoice,due date,amount,paid on\nA,1,2024-03-31,10.00,2024-04-09\n")
    issued = next(event for event in events if isinstance(event, InvoiceIssued))
    assert (f"{issued.occurred_at:%Y-%m-%d}", f"{issued.due_at:%Y-%m-%d}") == ("2024-03-01", "2024-03-31")
    assert any("no issue date in the file: 30 days before the due date assumed; change it with --terms" in note for note in notes)


def test_a_book_without_amounts_is_evaluated_but_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    events, notes = read(path, "customer,invoice,date,due date,paid on\nA,1,2024-03-01,2024-03-31,2024-04-09\n")
    assert [event.amount for event in events if isinstance(event, InvoiceIssued | PaymentReceived)] == [Money(100, "EUR")] * 2
    assert any("no amounts in the file: every invoice counts as 1.00 EUR" in note for note in notes)
    with pytest.raises(UsageError, match="--map amount=COLUMN"):
        make_plan(path, asked=Asked(), home_currency="EUR")


CELLS = st.sampled_from(
    [
        "",
        "A",
        "7",
        "-3",
        "2024-02-30",
        "2024-03-05",
        "45000",
        "9999-12-31",
        "1e400",
        "nan",
        "1.5e3",
        "€ 1.000,00",
        "0",
        "\x00",
        '"',
        "١٢",
        "()",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=8), min_size=1, max_size=8))
def test_no_cells_whatever_they_hold_end_in_anything_but_events_or_a_usage_error(rows: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        text = "customer,invoice,issue date,due date,amount,paid date,terms,type\n" + "\n".join(",".join(row) for row in rows)
        path = Path(folder) / "book.csv"
        path.write_text(text, encoding="utf-8")
        with suppress(UsageError):
            events, _ = hold_history(path, asked=Asked(date_order="dmy", decimal="point", currency="EUR"))
            assert all(event.received_ms > 0 for event in events)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Net 30", Terms(30)),
        ("2/10 n/45", Terms(45)),
        ("2% 10, Net 30", Terms(30)),
        ("30 Tage netto", Terms(30)),
        ("14 jours", Terms(14)),
        ("60", Terms(60)),
        ("Z030", Terms(30)),
        ("due on receipt", Terms(0)),
        ("Net 30 EOM", Terms(30, month_end=True)),
        ("NAH4", None),
        ("", None),
    ],
)
def test_terms_are_read_as_people_write_them(text: str, terms: Terms | None) -> None:
    assert read_terms(text) == terms


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Payment", RowKind.PAYMENT),
        ("DZ", RowKind.PAYMENT),
        ("Zahlungseingang", RowKind.PAYMENT),
        ("Credit Memo", RowKind.CREDIT),
        ("Gutschrift", RowKind.CREDIT),
        ("Sales invoice", RowKind.INVOICE),
        ("Service", RowKind.INVOICE),
        ("", RowKind.INVOICE),
    ],
)
def test_the_kind_of_a_row_is_read_from_words_and_codes(word: str, kind: RowKind) -> None:
    assert kind_of(word) is kind


def test_the_number_of_a_day_in_a_spreadsheet_is_read_to_the_second() -> None:
    whole, part = (read_moment(text, order=None, zone=ZoneInfo("UTC"), at=ISSUED_AT) for text in ("45000", "45000.75"))
    assert whole is not None
    assert part is not None
    assert whole.isoformat() == "2023-03-15T09:00:00+00:00"
    assert part - whole == timedelta(hours=9)

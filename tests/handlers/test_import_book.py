from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.cli import EXIT_FAILED, run
from handlers.commands.book.amounts import read_amount
from handlers.commands.book.column_names import Meaning
from handlers.commands.book.columns import choose_columns
from handlers.commands.book.dates import Order, read_moment
from handlers.commands.book.ordering import by_arrival
from handlers.commands.book.plan import Asked, make_plan
from handlers.commands.book.totals import Totals, describe_plan, read_book
from models.events.invoices import CreditNoteIssued, InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import EVENT_ADAPTER, AnyClientEvent
from models.money import Money
from streams.runtime.errors import UsageError

PLAIN = "Customer ID,Invoice No,Invoice Date,Due Date,Amount,Paid On\n"

WriteBook = Callable[..., Path]


@pytest.fixture
def book(tmp_path: Path) -> WriteBook:
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "book.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def _read(path: Path, **asked: object) -> tuple[list[AnyClientEvent], Totals]:
    totals = Totals()
    plan = make_plan(path, asked=Asked(**asked), home_currency="EUR")  # type: ignore[arg-type]
    return list(read_book(plan, totals=totals, rejects=path.with_suffix(".rejects.csv"))), totals


def test_an_invoice_and_its_settlement_become_two_events_with_the_books_own_dates(book: WriteBook) -> None:
    events, totals = _read(book(PLAIN + "C1,I-7,2024-05-02,2024-06-01,1200.50,2024-06-11\n"))
    invoice, payment = events
    assert isinstance(invoice, InvoiceIssued)
    assert (invoice.client_id, invoice.invoice_id, invoice.amount) == ("C1", "I-7", Money(120050, "EUR"))
    assert invoice.received_at == invoice.occurred_at == datetime(2024, 5, 2, 9, tzinfo=UTC)
    assert isinstance(payment, PaymentReceived)
    assert (payment.occurred_at - invoice.due_at).days == 10
    assert payment.received_at == payment.occurred_at
    assert list(totals.lines()) == [
        "EUR: 1 invoices 1200.50 EUR, 1 settlements 1200.50 EUR, 0 credit notes 0.00 EUR, open 0.00 EUR"
    ]


def test_rows_that_are_added_up_are_told_and_rows_that_repeat_are_not(book: WriteBook) -> None:
    items = "C1,I-7,2024-05-02,2024-06-01,100,\nC1,I-7,2024-05-02,2024-06-01,20,\n"
    assert list(_read(book(PLAIN + items))[1].lines()) == [
        "EUR: 1 invoices 120.00 EUR, 0 settlements 0.00 EUR, 0 credit notes 0.00 EUR, open 120.00 EUR",
        "note: 1 invoice stands on several rows with different amounts: they were taken for its line items and added up",
    ]
    assert len(list(_read(book(PLAIN + "C1,I-7,2024-05-02,2024-06-01,100,\n" * 2))[1].lines())) == 1


def test_the_same_book_gives_the_same_event_ids_and_another_source_gives_others(book: WriteBook) -> None:
    path = book(PLAIN + "C1,I-7,2024-05-02,2024-06-01,10,\nC1,I-8,2024-05-02,2024-06-01,10,2024-05-05\n")
    first, again, other = (_read(path, source=source)[0] for source in ("erp", "erp", "bank"))
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert not {event.event_id for event in first} & {event.event_id for event in other}


def test_rows_without_invoice_numbers_keep_their_identity_even_when_they_are_alike(book: WriteBook) -> None:
    text = "Customer,Date,Amount\n" + "C1,2024-05-02,10\n" * 2 + "C1,2024-05-03,10\n"
    first, again = (_read(book(text))[0] for _ in range(2))
    assert len({event.event_id for event in first}) == 3
    assert [event.event_id for event in first] == [event.event_id for event in again]


def test_a_column_that_fits_day_month_and_month_day_is_an_error_that_asks(book: WriteBook) -> None:
    path = book(PLAIN + "C1,I-1,3/4/2024,5/6/2024,10,\n")
    with pytest.raises(UsageError, match=r"could be day/month or month/day \(3/4/2024\); say --date-order"):
        _read(path)
    (invoice,) = _read(path, date_order="dmy")[0]
    assert invoice.occurred_at.month == 4


def test_one_decisive_column_decides_for_the_others_and_the_plan_says_so(book: WriteBook) -> None:
    path = book(PLAIN + "C1,I-1,3/4/2024,25/4/2024,10,\n")
    assert _read(path)[0][0].occurred_at.month == 4
    plan = make_plan(path, asked=Asked(), home_currency="EUR")
    assert any("'Invoice Date' are read as dmy" in line for line in describe_plan(plan))


def test_a_column_that_mixes_both_orders_is_an_error_that_asks(book: WriteBook) -> None:
    path = book(PLAIN + "C1,I-1,13/4/2024,25/4/2024,10,\nC1,I-2,4/13/2024,25/4/2024,10,\n")
    with pytest.raises(UsageError, match="mixes day/month and month/day"):
        _read(path)
    events, totals = _read(path, date_order="dmy")
    assert (len(events), totals.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2024-02-29", None, (2024, 2, 29, 9, 0)),
        ("20240229", None, (2024, 2, 29, 9, 0)),
        ("20240229.0", None, (2024, 2, 29, 9, 0)),
        ("2024/2/9 14:05", None, (2024, 2, 9, 14, 5)),
        ("2024-02-29T23:30:00+02:00", None, (2024, 2, 29, 21, 30)),
        ("2024-02-29 23:30:00Z", None, (2024, 2, 29, 23, 30)),
        ("26-Apr-11", None, (2011, 4, 26, 9, 0)),
        ("1 March 2024", None, (2024, 3, 1, 9, 0)),
        ("3. März 2024", None, (2024, 3, 3, 9, 0)),
        ("Feb 3rd, 2024", None, (2024, 2, 3, 9, 0)),
        ("26-04-2011 11:50", "dmy", (2011, 4, 26, 11, 50)),
        ("4/6/2013", "mdy", (2013, 4, 6, 9, 0)),
        ("4/6/69", "mdy", (1969, 4, 6, 9, 0)),
        ("4/6/68", "mdy", (2068, 4, 6, 9, 0)),
        ("31.12.99", "dmy", (1999, 12, 31, 9, 0)),
        ("7/7/2024 12:15 AM", None, (2024, 7, 7, 0, 15)),
    ],
)
def test_dates_are_read_as_books_write_them(text: str, order: Order | None, expected: tuple[int, ...]) -> None:
    moment = read_moment(text, order=order, zone=ZoneInfo("UTC"), at=time(9))
    assert moment == datetime(*expected, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_date_without_a_zone_is_local_to_the_zone_asked_for(book: WriteBook) -> None:
    (invoice,) = _read(book(PLAIN + "C1,I-1,2024-07-01,2024-07-31,10,\n"), timezone="Asia/Tokyo")[0]
    assert invoice.occurred_at == datetime(2024, 7, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["31.02.2024", "yesterday", "2024-13-01", "13/13/2024", "9 Foo 2024", "2024-01-01 25:00"])
def test_what_is_no_date_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a date|no month|not a time"):
        read_moment(text, order="dmy", zone=ZoneInfo("UTC"), at=time(9))


@pytest.mark.parametrize(
    ("text", "mark", "currency", "minor"),
    [
        ("1234.5", "point", "EUR", 123450),
        ("1,234.50", "point", "USD", 123450),
        ("1.234,50 €", "comma", "EUR", 123450),
        ("1 234,50", "comma", "EUR", 123450),
        ("1'234.50", "point", "CHF", 123450),
        ("¥1,234", "point", "JPY", 1234),
        ("(12.00)", "point", "EUR", -1200),
        ("12.00-", "point", "EUR", -1200),
        ("-12", "point", "EUR", -1200),
        ("103.53000000000003", "point", "EUR", 10353),
        ("1.234", "point", "KWD", 1234),
    ],
)
def test_amounts_are_read_as_books_write_them(text: str, mark: str, currency: str, minor: int) -> None:
    assert read_amount(text, currency=currency, mark=mark) == Money(minor, currency)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "currency"), [("12.345", "EUR"), ("12.5", "JPY"), ("free", "EUR"), ("12 USD", "EUR"), ("9", "ZZZ")]
)
def test_an_amount_that_would_have_to_be_rounded_or_converted_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"decimals|not an amount|names USD|ZZZ is no currency"):
        read_amount(text, currency=currency, mark="point")


@given(minor=st.integers(min_value=-(10**12), max_value=10**12), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_written_with_groups_in_either_style_is_read_back(minor: int, currency: str) -> None:
    whole, _, fraction = str(Money(minor, currency)).split()[0].partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    grouped = f"{int(digits):,}"
    english = sign + grouped + (f".{fraction}" if fraction else "")
    german = sign + grouped.replace(",", ".") + (f",{fraction}" if fraction else "")
    assert read_amount(english, currency=currency, mark="point") == Money(minor, currency)
    assert read_amount(german, currency=currency, mark="comma") == Money(minor, currency)


def test_a_file_where_thousands_and_decimals_cannot_be_told_apart_is_an_error_that_asks(book: WriteBook) -> None:
    with pytest.raises(UsageError, match=r"'1\.234' could have thousands or decimals; say --decimal"):
        _read(book(PLAIN + "C1,I-1,2024-05-02,2024-06-01,1.234,\n"))


def test_a_german_book_in_cp1252_with_semicolons_and_decimal_commas_is_understood(book: WriteBook) -> None:
    text = "Kundennr;Rechnungsnummer;Rechnungsdatum;Fälligkeit;Betrag;Währung\nMüller;R1;30.04.2024;14.05.2024;1.190,00;EUR\n"
    (invoice,) = _read(book(text, "cp1252"))[0]
    assert (invoice.client_id, invoice.model_dump()["amount"]) == ("Müller", {"minor": 119000, "currency": "EUR"})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_not_hide_the_first_column(book: WriteBook, encoding: str) -> None:
    assert len(_read(book(PLAIN + "C1,I-1,2024-05-02,2024-06-01,10,\n", encoding))[0]) == 1


def test_bad_rows_go_to_the_rejects_file_with_line_and_reason_and_the_rest_is_imported(book: WriteBook) -> None:
    path = book(
        PLAIN
        + 'C1,"I\n1",2024-05-02,2024-06-01,10,\n'
        + "C1,I-2,soon,2024-06-01,10,\n"
        + ",I-3,2024-05-02,2024-06-01,10,\n"
        + "C1,I-4,2024-05-02,2024-06-01\n"
        + "C1,I-5,2024-05-02,2024-06-01,0,\n"
        + "\n"
        + "C1,I-6,2024-05-02,2024-06-01,10,\n"
        + "C1,I-6,2024-05-03,2024-06-01,10,\n"
    )
    events, totals = _read(path)
    assert len(events) == 2
    assert totals.rejected == 5
    rejects = path.with_suffix(".rejects.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in rejects] == [
        ["line", "reason"],
        ["4", "'soon' is not a date"],
        ["5", "'Customer ID' is blank"],
        ["6", "4 cells where the header has 6"],
        ["7", "the amount is zero"],
        ["10", "invoice I-6 of C1 stands on line 9 already"],
    ]


def test_no_rejects_file_is_made_when_every_row_is_good(book: WriteBook) -> None:
    path = book(PLAIN + "C1,I-1,2024-05-02,2024-06-01,10,\n")
    _read(path)
    assert not path.with_suffix(".rejects.csv").exists()


def test_currencies_are_totalled_apart_and_negative_rows_are_credit_notes(book: WriteBook) -> None:
    text = (
        "Customer,Invoice,Date,Amount,Currency\nC1,1,2024-05-02,10.00,EUR\nC1,2,2024-05-02,500,JPY\nC1,3,2024-05-02,-4.00,EUR\n"
    )
    events, totals = _read(book(text))
    assert isinstance(events[2], CreditNoteIssued)
    assert {code: (total.invoiced, total.credited) for code, total in totals.by_currency.items()} == {
        "EUR": (1000, 400),
        "JPY": (500, 0),
    }


def test_a_dispute_is_never_told_before_it_could_be_known(book: WriteBook) -> None:
    text = "Customer,Invoice,Invoice Date,Due Date,Amount,Disputed,Settled Date\n"
    events, _ = _read(book(text + "C1,1,2024-05-02,2024-06-01,10,Yes,2024-05-20\nC1,2,2024-05-02,2024-06-01,10,Yes,\n"))
    told = {event.event_id: event for event in events if event.kind.startswith("dispute")}
    early, closed, late = sorted(told.values(), key=lambda event: event.occurred_at)
    assert (early.kind, early.occurred_at.date().isoformat()) == ("dispute.opened", "2024-05-20")
    assert closed.kind == "dispute.closed"
    assert late.occurred_at.date().isoformat() == "2024-06-01"


def test_settled_and_outstanding_amounts_make_part_payments(book: WriteBook) -> None:
    header = "Customer,Invoice,Date,Amount,Settled,Outstanding,Days until payment\n"
    path = book(header + "C1,1,2024-05-02,10.00,6.00,4.00,5\nC1,2,2024-05-02,10.00,,,\n")
    events, totals = _read(path, columns=("days_to_settle=Days until payment",))
    payments = [event for event in events if isinstance(event, PaymentReceived)]
    assert [(payment.amount.minor, payment.occurred_at.day) for payment in payments] == [(600, 7)]
    assert totals.by_currency["EUR"].open_minor == 1400


def test_a_named_column_overrules_the_guess_and_an_unknown_one_is_refused() -> None:
    header = ("Customer", "Konto", "Date", "Amount")
    assert choose_columns(header, given=("client_id=Konto",))[Meaning.CLIENT_ID] == "Konto"
    with pytest.raises(UsageError, match="the file has no column 'Nope'"):
        choose_columns(header, given=("client_id=Nope",))
    with pytest.raises(UsageError, match="is not MEANING=COLUMN"):
        choose_columns(header, given=("colour=Konto",))


def test_a_missing_meaning_is_asked_for_with_the_option_that_answers() -> None:
    with pytest.raises(UsageError, match=r"no column found for client_id, amount; say which: --map client_id=COLUMN"):
        choose_columns(("Date", "Colour"))


@pytest.mark.parametrize(("text", "complaint"), [("", "is empty"), ("\n\n", "is empty"), (PLAIN, "no rows")])
def test_a_file_with_nothing_in_it_says_so(book: WriteBook, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _read(book(text))


def test_a_quote_that_is_never_closed_costs_its_rows_and_is_reported(book: WriteBook) -> None:
    events, totals = _read(book(PLAIN + "C1,I-1,2024-05-02,2024-06-01,10,\n" + 'C1,"I-2,2024\n' * 3))
    assert len(events) == 1
    assert totals.rejected >= 1


def test_a_folder_or_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(UsageError, match="is not a file"):
            _read(path)


@given(moments=st.lists(st.integers(min_value=0, max_value=40), max_size=60), run_events=st.integers(min_value=1, max_value=7))
def test_a_book_of_any_order_comes_out_by_arrival_whatever_fits_in_memory(moments: list[int], run_events: int) -> None:
    events = [_invoice(place, minute) for place, minute in enumerate(moments)]
    sorted_ids = [event.event_id for event in sorted(events, key=lambda event: event.received_ms)]
    merged = [EVENT_ADAPTER.validate_json(value) for value in by_arrival(iter(events), run_events=run_events)]
    assert [event.event_id for event in merged] == sorted_ids


def _invoice(place: int, minute: int) -> InvoiceIssued:
    at = datetime(2024, 1, 1, 0, minute, tzinfo=UTC)
    return InvoiceIssued(
        event_id=f"e{place}",
        source="test",
        client_id="C1",
        occurred_at=at,
        invoice_id=f"i{place}",
        amount=Money(1, "EUR"),
        due_at=at,
    )


def test_rejected_rows_end_with_one_and_the_others_are_imported_all_the_same(
    book: WriteBook, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book(PLAIN + "C1,I-1,2024-05-02,2024-06-01,10,\nC1,I-2,soon,2024-06-01,10,\n")
    monkeypatch.chdir(path.parent)
    target = path.with_suffix(".jsonl")
    assert run(["import", str(path), "--to", str(target)]) == EXIT_FAILED
    assert "1 rows rejected, all in book.rejects.csv, the others are not:" in capsys.readouterr().err
    assert len(target.read_text(encoding="utf-8").splitlines()) == 1
    assert run(["import", str(path), "--dry-run"]) == EXIT_FAILED
    assert run(["replay", str(path), "--dry-run"]) == EXIT_FAILED
    assert "not a date" in capsys.readouterr().err
    path.write_text(path.read_text(encoding="utf-8").replace("soon", "2024-05-03"), encoding="utf-8")
    assert run(["import", str(path), "--dry-run"]) == 0
    assert run(["replay", str(path), "--dry-run"]) == 0

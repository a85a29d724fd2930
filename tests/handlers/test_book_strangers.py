"""Books as strangers export them: what would have been read wrongly without a word, or refused without a way on."""

from datetime import date, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.book.column_names import Meaning
from handlers.commands.book.columns import choose_columns
from handlers.commands.book.dates import read_moment
from handlers.commands.book.plan import Asked, make_plan
from handlers.commands.book.totals import Totals, describe_plan, read_book
from handlers.commands.book.words import Became, became
from handlers.commands.evaluate import evaluate
from handlers.commands.held_history import hold_history
from models.events.invoices import CreditNoteIssued, InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from streams.runtime.errors import UsageError

HEADER: Final = "customer,invoice,issue date,due date,amount,paid date"
ROWS: Final = "A,1,2024-03-01,2024-03-31,10.00,2024-04-02\nA,2,2024-03-02,2024-04-01,20.00,"


def read(path: Path, text: str | bytes, **asked: object) -> tuple[list[AnyClientEvent], str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    events, notes = hold_history(path, asked=Asked(**asked))  # type: ignore[arg-type]
    return list(events), "\n".join(notes)


def bills(events: list[AnyClientEvent]) -> list[tuple[str, str, int, str]]:
    """Invoice, day of issue, minor units, day of payment."""
    paid = {event.invoice_id: f"{event.occurred_at:%Y-%m-%d}" for event in events if isinstance(event, PaymentReceived)}
    issued = [event for event in events if isinstance(event, InvoiceIssued)]
    return [(row.invoice_id, f"{row.occurred_at:%Y-%m-%d}", row.amount.minor, paid.get(row.invoice_id, "")) for row in issued]


@pytest.mark.parametrize("word", ["open", "n/a", "Unpaid", "not yet paid", "—", "#N/A", ".", "Non réglé", "offen", "TBD", "\\N"])
def test_a_word_in_the_place_of_a_date_of_payment_is_an_invoice_that_is_open(word: str, tmp_path: Path) -> None:
    rows = [f"A,{number},2024-03-0{number},2024-04-01,5.00,{paid}" for number, paid in ((1, word), (2, word), (3, "2024-04-02"))]
    events, notes = read(tmp_path / "book.csv", "\n".join([HEADER, *rows]))
    assert [row[3] for row in bills(events)] == ["", "", "2024-04-02"]
    assert "0 rows rejected" in notes


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-8-sig"])
def test_a_book_in_any_unicode_is_read_with_or_without_a_mark(encoding: str, tmp_path: Path) -> None:
    events, _ = read(tmp_path / "book.csv", f"{HEADER}\n{ROWS}".encode(encoding))
    assert bills(events) == [("1", "2024-03-01", 1000, "2024-04-02"), ("2", "2024-03-02", 2000, "")]


@pytest.mark.parametrize("mark", "^~:")
def test_a_book_may_name_any_separator_above_its_header(mark: str, tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", f"sep={mark}\n{HEADER}\n{ROWS}".replace(",", mark))
    assert len(bills(events)) == 2
    assert f"separated by {mark}" in notes


def test_blank_cells_that_a_spreadsheet_left_out_at_the_end_of_a_row_are_blank(tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", f"{HEADER}\n{ROWS.rstrip(',')}\nA,3,2024-03-02,2024-04-01")
    assert [row[0] for row in bills(events)] == ["1", "2"]
    assert "1 row, first line 4: 4 cells where the header has 6" in notes


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Voided", Became.NEVER_OWED),
        ("DRAFT", Became.NEVER_OWED),
        ("storniert", Became.NEVER_OWED),
        ("Paid In Full", Became.PAID),
        ("Bezahlt", Became.PAID),
        ("Closed", Became.PAID),
        ("Not Paid", Became.OPEN),
        ("Partially paid", Became.UNSAID),
        ("Sent", Became.UNSAID),
        ("Uncollectible", Became.UNSAID),
    ],
)
def test_a_status_says_what_became_of_an_invoice(word: str, meant: Became) -> None:
    assert became(word) is meant


def test_what_was_never_owed_or_paid_on_an_unknown_day_is_not_taken_for_late(tmp_path: Path) -> None:
    rows = ROWS.replace("02\n", "02,Paid\n") + ",Void\nA,3,2024-03-02,2024-04-01,5.00,,Paid\nA,4,2024-03-02,2024-04-01,5.00,,Open"
    events, notes = read(tmp_path / "book.csv", f"{HEADER},status\n{rows}")
    assert [(row[0], row[3]) for row in bills(events)] == [("1", "2024-04-02"), ("4", "")]
    assert "'Void' in 'status': it was never owed" in notes
    assert "5.00 EUR is settled, but there is no date of payment" in notes


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-01 12:30:00 EST", "2024-03-01"),
        ("01 Mar 2024 23:30:00 EST", "2024-03-02"),
        ("Fri, 01 Mar 2024 12:30:00 +0000", "2024-03-01"),
        ("2024-03-01T00:30:00+01:00[Europe/Paris]", "2024-02-29"),
        ("2024-03-01 00:30:00 GMT+02:00", "2024-02-29"),
        ("01MAR2024", "2024-03-01"),
        ("2024年3月1日", "2024-03-01"),
        ("Mar  1 2024 12:30PM", "2024-03-01"),
    ],
)
def test_dates_are_read_as_mails_databases_and_statistics_programs_write_them(text: str, day: str, tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", f'{HEADER}\nA,1,"{text}",2024-03-31,10.00,2024-04-02\n')
    assert [row[1] for row in bills(events)] == [day], notes


def test_a_year_of_two_digits_that_stands_first_is_not_taken_for_a_day(tmp_path: Path) -> None:
    days = [date(2023, 1, 2) + timedelta(days=9 * number) for number in range(60)]
    rows = [f"A,{number},{day:%y-%m-%d},{day + timedelta(days=14):%y-%m-%d},10.00," for number, day in enumerate(days)]
    events, notes = read(tmp_path / "book.csv", "\n".join([HEADER, *rows]))
    assert [row[1] for row in bills(events)] == [f"{day}" for day in days]
    assert "issued_on       <- issue date (ymd)" in notes


@pytest.mark.parametrize("form", ["%d%m%Y", "%m%d%Y"])
def test_eight_digits_that_end_with_the_year_are_read_in_the_order_of_the_column(form: str, tmp_path: Path) -> None:
    days = [date(2019, 1, 2) + timedelta(days=17 * number) for number in range(50)]
    rows = [f"A,{number},{day:{form}},{day + timedelta(days=14):{form}},10.00," for number, day in enumerate(days)]
    rows[0] = rows[0].replace(",0", ",")  # as a number in a spreadsheet
    events, _ = read(tmp_path / "book.csv", "\n".join([HEADER, *rows]))
    assert [row[1] for row in bills(events)] == [f"{day}" for day in days]


@given(day=st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)))
def test_eight_digits_are_never_two_days(day: date) -> None:
    for text in (f"{day:%Y%m%d}", f"{day:%d%m%Y}", f"{day:%d%m%Y}.0"):
        moment = read_moment(text, order="dmy", zone=ZoneInfo("UTC"), at=time())
        assert moment is not None
        assert moment.date() == day


def test_currencies_are_known_by_code_symbol_or_word(tmp_path: Path) -> None:
    names = ["Euro", "eur", "€", "US Dollar", "$", "usd", "Pound Sterling", "£"]
    rows = [f"A,{number},2024-03-01,2024-03-31,10.00,2024-04-02,{name}" for number, name in enumerate(names)]
    events, _ = read(tmp_path / "book.csv", "\n".join([f"{HEADER},currency", *rows]))
    issued = [event.amount.currency for event in events if isinstance(event, InvoiceIssued)]
    assert issued == ["EUR"] * 3 + ["USD"] * 3 + ["GBP"] * 2


@pytest.mark.parametrize("amount", ["¥1,234", "1,234円", "JPY 1.234"])
def test_money_that_has_no_decimals_is_grouped_in_thousands(amount: str, tmp_path: Path) -> None:
    events, _ = read(tmp_path / "book.csv", f'{HEADER}\nA,1,2024-03-01,2024-03-31,"{amount}",2024-04-02\n')
    assert bills(events)[0][2] == 1234


@pytest.mark.parametrize(
    "given",
    [
        ("client_id=Wer", "issued_on=Wann", "amount=Wieviel", "settled_on=Bezahlt"),
        ("client_id=Wer,issued_on=Wann,amount=Wieviel,settled_on=Bezahlt",),
        ("customer=wer", "invoice_date=wann", "Amount = wieviel", "paid=bezahlt"),
        ("Wer=client_id", "Wann=issued_on", "Wieviel=amount", "Bezahlt=settled_on"),
    ],
)
def test_a_mapping_is_understood_as_people_write_it(given: tuple[str, ...]) -> None:
    found = choose_columns(("Wer", "Wann", "Wieviel", "Bezahlt"), given=given)
    assert found == {"client_id": "Wer", "issued_on": "Wann", "amount": "Wieviel", "settled_on": "Bezahlt"}


def test_where_no_name_is_known_the_error_proposes_a_mapping_from_what_the_columns_hold(tmp_path: Path) -> None:
    rows = [
        f"K{number % 3},{number},2024-03-{number + 1:02},2024-04-02,{number}.50,{'2024-04-09' if number % 2 else ''}"
        for number in range(9)
    ]
    with pytest.raises(
        UsageError, match=r"perhaps: --map client_id=a --map invoice_id=b .*issued_on=c .*due_on=d .*amount=e .*settled_on=f"
    ):
        read(tmp_path / "book.csv", "\n".join(["a,b,c,d,e,f", *rows]))
    with pytest.raises(UsageError, match=r"no column 'Custmer' \(do you mean 'Customer'\?\)"):
        choose_columns(("Customer", "Date", "Amount"), given=("client_id=Custmer",))
    with pytest.raises(UsageError, match="the first line holds no names of columns but a row"):
        read(tmp_path / "book.csv", "\n".join(rows))


@pytest.mark.parametrize(("late", "said"), [(-9, "no more than 5 days late"), (40, "more than 5 days late")])
def test_where_all_pay_alike_the_report_says_so_and_days_are_judged(
    late: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [date(2023, 1, 2) + timedelta(days=2 * number) for number in range(160)]
    rows = [
        f"K{number % 4},{number},{day},{day + timedelta(days=14)},10.00,{day + timedelta(days=14 + late)}"
        for number, day in enumerate(days)
    ]
    (tmp_path / "book.csv").write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    assert evaluate(tmp_path / "book.csv", report=tmp_path / "report.html") == 0
    assert said in capsys.readouterr().out.replace("\n", " ")
    assert said in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_book_of_which_no_row_could_be_read_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.csv").write_text(f"{HEADER}\nA,1,2024-02-30,2024-03-30,10.00,\n", encoding="utf-8")
    assert evaluate(tmp_path / "book.csv") == 1
    assert "no row could be read as an invoice" in capsys.readouterr().out


def test_what_the_word_paid_stands_above_is_a_day_where_it_counts_days_as_spreadsheets_do() -> None:
    names = ("Client", "Inv", "Inv Date", "Due", "Amt", "Paid")
    found = choose_columns(
        names, sample=[("A", "1", "45352", "45382", "10.50", "45384"), ("A", "2", "45352", "45382", "7.00", "")]
    )
    assert found[Meaning.SETTLED_ON] == "Paid"
    assert choose_columns(names, sample=[("A", "1", "45352", "45382", "10.50", "10.50")])[Meaning.SETTLED] == "Paid"


def test_credits_in_a_column_of_their_own_are_payments_or_credit_notes_by_their_kind(tmp_path: Path) -> None:
    header = "Date,Particulars,Voucher Type,Voucher No.,Due Date,Debit,Credit"
    rows = [
        '1-Mar-24,A,Sales,1,31-Mar-24,"1,10,000.00 Dr",',
        '2-Mar-24,A,Sales,2,1-Apr-24,"2,000.00 Dr",',
        '2-Apr-24,A,Receipt,R1,,,"1,10,000.00 Cr"',
        "3-Apr-24,A,Credit note,CN1,,,50.00 Cr",
    ]
    events, _ = read(tmp_path / "book.csv", "\n".join([header, *rows]))
    assert bills(events) == [("1", "2024-03-01", 11_000_000, "2024-04-02"), ("2", "2024-03-02", 200_000, "")]
    assert [event.amount.minor for event in events if isinstance(event, CreditNoteIssued)] == [5_000]


def test_credits_without_a_word_for_their_kind_are_payments_where_invoices_name_none(tmp_path: Path) -> None:
    rows = ["2024-03-01,A,1,2024-03-31,10.00,", "2024-04-02,A,,,,10.00"]
    events, _ = read(tmp_path / "book.csv", "\n".join(["date,client,invoice,due date,debit,credit", *rows]))
    assert bills(events) == [("1", "2024-03-01", 1_000, "2024-04-02")]


@pytest.mark.parametrize(
    "day",
    [
        *("12/31/9999", "31.12.9999", "9999-12-31", "01/01/1900", "2999-12-31", "1970-01-01", "01/01/1970 00:00", "01-Jan-1970"),
        *("31/12/1969 19:00:00", "0001-01-01T00:00:00", "1753-01-01", "1899-12-30", "31/12/1899", "1/0/1900", "2079-06-06"),
        *("2099-12-31", "-0001-11-30 00:00:00", "False"),
    ],
)
def test_a_day_that_no_book_reaches_stands_for_none(day: str, tmp_path: Path) -> None:
    events, _ = read(tmp_path / "book.csv", f"{HEADER}\nA,1,13/12/2023,31/01/2024,10.00,{day}", date_order="dmy")
    assert [row[3] for row in bills(events)] == [""]


def test_a_book_without_dates_of_payment_is_told_which_column_they_could_be(tmp_path: Path) -> None:
    rows = "A,1,2024-03-01,10.00,2024-04-02\nA,2,2024-03-01,10.00,"
    with pytest.raises(UsageError, match="perhaps: --map settled_on=Wann"):
        read(tmp_path / "book.csv", f"customer,invoice,date,amount,Wann\n{rows}")


@pytest.mark.parametrize(
    ("second", "hint"), [("2024-03-31", ", or say which column it is (perhaps: --map due_on=Wann)"), ("", "")]
)
def test_a_book_without_a_due_date_is_told_which_column_without_gaps_it_could_be(second: str, hint: str, tmp_path: Path) -> None:
    rows = f"A,1,2024-03-01,2024-03-31,10.00,2024-04-02\nA,2,2024-03-01,{second},10.00,"
    _, notes = read(tmp_path / "book.csv", f"customer,invoice,date,Wann,amount,paid on\n{rows}")
    assert f"  note: no due date in the file: 30 days after issue assumed; change it with --terms{hint}" in notes


def test_a_status_without_any_date_settles_on_the_due_date_and_the_plan_says_so(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    rows = [f"A,{number},2024-03-01,2024-03-31,5.00,{status}" for number, status in ((1, "Paid"), (2, "Sent"))]
    path.write_text("\n".join(["customer,invoice,date,due date,amount,status", *rows]), encoding="utf-8")
    plan = make_plan(path, asked=Asked(), home_currency="EUR")
    assert [row[3] for row in bills(list(read_book(plan, totals=Totals(), rejects=None)))] == ["2024-03-31", ""]
    assert any("counts as paid on its due date" in line for line in describe_plan(plan))


@pytest.mark.parametrize("name", ["customer", "invoice"])
def test_numbers_that_a_spreadsheet_cut_short_are_not_taken_for_names(name: str, tmp_path: Path) -> None:
    rows = [
        f"4.6E+11,{number},2024-03-01,2024-03-31,10.00," if name == "customer" else f"A,4.6E+{number},2024-03-01,,10.00,"
        for number in range(3)
    ]
    with pytest.raises(
        UsageError,
        match=f"column '{name}' holds 4.6E.*cut long numbers short.*--map {'client' if name == 'customer' else name}_id=",
    ):
        read(tmp_path / "book.csv", "\n".join([HEADER, *rows]))


def test_what_is_still_due_is_not_the_amount_of_an_invoice_where_there_is_a_total() -> None:
    odoo = (
        "Number",
        "Invoice Partner Display Name",
        "Invoice/Bill Date",
        "Due Date",
        "Total in Currency Signed",
        "Amount Due Signed",
    )
    found = choose_columns(odoo, sample=[("INV/1", "A", "2024-03-01", "2024-03-31", "$ 1,120.00", "$ 0.00")])
    assert (found[Meaning.AMOUNT], found[Meaning.OUTSTANDING]) == ("Total in Currency Signed", "Amount Due Signed")
    assert choose_columns(("Customer", "Date", "Amount Due"))[Meaning.AMOUNT] == "Amount Due"


def test_a_book_in_which_every_amount_is_below_zero_is_told_so(tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", f"{HEADER}\n{ROWS}".replace("10.00", "-10.00").replace("20.00", "-20.00"))
    assert bills(events) == []
    assert "every amount is below zero" in notes


def test_a_list_for_a_printer_is_read_without_its_lines_repeated_headers_and_totals(tmp_path: Path) -> None:
    line, header = "-" * 90, "|  |Account |DocumentNo|Type|Doc. Date |Net due dt|Clearing  | Amount in LC|LCurr|"
    rows = [
        f"|  |C{number % 3}      |180000{number}   |RV  |03.02.2024|04.03.2024|28.02.2024|       120.00|EUR  |"
        for number in range(6)
    ]
    total = "|* |        |          |    |          |          |          |       720.00|EUR  |"
    text = "\n".join(["Customer Line Items", "", line, header, line, *rows[:3], line, header, line, *rows[3:], line, total, line])
    events, notes = read(tmp_path / "items.txt", text)
    assert bills(events) == [(f"180000{number}", "2024-02-03", 12_000, "2024-02-28") for number in range(6)]
    assert {event.client_id for event in events} == {"C0", "C1", "C2"}
    assert "7 rows: 6 invoices" in notes
    assert "1 row, first line 16: 'Account' is blank" in notes


def payables(count: int, reversals: int) -> str:
    rows = [f"A,{number},2024-03-01,2024-03-31,-10.00,2024-04-02" for number in range(count)]
    return "\n".join([HEADER, *rows, *(f"A,R{number},2024-03-05,2024-03-31,10.00,2024-04-02" for number in range(reversals))])


def test_a_ledger_that_writes_what_is_owed_below_zero_is_evaluated_with_the_sign_turned(tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", payables(40, 3))
    assert bills(events) == [(str(number), "2024-03-01", 1000, "2024-04-02") for number in range(40)]
    assert sum(isinstance(event, CreditNoteIssued) for event in events) == 3
    assert "note: 40 of 43 amounts with a payment are below zero: the sign is turned" in notes


def test_many_credit_notes_among_invoices_stay_credit_notes(tmp_path: Path) -> None:
    events, notes = read(tmp_path / "book.csv", payables(40, 20))
    assert len(bills(events)) == 20
    assert "turned" not in notes


def test_a_ledger_below_zero_is_not_imported_as_if_it_were_owed_to_the_firm(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(payables(40, 3))
    plan = make_plan(path, asked=Asked(), home_currency="EUR")
    assert sum(isinstance(event, InvoiceIssued) for event in read_book(plan, totals=Totals(), rejects=None)) == 3
    assert "most amounts are below zero" in "\n".join(describe_plan(plan))


def test_a_debit_and_credit_listing_settles_by_the_number_it_names(tmp_path: Path) -> None:
    rows = ["01/03/2024,A,7,31/03/2024,10.00,0.00", "02/03/2024,A,8,31/03/2024,10.00,0.00", "25/04/2024,A,8,,0.00,10.00"]
    events, _ = read(tmp_path / "book.csv", "\n".join(["date,client,reference,due date,debit,credit", *rows]))
    assert [(row[0], row[3]) for row in bills(events)] == [("7", ""), ("8", "2024-04-25")]


@pytest.mark.parametrize("cell", [",30,", ",2024-04-02\nA,31,"])
def test_a_quote_that_is_never_closed_is_named_with_the_lines_that_it_takes(cell: str, tmp_path: Path) -> None:
    rows = "\n".join(f"A,{number},2024-03-01,2024-03-31,10.00,2024-04-02" for number in range(500))
    events, notes = read(tmp_path / "book.csv", f"{HEADER}\n{rows.replace(cell, cell.replace(',', ',' + chr(34), 1))}")
    assert len(bills(events)) == 30
    assert "the row goes on to line 501: is a quote not closed?" in notes
    assert max(map(len, notes.splitlines())) < 250


@pytest.mark.parametrize(
    "row", ["Client 01,INV-7,2024-03-01,2024-03-31,10.00,2024-04-02", "Client 01,INV-7,01.03.2024,31.03.2024,10.00,"]
)
def test_a_row_whose_cells_resemble_names_is_not_taken_for_the_header(row: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the first line holds no names of columns but a row"):
        read(tmp_path / "book.csv", "\n".join(row.replace("7", str(number)) for number in range(9)))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\xef\xbb\xbf<!DOCTYPE html>\n<table><tr><td>Customer", "a web page or XML"),
        (b'<?xml version="1.0"?>\n<Workbook', "a web page or XML"),
        (b"SQLite format 3\0", "a database"),
        (b'[{"customer": "A"}]', "JSON"),
    ],
    ids=["pdf", "parquet", "html", "xml", "sqlite", "json"],
)
@pytest.mark.parametrize("name", ["book.csv", "book.xls"])
def test_what_is_no_table_of_text_is_named_with_the_way_to_a_csv(start: bytes, kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"is {kind}, not a table as text; export it as CSV"):
        read(tmp_path / name, start + b"\n" * 40)

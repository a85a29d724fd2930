"""One history as accounting programs export it where a row is not an invoice: documents, payments, line items, part payments."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from tests.histories.firms import Bill

_SWAPPED: Final = str.maketrans(",.", ".,")

Rows = Iterable[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Journal:
    """How one program writes a whole book; `above` stands over the header, `below` under the last row."""

    header: tuple[str, ...]
    rows: Callable[[Sequence[Bill]], Rows]
    separator: str = ","
    encoding: str = "utf-8"
    above: str = ""
    below: tuple[str, ...] = ()


def _compact(day: date | None) -> str:
    return f"{day:%Y%m%d}" if day else "00000000"


def _documents(bills: Sequence[Bill]) -> Rows:
    """Customer line items of an SAP system: invoices with their clearing date, and the clearing payments once more."""
    for place, bill in enumerate(bills):
        money, issued = f"{bill.cents / 100:.2f}", _compact(bill.issued)
        number = f"18{place:08}"
        yield (bill.client, number, issued, issued, "EUR", "RV", "S", money, "NT30", _compact(bill.due), _compact(bill.paid))
        if bill.paid:
            paid = _compact(bill.paid)
            yield (bill.client, f"14{place:08}", paid, paid, "EUR", "DZ", "H", money, "", paid, paid)


def _transactions(bills: Sequence[Bill]) -> Rows:
    """A list of transactions as QuickBooks exports it: payments are rows below zero that name no invoice."""
    rows = []
    for place, bill in enumerate(bills):
        due = f"{bill.due:%m/%d/%Y}"
        rows.append((bill.issued, "Invoice", f"{1000 + place}", bill.client, due, f"{bill.cents / 100:,.2f}"))
        if bill.paid:
            rows.append((bill.paid, "Payment", "", bill.client, "", f"{-bill.cents / 100:,.2f}"))
    for day, *cells in sorted(rows, key=lambda row: (row[0], str(row[1]))):
        yield (f"{day:%m/%d/%Y}", *cells)


def _lines(bills: Sequence[Bill]) -> Rows:
    """Line items that add up to the invoice, with newlines in their words; the invoice is paid as one."""
    for place, bill in enumerate(bills):
        first = bill.cents // 3
        paid = f"{bill.paid:%d/%m/%Y}" if bill.paid else ""
        for part, words in ((first, "travel,\nby train"), (bill.cents - first, "work")):
            yield (
                bill.client, f"INV-{place}", f"{bill.issued:%d/%m/%Y}", f"{bill.due:%d/%m/%Y}", words, f"£{part / 100:,.2f}", paid
            )  # fmt: skip


def _instalments(bills: Sequence[Bill]) -> Rows:
    """Each payment is a row that repeats its invoice; the later one settles it. Amounts and terms in German."""
    for place, bill in enumerate(bills):
        days = (bill.due - bill.issued).days
        money = f"{bill.cents / 100:,.2f} €".translate(_SWAPPED)
        for paid in (bill.paid - timedelta(days=1), bill.paid) if bill.paid else (None,):
            day = f"{paid:%d.%m.%Y}" if paid else ""
            yield bill.client, f"RE{place}", f"{bill.issued:%d.%m.%Y}", f"{days} Tage netto", money, day


def _serials(bills: Sequence[Bill]) -> Rows:
    """Dates as the numbers that a spreadsheet keeps, terms instead of due dates, a currency sign a row."""
    zero = date(1899, 12, 30)
    for place, bill in enumerate(bills):
        days = (bill.due - bill.issued).days
        paid = f"{(bill.paid - zero).days}.5" if bill.paid else ""
        yield (
            bill.client,
            f"A{place}",
            (bill.issued - zero).days,
            f"Net {days}",
            f"{'£$'[place % 2]}{bill.cents / 100:,.2f}",
            paid,
        )


def _lateness(bills: Sequence[Bill]) -> Rows:
    """Moments with zones, codes of currencies, more decimals than money has, and days late instead of dates."""
    for bill in bills:
        late = (bill.paid - bill.due).days if bill.paid else ""
        money = f"{bill.cents / 100:.2f}1234"
        yield f"{bill.issued}T09:30:00.000Z", f"{bill.due}T23:00:00+02:00", bill.client, money, "usd", late


def _ledger_codes(bills: Sequence[Bill]) -> Rows:
    """Audit trail of Sage 50: sales invoices and sales receipts by code, the receipt with the number of its invoice."""
    for place, bill in enumerate(bills):
        money = f"{bill.cents / 100:.2f}"
        yield "SI", bill.client, f"{bill.issued:%d/%m/%Y}", place, "Fees", f"{bill.due:%d/%m/%Y}", money
        if bill.paid:
            yield "SR", bill.client, f"{bill.paid:%d/%m/%Y}", place, "Sales Receipt", "", money


def _by_customer(bills: Sequence[Bill]) -> Rows:
    """A report that names the customer above its rows, and a total below them."""
    for client in sorted({bill.client for bill in bills}):
        own = [bill for bill in bills if bill.client == client]
        yield (client, "", "", "", "", "")
        for place, bill in enumerate(own):
            due, money = f"{bill.due:%m/%d/%Y}", f"{bill.cents / 100:,.2f}"
            yield "", f"{bill.issued:%m/%d/%Y}", "Invoice", f"{client}-{place}", due, money
            if bill.paid:
                yield "", f"{bill.paid:%m/%d/%Y}", "Payment", "", "", f"-{money}"
        yield f"Total for {client}", "", "", "", "", f"${sum(bill.cents for bill in own if not bill.paid) / 100:,.2f}"


def _seconds(bills: Sequence[Bill]) -> Rows:
    """Moments as seconds since 1970, which is how the programs' interfaces tell them."""
    zero = date(1970, 1, 1)
    for place, bill in enumerate(bills):
        issued, due, paid = ((day - zero).days * 86_400 + 43_200 if day else "" for day in (bill.issued, bill.due, bill.paid))
        yield bill.client, f"in_{place}", issued, due, f"{bill.cents / 100:.2f}", paid, "eur"


JOURNALS: Final[dict[str, Journal]] = {
    "documents": Journal(
        ("KUNNR", "BELNR", "BUDAT", "BLDAT", "WAERS", "BLART", "SHKZG", "WRBTR", "ZTERM", "NETDT", "AUGDT"), _documents, ";"
    ),
    "transactions": Journal(
        ("Date", "Transaction type", "Num", "Customer", "Due date", "Amount"),
        _transactions,
        encoding="utf-8-sig",
        above="Sandbox Company\nTransaction List by Customer\n\n",
        below=("TOTAL", "", "", "", "", "$1,234.00"),
    ),
    "lines": Journal(
        ("ContactName", "InvoiceNumber", "InvoiceDate", "DueDate", "Description", "LineAmount", "FullyPaidOnDate"), _lines
    ),
    "instalments": Journal(
        ("Kunde", "Rechnungs-Nr.", "Rechnungsdatum", "Zahlungsbedingung", "Rechnungsbetrag", "Zahlungseingang"),
        _instalments,
        ";",
        "cp1252",
        above="sep=;\n",
    ),
    "serials": Journal(("Account Ref", "Invoice No.", "Invoice Date", "Terms", "Gross", "Date Paid"), _serials, "\t", "utf-16"),
    "lateness": Journal(
        ("invoice_date", "due_date", "customer_id", "invoice_amount_total", "currency", "days_late"), _lateness, "|"
    ),
    "ledger codes": Journal(("Type", "Account", "Date", "Ref", "Details", "Due Date", "Gross"), _ledger_codes),
    "by customer": Journal(
        ("", "Date", "Transaction Type", "Num", "Due Date", "Amount"),
        _by_customer,
        above="Transaction List by Customer\nHartwell Advisory\n\n",
        below=("TOTAL", "", "", "", "", "$1,234.00"),
    ),
    "seconds": Journal(("customer", "number", "created", "due_date", "amount_due", "paid_at", "currency"), _seconds),
}


def write_journal(path: Path, bills: Sequence[Bill], journal: Journal) -> Path:
    """Write `bills` to `path` and return it."""
    with path.open("w", newline="", encoding=journal.encoding) as file:
        file.write(journal.above)
        writer = csv.writer(file, delimiter=journal.separator)
        writer.writerow(journal.header)
        writer.writerows(journal.rows(bills))
        if journal.below:
            writer.writerow(journal.below)
    return path

"""One history written as different programs write it: other headers, separators, encodings, dates and amounts."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from tests.histories.firms import Bill


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one program writes a bill as cells, and the file around them."""

    header: tuple[str, ...]
    cells: Callable[[Bill], tuple[object, ...]]
    separator: str = ","
    encoding: str = "utf-8"


def _grouped(cents: int, *, group: str, mark: str) -> str:
    return f"{cents / 100:,.2f}".replace(",", "\0").replace(".", mark).replace("\0", group)


def _german(bill: Bill) -> tuple[object, ...]:
    amount = _grouped(bill.cents, group=".", mark=",")
    return bill.client, bill.number, _dots(bill.issued), _dots(bill.due), amount, _dots(bill.paid)


def _dots(day: date | None) -> str:
    return f"{day:%d.%m.%Y}" if day else ""


def _american(bill: Bill) -> tuple[object, ...]:
    amount = f"${_grouped(bill.cents, group=',', mark='.')}"
    return bill.client, bill.number, f"{bill.issued:%m/%d/%Y}", f"{bill.due:%m/%d/%Y}", amount, _slashes(bill.paid)


def _slashes(day: date | None) -> str:
    return f"{day:%m/%d/%Y}" if day else "N/A"


def _french(bill: Bill) -> tuple[object, ...]:
    amount = f"{_grouped(bill.cents, group=' ', mark=',')} €"
    paid = f"{bill.paid:%d/%m/%Y}" if bill.paid else ""
    return bill.client, bill.number, f"{bill.issued:%d/%m/%Y}", f"{bill.due:%d/%m/%Y}", amount, paid


def _enterprise(bill: Bill) -> tuple[object, ...]:
    paid = f"{bill.paid:%Y-%m-%d} 00:00:00" if bill.paid else ""
    made = f"{bill.issued:%Y%m%d}"
    return (
        "U001", bill.client, f"{bill.client} corp", paid, bill.issued.year, f"19{bill.number[1:]}", bill.issued, made,
        f"{bill.due:%Y%m%d}.0", "USD", f"{bill.cents / 100}", f"{made}.0", "NAH4",
        f"19{bill.number[1:]}.0", int(bill.paid is None),
    )  # fmt: skip


def _counted(bill: Bill) -> tuple[object, ...]:
    days = (bill.paid - bill.issued).days if bill.paid else ""
    return bill.client, f"{bill.issued:%d-%b-%y}", f"{bill.due:%d-%b-%y}", f"{bill.cents / 100:.2f}", days


def _bare(bill: Bill) -> tuple[object, ...]:
    return bill.client, bill.issued, f"{bill.cents / 100:.2f}", bill.paid or ""


_PLAIN: Final = ("Kundennummer", "Rechnungsnummer", "Rechnungsdatum", "Fälligkeitsdatum", "Rechnungsbetrag", "Zahlungsdatum")

DIALECTS: Final[dict[str, Dialect]] = {
    "german": Dialect(_PLAIN, _german, ";", "cp1252"),
    "american": Dialect(("Customer ID", "Invoice #", "Invoice Date", "Due Date", "Invoice Amount", "Date Paid"), _american, "\t"),
    "french": Dialect(
        ("Numéro client", "Numéro facture", "Date de facture", "Échéance", "Montant TTC", "Date de paiement"),
        _french, "|", "utf-8-sig",
    ),
    "enterprise": Dialect(
        (
            "business_code", "cust_number", "name_customer", "clear_date", "buisness_year", "doc_id", "posting_date",
            "document_create_date", "due_in_date", "invoice_currency", "total_open_amount", "baseline_create_date",
            "cust_payment_terms", "invoice_id", "isOpen",
        ),
        _enterprise,
    ),
    "counted days": Dialect(("Vendor Name", "Bill Date", "Due On", "Amount", "Days until payment"), _counted, ",", "utf-16"),
    "no due date": Dialect(("customer", "date", "total", "paid on"), _bare),
}  # fmt: skip


def write_dialect(path: Path, bills: Sequence[Bill], dialect: Dialect) -> Path:
    """Write `bills` to `path` and return it."""
    with path.open("w", newline="", encoding=dialect.encoding) as file:
        writer = csv.writer(file, delimiter=dialect.separator)
        writer.writerow(dialect.header)
        writer.writerows(dialect.cells(bill) for bill in bills)
    return path

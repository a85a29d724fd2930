"""A journal in which payments stand in rows of their own: which invoices each of them settles.

A payment that names its invoice settles that one. Any other settles an open invoice of exactly its amount, else the oldest due
ones, as a clerk would who knows no more; what is left over is left out and said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from handlers.commands.book.bills import Bill, Part
from handlers.commands.book.kinds import RowKind
from handlers.commands.book.reading import Row
from models.money import Money


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the journal and what it says."""

    row: Row
    bill: Bill


@dataclass(slots=True)
class _Open:
    entry: Entry
    left: int
    parts: list[Part]


def apply_payments(journal: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield invoices and credit notes with what was paid on them, and payments that settle nothing with the reason."""
    books: dict[tuple[str, str], list[_Open]] = {}
    every: list[_Open] = []
    for entry in journal:
        if entry.bill.kind is RowKind.PAYMENT:
            continue
        found = _Open(entry, max(0, entry.bill.amount.minor), [])
        every.append(found)
        if found.left:
            books.setdefault((entry.bill.client_id, entry.bill.amount.currency), []).append(found)
    for book in books.values():
        book.sort(key=lambda row: (row.entry.bill.due_at, row.entry.bill.issued_at))
    payments = [entry for entry in journal if entry.bill.kind is RowKind.PAYMENT]
    for entry in sorted(payments, key=lambda entry: entry.bill.issued_at):
        book = books.get((entry.bill.client_id, entry.bill.amount.currency), [])
        if not _applied(entry.bill, book):
            yield entry, "the payment fits no open invoice of this client"
        book[:] = [row for row in book if row.left]
    for row in every:
        yield Entry(row.entry.row, replace(row.entry.bill, paid=(*row.entry.bill.paid, *row.parts))), ""


def _applied(payment: Bill, book: Sequence[_Open]) -> bool:
    left = -payment.amount.minor
    known = [row for row in book if row.entry.bill.issued_at <= payment.issued_at]
    named = [row for row in book if row.entry.bill.invoice_id == payment.invoice_id]
    alike = [row for row in known if row.left == left]
    applied = False
    for row in named or alike[:1] or known:
        share = min(left, row.left)
        if share <= 0:
            break
        row.parts.append(Part(Money(share, payment.amount.currency), payment.issued_at))
        row.left, left, applied = row.left - share, left - share, True
    return applied

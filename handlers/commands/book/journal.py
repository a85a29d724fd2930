"""A journal in which payments stand in rows of their own: which invoices each of them settles.

A payment that names its invoice settles that one. Any other settles an open invoice of exactly its amount, else the oldest due
ones, as a clerk would who knows no more; what is left over is left out and said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

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


@dataclass(slots=True)
class _Book:
    """What one client owes in one currency. An invoice is known by its place in order of due date; the earliest is a heap's top.

    Heaps hold what was issued by the time of the latest payment; what was paid meanwhile leaves them when it is met.
    """

    rows: list[_Open] = field(default_factory=list)
    coming: list[int] = field(default_factory=list)
    named: dict[str, list[int]] = field(default_factory=dict)
    oldest: list[int] = field(default_factory=list)
    alike: dict[int, list[int]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Sort the rows once all are in."""
        self.rows.sort(key=lambda row: (row.entry.bill.due_at, row.entry.bill.issued_at))
        for place, row in enumerate(self.rows):
            self.named.setdefault(row.entry.bill.invoice_id, []).append(place)
        self.coming = sorted(range(len(self.rows)), key=lambda place: self.rows[place].entry.bill.issued_at, reverse=True)

    def take(self, payment: Bill) -> bool:
        """Apply a payment, the next in order of time; say whether it settled anything."""
        while self.coming and self.rows[self.coming[-1]].entry.bill.issued_at <= payment.issued_at:
            place = self.coming.pop()
            heappush(self.oldest, place)
            heappush(self.alike.setdefault(self.rows[place].left, []), place)
        left, applied = -payment.amount.minor, False
        for place in self._places(payment, left):
            row = self.rows[place]
            share = min(left, row.left)
            row.parts.append(Part(Money(share, payment.amount.currency), payment.issued_at))
            row.left, left, applied = row.left - share, left - share, True
            heappush(self.alike.setdefault(row.left, []), place)
            if not left:
                break
        return applied

    def _places(self, payment: Bill, left: int) -> Iterator[int]:
        named = [place for place in self.named.get(payment.invoice_id, ()) if self.rows[place].left]
        if named:
            yield from named
            return
        alike = self.alike.get(left, [])
        while alike:
            row = self.rows[alike[0]]
            if row.left == left and row.entry.bill.issued_at <= payment.issued_at:
                yield alike[0]
                return
            heappop(alike)
        while self.oldest:
            if self.rows[self.oldest[0]].left:
                yield self.oldest[0]
            else:
                heappop(self.oldest)


def apply_payments(journal: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield invoices and credit notes with what was paid on them, and payments that settle nothing with the reason."""
    books: dict[tuple[str, str], _Book] = {}
    every: list[_Open] = []
    for entry in journal:
        if entry.bill.kind is RowKind.PAYMENT:
            continue
        found = _Open(entry, max(0, entry.bill.amount.minor), [])
        every.append(found)
        if found.left:
            books.setdefault((entry.bill.client_id, entry.bill.amount.currency), _Book()).rows.append(found)
    for book in books.values():
        book.prepare()
    payments = [entry for entry in journal if entry.bill.kind is RowKind.PAYMENT]
    for entry in sorted(payments, key=lambda entry: entry.bill.issued_at):
        owed = books.get((entry.bill.client_id, entry.bill.amount.currency))
        if owed is None or not owed.take(entry.bill):
            yield entry, "the payment fits no open invoice of this client"
    for row in every:
        yield Entry(row.entry.row, replace(row.entry.bill, paid=(*row.entry.bill.paid, *row.parts))), ""

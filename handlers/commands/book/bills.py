"""What one row of a book says, read but not yet told: the bill, its payments, or why there is none."""

from dataclasses import dataclass
from datetime import datetime

from handlers.commands.book.kinds import RowKind
from models.money import Money


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that cannot be imported: where it starts, why, and what it says."""

    line: int
    reason: str
    cells: tuple[str, ...]


class RejectedRowError(ValueError):
    """The row cannot be imported; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """Money that settled a bill, or a part of it."""

    amount: Money
    at: datetime


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice, a credit note (an amount below zero) or a payment in a row of its own; `paid` in order of time."""

    client_id: str
    invoice_id: str
    amount: Money
    issued_at: datetime
    due_at: datetime
    received_at: datetime
    kind: RowKind = RowKind.INVOICE
    paid: tuple[Part, ...] = ()

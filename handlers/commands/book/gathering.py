"""Rows that name the same invoice: repetitions, part payments of one amount, or line items that add up."""

from collections.abc import Sequence
from dataclasses import replace

from handlers.commands.book.bills import Bill, Part, Rejection
from handlers.commands.book.reading import Row
from models.money import Money


def gather(group: Sequence[tuple[Row, Bill]]) -> tuple[list[tuple[Row, Bill]], list[Rejection]]:
    """Return the bill that rows of one invoice number tell, later credit notes on it, and the rows that tell nothing new.

    Rows alike in every cell are repetitions. Rows with the same amount are states or payments of one invoice; rows with
    different amounts are its line items. A row with another issue date or currency contradicts the first and is left out.
    """
    first_row, first = group[0]
    seen = {first_row.cells}
    kept = [(first_row, first)]
    notes: list[tuple[Row, Bill]] = []
    again: list[Row] = []
    for row, bill in group[1:]:
        if row.cells in seen or bill.amount.currency != first.amount.currency:
            again.append(row)
        elif bill.issued_at == first.issued_at:
            kept.append((row, bill))
        elif bill.amount.minor < 0 and bill.issued_at > first.issued_at:
            notes.append((row, replace(bill, invoice_id=f"{bill.invoice_id}/{len(notes) + 1}")))
        else:
            again.append(row)
        seen.add(row.cells)
    if len({bill.amount for _, bill in kept}) == 1:
        kept, silent = _telling(kept)
        again += silent
    said = f"invoice {first.invoice_id} of {first.client_id} stands on line {first_row.line} already"
    rejections = [Rejection(row.line, said, row.cells) for row in again]
    return [(first_row, _joined([bill for _, bill in kept])), *notes], rejections


def _telling(group: Sequence[tuple[Row, Bill]]) -> tuple[list[tuple[Row, Bill]], list[Row]]:
    """Part the rows of one amount into those that tell of another payment and those that only repeat."""
    known: set[tuple[Part, ...]] = {()}
    telling: list[tuple[Row, Bill]] = []
    silent: list[Row] = []
    for row, bill in group:
        if telling and bill.paid in known:
            silent.append(row)
        else:
            telling.append((row, bill))
        known.add(bill.paid)
    return telling, silent


def _joined(bills: Sequence[Bill]) -> Bill:
    first = bills[0]
    due_at = max(bill.due_at for bill in bills)
    received_at = min(bill.received_at for bill in bills)
    parts = sorted((part for bill in bills for part in bill.paid), key=lambda part: part.at)
    if len({bill.amount for bill in bills}) == 1:
        return replace(first, due_at=due_at, received_at=received_at, paid=_payments(parts, first.amount))
    total = Money(sum(bill.amount.minor for bill in bills), first.amount.currency)
    whole = len([bill for bill in bills if bill.paid or bill.amount.minor < 0]) == len(bills)
    by_day: dict[object, Part] = {}
    for part in parts:
        known = by_day.get(part.at)
        by_day[part.at] = Part(known.amount + part.amount, part.at) if known else part
    paid = tuple(by_day.values())
    if whole and paid and total.minor > 0:
        paid = _capped(paid, total)
    return replace(first, amount=total, due_at=due_at, received_at=received_at, paid=paid if total.minor > 0 else ())


def _payments(parts: Sequence[Part], amount: Money) -> tuple[Part, ...]:
    """Return the payments of one invoice: where each is said to settle it whole, the last one did."""
    if parts and all(part.amount == amount for part in parts):
        return (parts[-1],)
    return tuple(parts)


def _capped(paid: Sequence[Part], total: Money) -> tuple[Part, ...]:
    """Return payments of all lines, no more than the total: negative lines have lowered what the last payment was."""
    left, found = total, []
    for part in paid:
        share = min(part.amount.minor, left.minor)
        if share > 0:
            found.append(Part(Money(share, total.currency), part.at))
            left = Money(left.minor - share, total.currency)
    return tuple(found)

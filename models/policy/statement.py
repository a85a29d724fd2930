"""What a message about open invoices states: lines, credits and totals, each per currency; currencies are never added."""

from collections.abc import Iterable, Sequence
from typing import Final

from models.money import Money
from models.policy.arrears import Arrear
from models.policy.facts import Fact
from models.policy.policy import Policy
from models.state.client import ClientState
from models.state.reckoning import applied
from models.triggers import MOST_ITEMS, StatementItem, StatementTotal, built
from models.workdays import local_day

MOST_CURRENCIES: Final = 3
"""Currencies in one message; invoices of further ones wait for a message of their own, which a text message could not hold."""


def riding(found: Iterable[Arrear], carrying: Arrear) -> list[Arrear]:
    """Return the invoices that one message can name: of the carrying one's currency, and of those named least so far."""
    rows = list(found)
    first = carrying.invoice.currency
    least = sorted((row.invoice.currency != first, row.run.stage, row.due_ms, row.invoice.currency) for row in rows)
    codes = list(dict.fromkeys(code for *_, code in least))[:MOST_CURRENCIES]
    return [row for row in rows if row.invoice.currency in codes]


def by_currency(found: Sequence[Arrear], carrying: Arrear) -> dict[str, list[Arrear]]:
    """Return the invoices of a message by currency: the carrying invoice's first, the others in the order of their codes."""
    first = carrying.invoice.currency
    codes = sorted({row.invoice.currency for row in found}, key=lambda code: (code != first, code))
    return {code: [row for row in found if row.invoice.currency == code] for code in codes}


def asked_for(found: Sequence[Arrear], carrying: Arrear) -> tuple[Money, ...]:
    """Return what a message asks for in each currency."""
    return tuple(Money(sum(row.item.rest for row in rows), code) for code, rows in by_currency(found, carrying).items())


def words_about(found: Sequence[Arrear], carrying: Arrear, facts: dict[str, Fact]) -> str:
    """Return what a message about these invoices is about, as the first of its reasons."""
    total = " and ".join(map(str, asked_for(found, carrying)))
    many = f" and {len(found) - 1} more" if len(found) > 1 else ""
    part = f"instalment {carrying.instalment.number} of {carrying.instalment.of} of " if carrying.instalment else ""
    return f"{part}invoice {carrying.invoice.invoice_id}{many}: {total} open, {facts['days_overdue']} days past due"


def statement_of(found: Sequence[Arrear], state: ClientState, policy: Policy) -> tuple[StatementItem, ...]:
    """Return the lines of a message, the oldest first; none for one about a single invoice without any credit."""
    return () if len(found) == 1 and not _credit(found[0]) else lines_of(found, state, policy)


def lines_of(found: Sequence[Arrear], state: ClientState, policy: Policy) -> tuple[StatementItem, ...]:
    """Return a line for each invoice, the oldest first and not too many."""
    zone = policy.zone_of(state)
    oldest = sorted(found, key=lambda row: (row.due_ms, row.invoice.invoice_id))[:MOST_ITEMS]
    fields = (
        {
            "invoice_id": row.invoice.invoice_id,
            "open": Money(_before_credit(row), row.invoice.currency),
            "due_on": local_day(row.due_ms, zone),
            "instalment": row.instalment.number if row.instalment else None,
        }
        for row in oldest
    )
    return tuple(built(StatementItem, each) for each in fields)


def totals_of(found: Sequence[Arrear], carrying: Arrear) -> tuple[StatementTotal, ...]:
    """Return what the lines and credits come to in each currency."""
    fields = (
        {
            "open": Money(sum(row.item.rest for row in rows), code),
            "credit": Money(sum(map(_credit, rows)), code),
            "invoices": len(rows),
        }
        for code, rows in by_currency(found, carrying).items()
    )
    return tuple(built(StatementTotal, each) for each in fields)


def _credit(row: Arrear) -> int:
    """Return what credit notes and money on account take off an invoice; of an instalment they have filled the ones before."""
    note = 0 if row.instalment else applied(row.invoice)[0]
    return note + row.item.covered


def _before_credit(row: Arrear) -> int:
    return row.item.rest + _credit(row)

"""Which invoices payments in rows of their own settle, held against the rule as one would say it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.book.bills import Bill
from handlers.commands.book.journal import Entry, apply_payments
from handlers.commands.book.kinds import RowKind
from handlers.commands.book.reading import Row
from models.money import Money

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)

LINES = st.lists(
    st.tuples(st.booleans(), st.sampled_from("AB"), st.integers(0, 5), st.integers(0, 12), st.integers(0, 9), st.integers(1, 4)),
    max_size=30,
)
"""Whether it is a payment, the client, the number of the invoice, the days of issue and due date, the amount."""


def entry(line: int, row: tuple[bool, str, int, int, int, int]) -> Entry:
    is_payment, client, number, issued, days, amount = row
    issued_at = BEGIN + timedelta(days=issued)
    bill = Bill(
        client_id=client,
        invoice_id=f"{number}" if is_payment else f"{line % 6}",
        amount=Money(-amount if is_payment else amount, "EUR"),
        issued_at=issued_at,
        due_at=issued_at + timedelta(days=days),
        received_at=issued_at,
        kind=RowKind.PAYMENT if is_payment else RowKind.INVOICE,
    )
    return Entry(Row(line, ()), bill)


def by_the_rule(journal: Sequence[Entry]) -> tuple[dict[int, list[tuple[int, datetime]]], set[int]]:
    """What each invoice got, and which payments settled nothing: the named one, else one of the amount, else the oldest due."""
    invoices = [row for row in journal if row.bill.kind is RowKind.INVOICE]
    invoices.sort(key=lambda row: (row.bill.due_at, row.bill.issued_at))
    left = {row.row.line: row.bill.amount.minor for row in invoices}
    got: dict[int, list[tuple[int, datetime]]] = {row.row.line: [] for row in invoices}
    nothing = set()
    payments = [row for row in journal if row.bill.kind is RowKind.PAYMENT]
    for payment in sorted(payments, key=lambda row: row.bill.issued_at):
        money = -payment.bill.amount.minor
        owed = [row for row in invoices if left[row.row.line] and row.bill.client_id == payment.bill.client_id]
        named = [row for row in owed if row.bill.invoice_id == payment.bill.invoice_id]
        known = [row for row in owed if row.bill.issued_at <= payment.bill.issued_at]
        alike = [row for row in known if left[row.row.line] == money]
        for row in named or alike[:1] or known:
            share = min(money, left[row.row.line])
            if share:
                got[row.row.line].append((share, payment.bill.issued_at))
            left[row.row.line] -= share
            money -= share
        if money == -payment.bill.amount.minor:
            nothing.add(payment.row.line)
    return got, nothing


@given(LINES)
def test_a_payment_settles_the_invoice_it_names_else_one_of_its_amount_else_the_oldest(
    rows: list[tuple[bool, str, int, int, int, int]],
) -> None:
    journal = [entry(line, row) for line, row in enumerate(rows)]
    got: dict[int, list[tuple[int, datetime]]] = {}
    nothing = set()
    for found, reason in apply_payments(journal):
        if reason:
            nothing.add(found.row.line)
        else:
            got[found.row.line] = [(part.amount.minor, part.at) for part in found.bill.paid]
    assert (got, nothing) == by_the_rule(journal)

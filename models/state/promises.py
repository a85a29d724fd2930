"""Whether a promise to pay was kept: by the money it was about, not by whether the invoice is settled."""

from collections.abc import Iterator

from models.state.balances import items
from models.state.reckoning import Item, net, receipt_ms
from models.state.rows import Ledger, Promise


def unkept(promise: Promise, ledger: Ledger, now_ms: int) -> tuple[Item, ...]:
    """Return the open invoices on which money that was promised is missing at `now_ms`, once the promise holds no more.

    Money that may not be asked for by then (disputed, promised anew, in a plan, under way, covered) is not missing. Of a part
    that was promised, what has come since counts first; money whose day is forgotten counts as if it had come since.
    """
    scope = [row for row in items(ledger, now_ms) if row.rest and promise.invoice_id in {"", row.invoice.invoice_id}]
    if not promise.minor:
        return tuple(scope)
    if promise.invoice_id:
        return tuple(row for row in scope if row.invoice.currency != promise.currency or _missing(promise, row, ledger) > 0)
    return tuple(_oldest(promise, [row for row in scope if row.invoice.currency == promise.currency], ledger))


def _missing(promise: Promise, item: Item, ledger: Ledger) -> int:
    invoice = item.invoice
    come = sum(
        part.minor
        for payment in ledger.payments
        for part in payment.parts
        if part.invoice_id == invoice.invoice_id and part.at >= promise.made_at
    )
    return promise.minor - come - item.covered - invoice.carried_paid


def _oldest(promise: Promise, scope: list[Item], ledger: Ledger) -> Iterator[Item]:
    since = (row for row in ledger.payments if row.currency == promise.currency and receipt_ms(row) >= promise.made_at)
    missing = promise.minor - sum(map(net, since))
    for row in scope:
        if missing <= 0:
            return
        missing -= row.rest
        yield row

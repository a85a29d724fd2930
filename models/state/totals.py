"""The sums that collapsed rows leave behind, and how money still moves among them. Whatever is forgotten is counted here."""

from operator import add as add_figures

from msgspec.structs import astuple, replace

from models.state.client import ClientState, Forgotten
from models.state.reckoning import applied, reckon, unapplied
from models.state.rows import Invoice, Ledger, Totals


def count(state: ClientState, *, repeats: int = 0, parked: int = 0, rows: int = 0, facts: int = 0) -> ClientState:
    """Count what was ignored or forgotten."""
    known = state.memory.forgotten
    forgotten: Forgotten = replace(
        known,
        repeats=known.repeats + repeats,
        parked=known.parked + parked,
        rows=known.rows + rows,
        facts=known.facts + facts,
    )
    return replace(state, memory=replace(state.memory, forgotten=forgotten))


def add_total(totals: tuple[Totals, ...], change: Totals) -> tuple[Totals, ...]:
    """Add `change` to the totals of its currency."""
    for index, row in enumerate(totals):
        if row.currency == change.currency:
            merged = Totals(row.currency, *map(add_figures, astuple(row)[1:], astuple(change)[1:]))
            return (*totals[:index], merged, *totals[index + 1 :])
    return (*totals, change)


def payment_key(payment_id: str, currency: str) -> str:
    """Return the name under which a closed payment is remembered."""
    return f"payment:{currency}:{payment_id}"


def reduction_keys(reduction_id: str, *, chargeback: bool) -> tuple[str, str]:
    """Return the names under which it is remembered of a closed payment that money went back, and that this is over.

    Where the second one is remembered nothing about that refund or chargeback changes a sum any more.
    """
    gone, over = ("charged_back", "chargeback_reversed") if chargeback else ("refunded", "refund_failed")
    return f"payment.{gone}:{reduction_id}", f"payment.{over}:{reduction_id}"


def given_up_key(invoice_id: str) -> str:
    """Return the name under which it is remembered that something was given up on a closed invoice."""
    return f"invoice.written_off:{invoice_id}"


def take_back(state: ClientState, currency: str, minor: int, *, invoice_id: str, chargeback: bool) -> tuple[ClientState, int]:
    """Take money off a payment that has collapsed, at most what collapsed payments brought; return how much it was.

    Which invoices the payment stood to is not kept. The money comes, in this order, from the named invoice, from what closed
    invoices had taken, from cash on account, from other open invoices.
    """
    known = _of(state, currency)
    flow = min(minor, known.received - known.refunded - known.charged_back)
    rest = flow
    if invoice_id:
        state, rest = _uncarry(state, currency, rest, only=invoice_id, chargeback=chargeback)
    change = Totals(currency, applied=-min(rest, known.applied))
    change = replace(change, charged_back=flow) if chargeback else replace(change, refunded=flow)
    state = replace(state, ledger=replace(state.ledger, totals=add_total(state.ledger.totals, change)))
    return balanced(state, currency, chargeback=chargeback), flow


def balanced(state: ClientState, currency: str, *, chargeback: bool | None = None) -> ClientState:
    """Return the state with at least nothing unapplied.

    Money that went back may be missed by another invoice than the one its payment stood to, once rows have collapsed: then
    closed invoices had less, and after them the open ones due last. `chargeback` says how it went back, where that is known.
    """
    short = -unapplied(state.ledger).get(currency, 0)
    if short <= 0:
        return state
    gone = min(short, _of(state, currency).applied)
    if gone:
        state = replace(
            state, ledger=replace(state.ledger, totals=add_total(state.ledger.totals, Totals(currency, applied=-gone)))
        )
    return _uncarry(state, currency, short - gone, chargeback=chargeback)[0] if short > gone else state


def give_back(state: ClientState, currency: str, minor: int, *, chargeback: bool) -> tuple[ClientState, int]:
    """Return what had gone back of a collapsed payment, first to the invoices that had lost it: open ones, then closed."""
    known = _of(state, currency)
    flow = min(minor, known.charged_back if chargeback else known.refunded)
    state, rest = _recarry(state, currency, flow, chargeback=chargeback)
    room = max(0, known.invoiced - known.credited - known.written_off - known.applied)
    change = Totals(currency, applied=min(rest, room))
    change = replace(change, charged_back=-flow) if chargeback else replace(change, refunded=-flow)
    return replace(state, ledger=replace(state.ledger, totals=add_total(state.ledger.totals, change))), flow


def _of(state: ClientState, currency: str) -> Totals:
    return next((row for row in state.ledger.totals if row.currency == currency), Totals(currency))


def _recarry(state: ClientState, currency: str, minor: int, *, chargeback: bool) -> tuple[ClientState, int]:
    """Give invoices that are still kept the money back that they lost in this way, the oldest first; return the rest."""
    ledger = state.ledger
    for row in sorted(ledger.invoices, key=lambda row: (row.due_ms, row.invoice_id)):
        lost = row.carried_charged if chargeback else row.carried_refunded
        back = min(minor, lost) if row.currency == currency else 0
        if back:
            minor -= back
            carried = replace(row, carried_paid=row.carried_paid + back)
            carried = (
                replace(carried, carried_charged=lost - back) if chargeback else replace(carried, carried_refunded=lost - back)
            )
            ledger = _with_invoice(ledger, row, reckon(carried, ledger.payments, ledger.credits, state.now_ms))
    return replace(state, ledger=ledger), minor


def _uncarry(
    state: ClientState, currency: str, minor: int, *, only: str = "", chargeback: bool | None = None
) -> tuple[ClientState, int]:
    """Take money off invoices that are still kept while their payment has collapsed; return what is left to take."""
    ledger = state.ledger
    rows = sorted((row for row in ledger.invoices if row.carried_paid), key=lambda row: (-row.due_ms, row.invoice_id))
    for row in rows:
        if row.currency == currency and only in {"", row.invoice_id} and minor:
            # What an invoice holds beyond its amount is cash on account already: only what it needs is missed elsewhere.
            excess = 0 if only else row.paid - applied(row)[1]
            gone = min(minor + excess, row.carried_paid)
            missed = max(0, gone - excess)
            minor -= missed
            carried = replace(
                row,
                carried_paid=row.carried_paid - gone,
                carried_refunded=row.carried_refunded + (missed if chargeback is False else 0),
                carried_charged=row.carried_charged + (missed if chargeback else 0),
            )
            ledger = _with_invoice(ledger, row, reckon(carried, ledger.payments, ledger.credits, state.now_ms))
    return replace(state, ledger=ledger), minor


def _with_invoice(ledger: Ledger, before: Invoice, after: Invoice) -> Ledger:
    return replace(ledger, invoices=tuple(after if row is before else row for row in ledger.invoices))

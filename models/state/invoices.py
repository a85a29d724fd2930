"""How invoices, credit notes and contracts change the ledger. Every fact is idempotent and may arrive in any order."""

from msgspec.structs import replace

from models.events.envelope import epoch_ms
from models.events.invoices import (
    ContractRecorded,
    CreditNoteIssued,
    CreditNoteVoided,
    InvoiceAmended,
    InvoiceIssued,
    InvoiceReinstated,
    InvoiceVoided,
    InvoiceWrittenOff,
)
from models.state.client import ClientState, Contract
from models.state.memory import close, is_closed
from models.state.reckoning import is_live, reckon
from models.state.rhythm import Bucket
from models.state.rows import Credit, Invoice
from models.state.totals import count, given_up_key
from models.state.windows import add


def issued(state: ClientState, event: InvoiceIssued) -> ClientState:
    """Fold in: the firm asked for money. Issued anew after a void, it is owed again."""
    before = _find(state, event.invoice_id)
    if before is None:
        if is_closed(state.memory.closed, f"invoice:{event.invoice_id}"):
            return count(state, repeats=1)
        before = Invoice(event.invoice_id)
    at = event.occurred_ms
    if before.issued_at >= at:
        return state
    after = replace(
        before,
        issued_at=at,
        issued_ms=event.effective_ms,
        seen_ms=before.seen_ms or state.now_ms,
        service_line=event.service_line or before.service_line,
        contract_id=event.contract_id or before.contract_id,
        lines=event.lines,
    )
    # Where both happened in the same millisecond the amendment holds: it can only have followed.
    after = _amount(after, event.amount.minor, event.amount.currency, at, wins_tie=False)
    return put_invoice(state, before, _due(after, epoch_ms(event.due_at), at, wins_tie=False))


def amended(state: ClientState, event: InvoiceAmended) -> ClientState:
    """Amount or due date changed; the latest by `occurred_at` holds. A written-off invoice that is amended is owed again."""
    before = _find(state, event.invoice_id)
    if before is None:
        if is_closed(state.memory.closed, f"invoice:{event.invoice_id}"):
            return count(state, repeats=1)
        before = Invoice(event.invoice_id)
    at = event.occurred_ms
    after = replace(before, amended_at=max(before.amended_at, at))
    if event.amount is not None:
        after = _amount(after, event.amount.minor, event.amount.currency, at, wins_tie=True)
    if event.due_at is not None:
        after = _due(after, epoch_ms(event.due_at), at, wins_tie=True)
    return put_invoice(state, before, after)


def voided(state: ClientState, event: InvoiceVoided) -> ClientState:
    """Fold in: the invoice was never owed; money it had taken becomes cash on account."""
    return _mark(state, event)


def written_off(state: ClientState, event: InvoiceWrittenOff) -> ClientState:
    """Fold in: the firm gave up on what is still open."""
    return _mark(state, event)


def reinstated(state: ClientState, event: InvoiceReinstated) -> ClientState:
    """Fold in: a write-off was taken back, as by an amendment that changes nothing. Of the same moment, it followed.

    Of an invoice that has collapsed nothing but its name is known: that this was told is remembered (see `is_beyond_recall`).
    """
    if not is_beyond_recall(state, event.invoice_id):
        return _mark(state, event)
    closed, lost = close(state.memory.closed, f"{event.kind}:{event.invoice_id}")
    return count(replace(state, memory=replace(state.memory, closed=closed)), facts=lost)


def is_beyond_recall(state: ClientState, invoice_id: str) -> bool:
    """Say whether an invoice was given up and has collapsed, and nobody has taken the write-off back yet."""
    closed = state.memory.closed
    return (
        is_closed(closed, given_up_key(invoice_id))
        and not is_closed(closed, f"invoice.reinstated:{invoice_id}")
        and _find(state, invoice_id) is None
    )


def credit_issued(state: ClientState, event: CreditNoteIssued) -> ClientState:
    """Fold in: the firm owes less."""
    if is_closed(state.memory.closed, f"credit:{event.credit_note_id}"):
        return count(state, repeats=1)
    known = next((row for row in state.ledger.credits if row.credit_note_id == event.credit_note_id), None)
    if known is not None and (known.at, known.minor) >= (event.occurred_ms, event.amount.minor):
        return state
    after = Credit(
        event.credit_note_id,
        event.invoice_id or "",
        event.amount.currency,
        event.amount.minor,
        event.occurred_ms,
        voided=known is not None and known.voided,
        touched_ms=state.now_ms,
    )
    return put_credit(state, known, after)


def credit_voided(state: ClientState, event: CreditNoteVoided) -> ClientState:
    """Fold in: a credit note was withdrawn, whether it is known yet or not."""
    if is_closed(state.memory.closed, f"credit:{event.credit_note_id}"):
        return count(state, repeats=1)
    known = next((row for row in state.ledger.credits if row.credit_note_id == event.credit_note_id), None)
    if known is not None and known.voided:
        return state
    after = replace(known or Credit(event.credit_note_id), voided=True, touched_ms=state.now_ms)
    return put_credit(state, known, after)


def contract_recorded(state: ClientState, event: ContractRecorded) -> ClientState:
    """Fold in: what is agreed now; the latest by `occurred_at` holds."""
    rows = state.person.contracts
    known = next((row for row in rows if row.contract_id == event.contract_id), None)
    currency = event.amount.currency if event.amount else (known.currency if known else "")
    told = event.acquisition_cost
    cost = told.minor if told and told.currency == currency else 0
    if known is not None and known.at > event.occurred_ms:
        if not cost or known.cost:
            return state
        after = replace(known, cost=cost)  # told with the record that won the client, which came late
        kept = tuple(after if row is known else row for row in rows)
        return replace(state, person=replace(state.person, contracts=kept))
    after = Contract(
        contract_id=event.contract_id,
        status=event.status.value,
        contract_type=event.contract_type,
        service_line=event.service_line or (known.service_line if known else ""),
        started_ms=epoch_ms(event.started_at) if event.started_at else (known.started_ms if known else 0),
        renews_ms=epoch_ms(event.renews_at) if event.renews_at else 0,
        minor=event.amount.minor if event.amount else (known.minor if known else 0),
        currency=currency,
        at=event.occurred_ms,
        cost=cost or (known.cost if known else 0),
    )
    kept = tuple(row for row in rows if row is not known)
    return replace(state, person=replace(state.person, contracts=(*kept, after)))


def _amount(row: Invoice, minor: int, currency: str, at: int, *, wins_tie: bool) -> Invoice:
    # Stamps count half milliseconds so that an amendment beats an issue of the same moment, whichever arrives first.
    stamp = 2 * at + wins_tie
    if (row.minor_at, row.minor, row.currency) >= (stamp, minor, currency):
        return row
    if row.currency not in {"", currency}:
        # Money of another currency cannot stand to it any more: it is cash on account in its own.
        row = replace(row, carried_paid=0, carried_credit=0, carried_refunded=0, carried_charged=0, carried_at=0)
    return replace(row, minor=minor, currency=currency, minor_at=stamp)


def _due(row: Invoice, due_ms: int, at: int, *, wins_tie: bool) -> Invoice:
    stamp = 2 * at + wins_tie
    if (row.due_at, row.due_ms) >= (stamp, due_ms):
        return row
    return replace(row, due_ms=due_ms, due_at=stamp)


def _mark(state: ClientState, event: InvoiceVoided | InvoiceWrittenOff | InvoiceReinstated) -> ClientState:
    before = _find(state, event.invoice_id)
    if before is None:
        if is_closed(state.memory.closed, f"invoice:{event.invoice_id}"):
            return count(state, repeats=1)
        before = Invoice(event.invoice_id)
    at = event.occurred_ms
    match event:
        case InvoiceVoided():
            after = replace(before, voided_at=max(before.voided_at, at))
        case InvoiceWrittenOff():
            after = replace(before, written_off_at=max(before.written_off_at, at))
        case InvoiceReinstated():
            after = replace(before, amended_at=max(before.amended_at, at + 1))  # a write-off of that moment came before
    return put_invoice(state, before, after)


def put_invoice(state: ClientState, before: Invoice, after: Invoice) -> ClientState:
    """Store `after` in the place of `before`, with its derived figures, and renew the windows."""
    ledger = state.ledger
    after = reckon(after, ledger.payments, ledger.credits, state.now_ms)
    rows = ledger.invoices
    index = next((i for i, row in enumerate(rows) if row is before), None)
    rows = (*rows, after) if index is None else (*rows[:index], after, *rows[index + 1 :])
    state = replace(state, ledger=replace(ledger, invoices=rows))
    was, now = _billed(before), _billed(after)
    if was == now:
        return state
    buckets = state.rhythm.buckets
    for (at, code, minor), sign in ((was, -1), (now, 1)):
        if minor:
            change = Bucket(0, code, invoices=sign, invoiced=sign * minor)
            buckets = add(buckets, at, now_ms=state.now_ms, change=change)
    return replace(state, rhythm=replace(state.rhythm, buckets=buckets))


def _billed(row: Invoice) -> tuple[int, str, int]:
    return (row.issued_ms, row.currency, row.minor) if is_live(row) else (0, "", 0)


def put_credit(state: ClientState, before: Credit | None, after: Credit) -> ClientState:
    """Store `after` in the place of `before` and renew the invoices that either names."""
    ledger = state.ledger
    credits_ = (*(row for row in ledger.credits if row is not before), after)
    invoices = ledger.invoices
    named = {after.invoice_id} | ({before.invoice_id} if before else set())
    if named - {""}:
        invoices = tuple(
            reckon(row, ledger.payments, credits_, state.now_ms) if row.invoice_id in named else row for row in invoices
        )
    return replace(state, ledger=replace(ledger, credits=credits_, invoices=invoices))


def _find(state: ClientState, invoice_id: str) -> Invoice | None:
    for row in state.ledger.invoices:
        if row.invoice_id == invoice_id:
            return row
    return None

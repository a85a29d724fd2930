"""How a state stays small: what is settled collapses into totals, what is old is dropped, and whatever is given up is counted.

Published bounds of a state as stored: a typical client (a year of monthly invoices) stays under `TYPICAL_BYTES`, and no history
makes it larger than `STATE_LIMIT_BYTES` where ids have up to 64 characters, `LONG_IDS_BYTES` with the longest there may be (200).
Money never leaves without entering `Totals`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import OverrideEffect
from models.state.client import ClientState, Memory, Override
from models.state.memory import close, is_closed
from models.state.person import in_force
from models.state.plans import days_late_ms
from models.state.reckoning import (
    applied,
    dispute_open,
    flight_ends,
    gross,
    is_credited,
    is_given_up,
    is_live,
    is_written_off,
    left,
    part_gone,
    part_net,
    receipt_ms,
    reckon,
    taken_back,
)
from models.state.rhythm import Label, Rhythm
from models.state.rows import Credit, Dispute, Invoice, Ledger, Payment, Plan, Promise, Totals
from models.state.totals import add_total, count, given_up_key, payment_key, reduction_keys
from models.state.windows import compact, day_of, tail_before, week_start
from models.workdays import DAY_MS, whole_days

CLOSED_AGE_MS: Final = 35 * DAY_MS  # most refunds and corrections come within a month
PAYMENT_AGE_MS: Final = 45 * DAY_MS
OPEN_INVOICES: Final = 200
CLOSED_INVOICES: Final = 16
PAYMENTS: Final = 48
PARTS: Final = 600  # invoices that payments name, all together: more than can be open at once
REDUCTIONS: Final = 120  # refunds and chargebacks of all payments together
CLAIMS: Final = 24  # credit notes, disputes, promises, plans: each
PERSONAL: Final = 16  # consents, overrides, contracts: each
LABELS: Final = 12
LATE_DAYS: Final = 5  # a payment this many days after due is still on time: bank days and approvals
STATE_LIMIT_BYTES: Final = 160 * 1024
LONG_IDS_BYTES: Final = 320 * 1024
TYPICAL_BYTES: Final = 2 * 1024


def tidy(state: ClientState) -> ClientState:
    """Collapse and drop what is due for it; cheap unless a new week has begun since the last time or a cap is reached."""
    before, today = day_of(state.memory.tidied_ms), day_of(state.now_ms)
    if week_start(before) == week_start(today) and not _crowded(state):
        return state
    ledger = state.ledger
    state = replace(state, memory=replace(state.memory, tidied_ms=state.now_ms))
    if tail_before(before) != tail_before(today):
        rhythm = replace(state.rhythm, buckets=compact(state.rhythm.buckets, now_ms=state.now_ms))
        state = replace(state, rhythm=rhythm)
    if ledger.payments:
        state = _tidy_payments(state)
    if ledger.invoices:
        state = _tidy_invoices(state)
    if ledger.credits:
        state = _tidy_credits(state)
    if ledger.disputes or ledger.promises:
        state = _tidy_claims(state)
    if ledger.plans:
        state = _tidy_plans(state)
    return _tidy_person(state)


def no_place(state: ClientState, event: object) -> str | None:
    """Return why the state has no place for what `event` tells, and the fix; none where it has.

    Asked before an event is folded: what is refused can be told again, what collapses to make room is not asked for any more.
    """
    match event:
        case InvoiceIssued(invoice_id=name) if len(state.ledger.invoices) >= OPEN_INVOICES:
            rows = state.ledger.invoices
            known = any(row.invoice_id == name and row.issued_at for row in rows)
            if known or is_closed(state.memory.closed, f"invoice:{name}") or sum([left(row) > 0 for row in rows]) < OPEN_INVOICES:
                return None
            return (
                f"invoice_id: {OPEN_INVOICES} invoices of this client are open, and no more are kept;"
                " fix: say what is paid, void or given up of them, then drive this again"
            )
        case PaymentReceived(payment_id=name, invoice_id=str(invoice), amount=amount):
            found = (row for row in state.ledger.payments if (row.payment_id, row.currency) == (name, amount.currency))
            parts = next((row.parts for row in found), ())
            if len(parts) < PARTS or any(part.invoice_id == invoice for part in parts):
                return None
            return (
                f"invoice_id: the payment names {PARTS} invoices, no more are kept; fix: tell the rest under another payment_id"
            )
        case _:
            return None


def label_of(invoice: Invoice, plans: tuple[Plan, ...] = ()) -> Label | None:
    """Return how a closed invoice ended, None while it is open or when it was never owed. `plans` may have moved its day."""
    if not invoice.settled_ms or is_credited(invoice):
        return None
    days = whole_days(days_late_ms(invoice, plans) if plans else invoice.settled_ms - invoice.due_ms)
    return Label(invoice.settled_ms, days, invoice.minor, invoice.currency, is_given_up(invoice))


def is_late(label: Label) -> bool:
    """Say whether an ended invoice counts as paid late."""
    return label.written_off or label.days_late > LATE_DAYS


def _crowded(state: ClientState) -> bool:
    ledger, person = state.ledger, state.person
    return (
        len(ledger.invoices) > CLOSED_INVOICES
        or _overflows(ledger.payments)
        or max(len(ledger.credits), len(ledger.disputes), len(ledger.promises), len(ledger.plans)) > CLAIMS
        or max(len(person.consents), len(person.overrides), len(person.contracts)) > PERSONAL
    )


def _overflows(rows: Sequence[Payment]) -> bool:
    return (
        len(rows) > PAYMENTS
        or sum([len(row.parts) for row in rows]) > PARTS
        or sum([len(row.reductions) for row in rows]) > REDUCTIONS
    )


def _too_old(rows: Sequence[Payment]) -> set[int]:
    """Return which rows have to go so that the rest fits: the oldest first; ties by id, so that every replay takes the same."""
    gone = set[int]()
    if not _overflows(rows):
        return gone
    kept = sorted(rows, key=lambda row: (row.touched_ms, row.payment_id))
    while _overflows(kept):
        gone.add(id(kept.pop(0)))
    return gone


def _tidy_payments(state: ClientState) -> ClientState:
    rows = state.ledger.payments
    oldest = _too_old(rows)
    edge = state.now_ms - PAYMENT_AGE_MS
    gone = [row for row in rows if id(row) in oldest or (row.touched_ms < edge and flight_ends(row) < state.now_ms)]
    for row in gone:
        state = _collapse_payment(state, row)
    return state


def _collapse_payment(state: ClientState, row: Payment) -> ClientState:
    ledger = state.ledger
    payments = tuple(known for known in ledger.payments if known is not row)
    if not receipt_ms(row):
        # Attempts that failed, and refunds whose payment never came: nothing was received, so no total changes.
        state = replace(state, ledger=replace(ledger, payments=payments))
        return count(state, parked=1) if row.reductions else state
    named = {part.invoice_id: part.minor for part in row.parts}
    invoices = tuple(
        reckon(_carried(known, row, named[known.invoice_id]), payments, ledger.credits, 0)
        if known.invoice_id in named and known.currency == row.currency
        else known
        for known in ledger.invoices
    )
    refunded, charged = taken_back(row)
    change = Totals(
        row.currency,
        payments=int(not row.covered or gross(row) > 0),
        received=gross(row),
        refunded=refunded,
        charged_back=charged,
    )
    ledger = replace(ledger, payments=payments, invoices=invoices, totals=add_total(ledger.totals, change))
    state = _remember(replace(state, ledger=ledger), payment_key(row.payment_id, row.currency))
    for fact in _gone_back(row):
        state = _remember(state, fact)
    return state


def _gone_back(row: Payment) -> Iterator[str]:
    """Yield what is remembered of each refund and chargeback: whether it may still come back, as only what counted does."""
    there = gross(row)
    for known in sorted(row.reductions, key=lambda known: (not known.chargeback, known.taken_at, known.reduction_id)):
        taken, over = reduction_keys(known.reduction_id, chargeback=known.chargeback)
        yield taken if not known.returned and 0 < known.taken <= there else over
        there -= min(there, max(0, known.taken - known.returned))


def _carried(invoice: Invoice, payment: Payment, named: int) -> Invoice:
    """Return the invoice with what a payment that leaves had brought it, and what went back of that."""
    stands = part_net(payment, invoice.invoice_id)
    back, charged = part_gone(payment, named - stands) if payment.reductions else (0, 0)
    return replace(
        invoice,
        carried_paid=invoice.carried_paid + stands,
        carried_refunded=invoice.carried_refunded + back,
        carried_charged=invoice.carried_charged + charged,
        carried_at=max(invoice.carried_at, *(part.at for part in payment.parts if part.invoice_id == invoice.invoice_id)),
    )


def _tidy_invoices(state: ClientState) -> ClientState:
    rows = state.ledger.invoices
    edge = state.now_ms - CLOSED_AGE_MS
    closed = [row for row in rows if not left(row)]
    surplus = max(0, len(closed) - CLOSED_INVOICES)
    closed.sort(key=lambda row: (row.touched_ms, row.invoice_id))
    gone = [row for index, row in enumerate(closed) if index < surplus or row.touched_ms < edge]
    excess = len(rows) - len(closed) - OPEN_INVOICES
    if excess > 0:
        oldest = sorted((row for row in rows if left(row)), key=lambda row: (row.due_ms, row.invoice_id))[:excess]
        gone += oldest
        state = count(state, rows=len(oldest))
    for row in gone:
        state = _collapse_invoice(state, row)
    return state


def _collapse_invoice(state: ClientState, row: Invoice) -> ClientState:
    ledger = state.ledger
    ledger = replace(
        ledger,
        invoices=tuple(known for known in ledger.invoices if known is not row),
        credits=tuple(known for known in ledger.credits if known.invoice_id != row.invoice_id),
    )
    for note in state.ledger.credits:
        if note.invoice_id == row.invoice_id:
            state = _remember(state, f"credit:{note.credit_note_id}")
    if not row.issued_at:
        return count(replace(state, ledger=ledger), parked=1)
    ledger, rhythm = _into_totals(state.rhythm, ledger, row)
    state = _remember(replace(state, ledger=ledger, rhythm=rhythm), f"invoice:{row.invoice_id}")
    return _remember(state, given_up_key(row.invoice_id)) if _given_up(row) else state


def _given_up(row: Invoice) -> int:
    """Return what the firm gave up of an invoice, in minor units."""
    return row.minor - sum(applied(row)) if is_live(row) and is_written_off(row) else 0


def _into_totals(rhythm: Rhythm, ledger: Ledger, row: Invoice) -> tuple[Ledger, Rhythm]:
    if is_live(row):
        credit, money = applied(row)
        change = Totals(
            row.currency,
            invoices=1,
            invoiced=row.minor,
            applied=money,
            credited=credit,
            on_account=max(0, row.credited - row.minor),
            written_off=_given_up(row),
        )
        ledger = replace(ledger, totals=add_total(ledger.totals, change))
    label = label_of(row, ledger.plans)
    if label is None:
        return ledger, rhythm
    labels = tuple(sorted((*rhythm.labels, label), key=lambda known: known.settled_ms)[-LABELS:])
    return ledger, replace(
        rhythm,
        labels=labels,
        labelled=rhythm.labelled + 1,
        late=rhythm.late + is_late(label),
        written_off=rhythm.written_off + label.written_off,
    )


def _tidy_credits(state: ClientState) -> ClientState:
    rows = state.ledger.credits
    surplus = max(0, len(rows) - CLAIMS)
    oldest = sorted(rows, key=lambda row: (row.touched_ms, row.credit_note_id))[:surplus]
    edge = state.now_ms - PAYMENT_AGE_MS
    for row in rows:
        if any(row is known for known in oldest) or row.touched_ms < edge:
            state = _collapse_credit(state, row)
    return state


def _collapse_credit(state: ClientState, row: Credit) -> ClientState:
    ledger = state.ledger
    credits_ = tuple(known for known in ledger.credits if known is not row)
    ledger = replace(ledger, credits=credits_)
    if row.minor and not row.voided:
        owner = next((known for known in ledger.invoices if known.invoice_id == row.invoice_id), None)
        if row.invoice_id and owner is not None and owner.currency == row.currency:
            carried = replace(owner, carried_credit=owner.carried_credit + row.minor)
            renewed = reckon(carried, ledger.payments, credits_, 0)
            ledger = replace(ledger, invoices=tuple(renewed if known is owner else known for known in ledger.invoices))
        elif not row.invoice_id:
            ledger = replace(ledger, totals=add_total(ledger.totals, Totals(row.currency, on_account=row.minor)))
        else:
            state = count(state, parked=1)
    elif not row.minor:
        state = count(state, parked=1)
    return _remember(replace(state, ledger=ledger), f"credit:{row.credit_note_id}")


def _tidy_claims(state: ClientState) -> ClientState:
    ledger, edge = state.ledger, state.now_ms - CLOSED_AGE_MS
    open_ids = {row.invoice_id for row in ledger.invoices}
    disputes = tuple(
        row
        for row in ledger.disputes
        if row.touched_ms >= edge or (dispute_open(row) and (not row.invoice_id or not row.lost or row.invoice_id in open_ids))
    )
    promises = tuple(row for row in ledger.promises if max(row.touched_ms, row.promised_ms) >= edge)
    dropped = max(0, len(disputes) - CLAIMS) + max(0, len(promises) - CLAIMS)
    disputes, promises = _latest_disputes(disputes), _latest_promises(promises)
    state = replace(state, ledger=replace(ledger, disputes=disputes, promises=promises))
    return count(state, rows=dropped) if dropped else state


def _tidy_plans(state: ClientState) -> ClientState:
    ledger, edge = state.ledger, state.now_ms - CLOSED_AGE_MS
    known = {row.invoice_id for row in ledger.invoices}
    plans = [row for row in ledger.plans if row.invoice_id in known or row.touched_ms >= edge]
    dropped = max(0, len(plans) - CLAIMS)
    kept = tuple(sorted(plans, key=lambda row: (row.agreed_at, row.plan_id))[-CLAIMS:]) if dropped else tuple(plans)
    state = replace(state, ledger=replace(ledger, plans=kept))
    return count(state, rows=dropped) if dropped else state


def _latest_disputes(rows: tuple[Dispute, ...]) -> tuple[Dispute, ...]:
    # Open disputes protect the client: closed ones go first.
    return rows if len(rows) <= CLAIMS else tuple(sorted(rows, key=lambda row: (dispute_open(row), row.touched_ms))[-CLAIMS:])


def _latest_promises(rows: tuple[Promise, ...]) -> tuple[Promise, ...]:
    return rows if len(rows) <= CLAIMS else tuple(sorted(rows, key=lambda row: row.promised_ms)[-CLAIMS:])


def _tidy_person(state: ClientState) -> ClientState:
    person, edge = state.person, state.now_ms - CLOSED_AGE_MS
    if not (person.overrides or len(person.consents) > PERSONAL or len(person.contracts) > PERSONAL):
        return state
    overrides = tuple(row for row in person.overrides if max(row.expires_ms, row.cleared_at, row.set_at) >= edge)
    dropped = sum(max(0, len(rows) - PERSONAL) for rows in (overrides, person.consents, person.contracts))
    person = replace(
        person,
        overrides=_weightiest(overrides, state.now_ms),
        consents=person.consents[-PERSONAL:],
        contracts=tuple(sorted(person.contracts, key=lambda row: row.at)[-PERSONAL:]),
    )
    state = replace(state, person=person)
    return count(state, rows=dropped) if dropped else state


def _weightiest(rows: tuple[Override, ...], now_ms: int) -> tuple[Override, ...]:
    # What holds goes last, and of that a legal hold: without it messages would leave that must not.
    legal = OverrideEffect.LEGAL_HOLD.value
    order = sorted(rows, key=lambda row: (in_force(row, now_ms), row.effect == legal, row.expires_ms, row.override_id))
    return tuple(order[-PERSONAL:])


def _remember(state: ClientState, fact: str) -> ClientState:
    memory: Memory = state.memory
    closed, lost = close(memory.closed, fact)
    state = replace(state, memory=replace(memory, closed=closed))
    return count(state, facts=lost) if lost else state

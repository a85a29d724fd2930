"""What a client of Stripe owes: invoices, what changes them, and credit notes."""

from models.events.invoices import (
    CreditNoteIssued,
    CreditNoteVoided,
    InvoiceAmended,
    InvoiceIssued,
    InvoiceVoided,
    InvoiceWrittenOff,
)
from models.events.payments import DeclineKind, PaymentFailed, PaymentMethod, PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from streams.sources import payload as read
from streams.sources.payload import Payload
from streams.sources.stripe_fields import Notice, amount_of, method_of, object_id, service_line_of


def tell_invoice(notice: Notice) -> list[AnyClientEvent]:
    """Return what an invoice past its draft says: what is owed, and what the event changes about it."""
    status = read.text(notice.about, "status")
    if status in {None, "draft"}:
        return []  # nobody owes a draft
    return [*_issued(notice), *_changed(notice)]


def _changed(notice: Notice) -> list[AnyClientEvent]:
    match notice.type:
        case "invoice.paid" | "invoice.payment_succeeded":
            return _settled(notice)
        case "invoice.payment_failed":
            return _invoice_failed(notice)
        case _:
            return _ended(notice) or (_amended(notice) if notice.type == "invoice.updated" else [])


def _ended(notice: Notice) -> list[AnyClientEvent]:
    """Return that the invoice was voided or given up, with every event that finds it so, as of the moment when it was."""
    transitions = read.inner(notice.about, "status_transitions")
    match read.text(notice.about, "status"):
        case "void":
            ended_at = read.seconds(transitions, "voided_at")
            return [InvoiceVoided(**notice.common(part="voided", occurred_at=ended_at), invoice_id=object_id(notice.about))]
        case "uncollectible":
            ended_at = read.seconds(transitions, "marked_uncollectible_at")
            return [
                InvoiceWrittenOff(**notice.common(part="written_off", occurred_at=ended_at), invoice_id=object_id(notice.about))
            ]
        case _:
            return []


def _issued(notice: Notice) -> list[AnyClientEvent]:
    invoice = notice.about
    amount = _owed(invoice)
    if amount is None:
        return []  # an invoice of nothing, such as a trial's, asks for nothing
    transitions = read.inner(invoice, "status_transitions")
    issued_at = read.seconds(transitions, "finalized_at") or read.seconds(invoice, "created") or notice.created
    effective_at = read.seconds(invoice, "effective_at") or issued_at
    lines = read.inner(invoice, "lines")
    count = read.integer(lines, "total_count") or len(read.items(lines, "data"))
    contract = read.inner(read.inner(invoice, "parent"), "subscription_details")
    return [
        InvoiceIssued(
            # Of the moment of issue, however late it is told: a restatement must not undo a void or an amendment since.
            **notice.common(part="issued", occurred_at=issued_at),
            effective_at=effective_at,
            invoice_id=object_id(invoice),
            amount=amount,
            due_at=read.seconds(invoice, "due_date") or effective_at,
            lines=min(max(count, 1), 100_000),
            service_line=service_line_of(invoice),
            contract_id=read.identifier(invoice, "subscription") or read.identifier(contract, "subscription"),
        )
    ]


def _owed(invoice: Payload) -> Money | None:
    """Return what was asked for. Credit notes lower `amount_due`, and are events of their own: they are added back."""
    due = read.integer(invoice, "amount_due")
    if due is None:
        due = read.integer(invoice, "total") or 0
    return amount_of(invoice, max(due, 0) + max(read.integer(invoice, "pre_payment_credit_notes_amount") or 0, 0))


def _amended(notice: Notice) -> list[AnyClientEvent]:
    due_at = read.seconds(notice.about, "due_date") if "due_date" in notice.before else None
    changed = not notice.before.keys().isdisjoint({"amount_due", "total"}) and read.text(notice.before, "status") != "draft"
    amount = _owed(notice.about) if changed else None
    if due_at is None and amount is None:
        return []
    return [InvoiceAmended(**notice.common(), invoice_id=object_id(notice.about), amount=amount, due_at=due_at)]


def _settled(notice: Notice) -> list[AnyClientEvent]:
    invoice = notice.about
    listed = [entry for entry in read.items(read.inner(invoice, "payments"), "data") if read.text(entry, "status") != "canceled"]
    named = read.identifier(invoice, "payment_intent", "charge")
    if named is None and listed:
        return [event for entry in listed for event in _listed_payment(notice, entry)]
    paid = read.integer(invoice, "amount_paid") or 0
    if paid == 0 and read.flag(invoice, "paid_out_of_band"):
        paid = read.integer(invoice, "amount_due") or 0
    amount = amount_of(invoice, paid)
    if amount is None:
        return []  # settled by credit: no money moved
    charge = read.expanded(invoice, "charge")
    paid_at = read.seconds(read.inner(invoice, "status_transitions"), "paid_at")
    return [
        PaymentReceived(
            **notice.common(part="paid"),
            effective_at=paid_at,
            payment_id=named or object_id(invoice),
            invoice_id=object_id(invoice),
            amount=amount,
            method=method_of(charge, notice.about),
        )
    ]


def _listed_payment(notice: Notice, entry: Payload) -> list[AnyClientEvent]:
    amount = amount_of(entry, read.integer(entry, "amount_paid") or 0)
    payment = read.inner(entry, "payment")
    named = read.identifier(payment, "payment_intent", "charge", "payment_record") or read.identifier(entry, "id")
    if amount is None or named is None:
        return []
    return [
        PaymentReceived(
            **notice.common(part=named),
            payment_id=named,
            invoice_id=object_id(notice.about),
            amount=amount,
            method=PaymentMethod.OTHER,
        )
    ]


def _invoice_failed(notice: Notice) -> list[AnyClientEvent]:
    invoice = notice.about
    amount = amount_of(invoice, max(read.integer(invoice, "amount_remaining") or read.integer(invoice, "amount_due") or 0, 0))
    if amount is None:
        return []
    charge = read.identifier(invoice, "charge")
    attempt = read.integer(invoice, "attempt_count") or 0
    retry = read.seconds(invoice, "next_payment_attempt")
    return [
        PaymentFailed(
            **notice.common(event_id=f"{charge or f'{object_id(invoice)}:{attempt}'}:failed"),
            payment_id=read.identifier(invoice, "payment_intent", "charge") or object_id(invoice),
            invoice_id=object_id(invoice),
            amount=amount,
            decline=DeclineKind.SOFT,
            next_retry_at=retry,
        )
    ]


def tell_credit_note(notice: Notice) -> list[AnyClientEvent]:
    """Return that the firm owes less, or that a credit note was withdrawn."""
    note = notice.about
    if notice.type == "credit_note.voided":
        return [CreditNoteVoided(**notice.common(), credit_note_id=object_id(note))]
    amount = amount_of(note, read.integer(note, "amount") or read.integer(note, "total") or 0)
    if amount is None:
        return []
    return [
        CreditNoteIssued(
            **notice.common(),
            effective_at=read.seconds(note, "effective_at"),
            credit_note_id=object_id(note),
            invoice_id=read.identifier(note, "invoice"),
            amount=amount,
        )
    ]

"""What rows of the ledger amount to: derived figures only, so that the order in which facts arrived cannot matter."""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from models.state.plans import Standing
from models.state.rows import Credit, Dispute, Invoice, Ledger, Payment, Promise
from models.workdays import bank_days_on

IN_FLIGHT_BANK_DAYS: Final = 3  # banks differ: money may arrive so much later than expected
TRANSFER_BANK_DAYS: Final = 2  # a transfer made on the day itself, promised or due, needs to arrive
TRIFLE: Final = 20  # a rest of one in so many of an invoice is bank fees, rounding or a discount that was taken, and no delay


def receipt_ms(payment: Payment) -> int:
    """Return when the first money of the payment arrived, 0 while none did."""
    stamps = [part.at for part in payment.parts]
    if payment.whole:
        stamps.append(payment.whole_at)
    return min(stamps, default=0)


def gross(payment: Payment) -> int:
    """Return what was received, refunds and chargebacks not yet taken off; 0 when the payment bounced afterwards."""
    parts = payment.parts
    if not parts and not payment.whole:
        return 0
    if payment.failed_at and payment.failed_at > _last_receipt(payment):
        return 0
    named = parts[0].minor if len(parts) == 1 else sum(part.minor for part in parts)
    return max(0, max(payment.whole, named) - payment.covered)


def is_settlement(payment: Payment) -> bool:
    """Say whether the payment bears the name of the invoice it pays: nobody named the money."""
    return any(part.invoice_id == payment.payment_id for part in payment.parts)


def covered(settlement: Payment, ledger: Ledger) -> int:
    """Return what of a settlement other payments account for: those that name its invoice, bounced or not, live or collapsed."""
    named = sum(
        part.minor
        for payment in ledger.payments
        if payment.payment_id != settlement.payment_id and payment.currency == settlement.currency
        for part in payment.parts
        if part.invoice_id == settlement.payment_id
    )
    owner = next((row for row in ledger.invoices if row.invoice_id == settlement.payment_id), None)
    carried = owner.carried_paid if owner is not None and owner.currency == settlement.currency else 0
    return min(named + carried, sum(part.minor for part in settlement.parts))


def taken_back(payment: Payment) -> tuple[int, int]:
    """Return (refunded, charged back), each at most what there was to take."""
    if not payment.reductions:
        return 0, 0
    refunded = charged = 0
    for row in payment.reductions:
        active = max(0, row.taken - row.returned)
        if row.chargeback:
            charged += active
        else:
            refunded += active
    there = gross(payment)
    charged = min(charged, there)
    return min(refunded, there - charged), charged


def net(payment: Payment) -> int:
    """Return what of the payment is still here."""
    return gross(payment) - sum(taken_back(payment))


def part_net(payment: Payment, invoice_id: str) -> int:
    """Return what of the payment still stands to one invoice; what went back is taken from unnamed money first."""
    there = gross(payment)
    if not there:
        return 0
    parts = payment.parts
    lost = payment.covered + (sum(taken_back(payment)) if payment.reductions else 0)
    if not lost:
        return sum(part.minor for part in parts if part.invoice_id == invoice_id)
    lost -= min(lost, there + payment.covered - sum(part.minor for part in parts))
    for part in sorted(parts, key=lambda row: row.invoice_id):
        gone = min(part.minor, lost)
        if part.invoice_id == invoice_id:
            return part.minor - gone
        lost -= gone
    return 0


def part_gone(payment: Payment, gone: int) -> tuple[int, int]:
    """Return how much of what one invoice has lost of the payment was (refunded, charged back)."""
    back, charged = taken_back(payment)
    charged = min(gone, charged)
    return min(gone - charged, back), charged


def is_live(invoice: Invoice) -> bool:
    """Say whether the invoice was issued and not withdrawn since."""
    return invoice.issued_at > invoice.voided_at


def is_written_off(invoice: Invoice) -> bool:
    """Say whether the firm gave up on the rest; a later amendment puts it back."""
    return invoice.written_off_at > 0 and invoice.written_off_at >= max(invoice.amended_at, invoice.issued_at)


def is_credited(invoice: Invoice) -> bool:
    """Say whether credit took all of the invoice: it was issued by mistake and withdrawn, so nobody paid it early or late."""
    return invoice.credited > 0 and invoice.credited >= invoice.minor


def is_given_up(invoice: Invoice) -> bool:
    """Say whether the firm gave up on more than a trifle."""
    return is_written_off(invoice) and not is_trifle(invoice.minor - sum(applied(invoice)), invoice)


def is_trifle(rest: int, invoice: Invoice) -> bool:
    """Say whether so little of an invoice is left that the client has paid it as far as lateness is concerned."""
    return rest * TRIFLE <= invoice.minor


def applied(invoice: Invoice) -> tuple[int, int]:
    """Return (credit, money) that the invoice takes: credit first, each at most what it asks for."""
    if invoice.issued_at <= invoice.voided_at:
        return 0, 0
    credit = min(invoice.credited, invoice.minor)
    return credit, min(invoice.paid, invoice.minor - credit)


def left(invoice: Invoice) -> int:
    """Return what is still owed on the invoice."""
    # This is asked of every invoice several times an event: nothing is called, and what is usual is asked first.
    rest, issued_at = invoice.minor - invoice.credited - invoice.paid, invoice.issued_at
    if rest <= 0 or issued_at <= invoice.voided_at:
        return 0
    given_up_at = invoice.written_off_at
    if given_up_at > 0 and given_up_at >= issued_at and given_up_at >= invoice.amended_at:
        return 0  # as in is_written_off
    return rest


def owed(invoice: Invoice) -> int:
    """Return what the client has left unpaid: what is left, less what the firm gave back of its own will."""
    rest = left(invoice)
    return max(0, rest - invoice.refunded) if rest and invoice.refunded else rest


def reckon(invoice: Invoice, payments: tuple[Payment, ...], credits_: tuple[Credit, ...], touched_ms: int) -> Invoice:
    """Return the invoice with its derived figures made from the facts that name it.

    It was settled when the client's money reached what credit left of it but for a trifle, whenever the credit came.
    """
    credited, paid = invoice.carried_credit, invoice.carried_paid
    facts: list[tuple[int, int]] = [(invoice.settled_ms or invoice.carried_at, paid)]
    notes: list[tuple[int, int]] = [(0, credited)]
    charged_back, refunded = invoice.carried_charged, invoice.carried_refunded
    key = invoice.invoice_id
    for note in credits_:
        if note.invoice_id == key and not note.voided and note.currency == invoice.currency:
            credited += note.minor
            notes.append((note.at, note.minor))
    for payment in payments:
        if payment.currency != invoice.currency:
            continue
        for part in payment.parts:
            if part.invoice_id == key:
                stands = part_net(payment, key)
                paid += stands
                facts.append((part.at, stands))
                if payment.reductions:
                    back, charged = part_gone(payment, part.minor - stands)
                    charged_back += charged
                    refunded += back
    changed = replace(
        invoice,
        paid=paid,
        credited=credited,
        charged_back=charged_back,
        refunded=refunded,
        settled_ms=0,
        touched_ms=max(invoice.touched_ms, touched_ms),
    )
    if not is_live(changed) or left(changed):
        return changed
    if is_given_up(changed):
        return replace(changed, settled_ms=changed.written_off_at)
    asked = changed.minor - credited
    found = _completed(notes, changed.minor) if is_credited(changed) else _completed(facts, asked - asked // TRIFLE)
    # Of credit that has collapsed, and in states of before, no moment is known: then the one known before stands.
    completed = found or invoice.settled_ms or changed.touched_ms
    return replace(changed, settled_ms=completed)


class Item(msgspec.Struct, frozen=True):
    """One open invoice. `rest` may be asked for: what is left less disputed, promised, in flight, covered by cash on account.

    `planned` is what instalments cover that are still to come; `standing` where its plan stands, none without one.
    """

    invoice: Invoice
    left: int
    disputed: int
    promised: int
    in_flight: int
    covered: int
    rest: int
    planned: int = 0
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """Collectable balance of one currency, each term visible, in minor units."""

    currency: str
    open: int
    part_paid: int
    credits: int
    unapplied: int
    disputed: int
    promised: int
    in_flight: int
    planned: int = 0

    @property
    def net(self) -> int:
        """What remains to collect, at least 0. Only this number may start delay support."""
        taken = self.part_paid + self.credits + self.unapplied + self.disputed + self.promised + self.in_flight + self.planned
        return max(0, self.open - taken)


def dispute_open(dispute: Dispute) -> bool:
    """Say whether a dispute keeps its amount out of collection: open, or lost for good."""
    return dispute.opened_at > 0 and (dispute.lost or dispute.opened_at > dispute.closed_at)


def promise_holds(promise: Promise, now_ms: int) -> bool:
    """Say whether a promise still holds what it covers: until a transfer made on its day has had its weekdays to arrive."""
    return promise.made_at > promise.withdrawn_at and now_ms < bank_days_on(promise.promised_ms, TRANSFER_BANK_DAYS)


def flight_ends(payment: Payment) -> int:
    """Return until when a pending payment counts as under way, 0 when none is."""
    if payment.pending and payment.pending_at > payment.failed_at and not payment.whole and not payment.parts:
        return bank_days_on(payment.expected_ms, IN_FLIGHT_BANK_DAYS)
    return 0


def unapplied(ledger: Ledger) -> dict[str, int]:
    """Return the cash per currency that no invoice has taken."""
    cash: dict[str, int] = {row.currency: row.received - row.refunded - row.charged_back - row.applied for row in ledger.totals}
    # Asked for with every event, of hundreds of rows: the plainest are not worth a call.
    for payment in ledger.payments:
        parts, code = payment.parts, payment.currency
        if len(parts) != 1 or payment.reductions or payment.failed_at or payment.covered:
            cash[code] = cash.get(code, 0) + net(payment)
        else:
            minor, whole = parts[0].minor, payment.whole
            cash[code] = cash.get(code, 0) + (minor if minor > whole else whole)  # noqa: FURB136 - as in left
    for invoice in ledger.invoices:
        if invoice.paid and invoice.issued_at:
            cash[invoice.currency] = cash.get(invoice.currency, 0) - applied(invoice)[1]
    return cash


def on_account(ledger: Ledger) -> dict[str, int]:
    """Return the credit per currency that no invoice has taken; credit of a voided invoice lapses with it."""
    credit: dict[str, int] = {row.currency: row.on_account for row in ledger.totals if row.on_account}
    for note in ledger.credits:
        if not note.invoice_id and not note.voided and note.currency:
            credit[note.currency] = credit.get(note.currency, 0) + note.minor
    for invoice in ledger.invoices:
        if invoice.credited > invoice.minor and is_live(invoice):
            credit[invoice.currency] = credit.get(invoice.currency, 0) + invoice.credited - invoice.minor
    return credit


def _last_receipt(payment: Payment) -> int:
    last = payment.whole_at if payment.whole else 0
    for part in payment.parts:
        last = max(last, part.at)
    return last


def _completed(facts: list[tuple[int, int]], asked: int) -> int:
    facts.sort()
    total = completed = 0
    for at, minor in facts:
        total += minor
        completed = at
        if total >= asked:
            break
    return completed

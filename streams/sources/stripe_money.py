"""What a client of Stripe paid, and what undoes it: charges, payment intents, refunds and disputes."""

from models.events.delays import DisputeClosed, DisputeOpened, DisputeOutcome
from models.events.payments import (
    ChargebackReversed,
    PaymentChargedBack,
    PaymentFailed,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
)
from models.events.union import AnyClientEvent
from streams.sources import payload as read
from streams.sources.payload import Payload
from streams.sources.stripe_fields import Notice, amount_of, decline_of, invoice_of, method_of, object_id, payment_id_of


def tell_received(notice: Notice) -> list[AnyClientEvent]:
    """Return that money arrived; nothing for an authorisation alone."""
    about = notice.about
    if read.text(about, "status") not in {"succeeded", None} or about.get("captured") is False:
        return []  # an authorisation alone moves no money
    settled = read.integer(about, "amount_captured") or read.integer(about, "amount_received")
    amount = amount_of(about, settled or read.integer(about, "amount") or 0)
    if amount is None:
        return []
    return [
        PaymentReceived(
            **notice.common(),
            payment_id=payment_id_of(about),
            invoice_id=invoice_of(about),
            amount=amount,
            method=method_of(*_charges(about)),
        )
    ]


def tell_pending(notice: Notice) -> list[AnyClientEvent]:
    """Return that a payment is under way."""
    about = notice.about
    amount = amount_of(about, read.integer(about, "amount") or 0)
    if amount is None:
        return []
    method = method_of(*_charges(about))
    return [
        PaymentPending(
            **notice.common(), payment_id=payment_id_of(about), invoice_id=invoice_of(about), amount=amount, method=method
        )
    ]


def tell_failed(notice: Notice) -> list[AnyClientEvent]:
    """Return that an attempt to pay failed; the events of one attempt share an id and collapse."""
    about = notice.about
    amount = amount_of(about, read.integer(about, "amount") or 0)
    if amount is None:
        return []
    problem = read.inner(about, "last_payment_error")
    outcome = read.inner(about, "outcome")
    code = read.first_of((read.text(problem, "decline_code"), read.text(problem, "code"), read.text(about, "failure_code")))
    attempt = (
        object_id(about)
        if read.text(about, "object") == "charge"
        else read.identifier({**about, **problem}, "charge", "latest_charge")
    )
    return [
        PaymentFailed(
            **notice.common(event_id=f"{attempt}:failed" if attempt else None),
            payment_id=payment_id_of(about),
            invoice_id=invoice_of(about),
            amount=amount,
            method=method_of(*_charges(about), problem),
            decline=decline_of(code, advice=read.text(problem, "advice_code") or read.text(outcome, "advice_code")),
            decline_code=code[:100] if code else None,
        )
    ]


def _charges(about: Payload) -> list[Payload]:
    """Return the places that may say how money moved, the surest first."""
    listed = read.items(read.inner(about, "charges"), "data")
    return [read.expanded(about, "latest_charge"), *listed[:1], about]


def tell_refunded(notice: Notice) -> list[AnyClientEvent]:
    """Return what went back to the client with this event."""
    charge = notice.about
    total = read.integer(charge, "amount_refunded") or 0
    refunds = [refund for refund in read.items(read.inner(charge, "refunds"), "data") if _money_left(refund)]
    listed = [(object_id(refund), read.integer(refund, "amount") or 0) for refund in refunds]
    if sum(amount for _, amount in listed) != total:
        # Without the list, the charge says only how much went back in all, and how much had gone back before this event.
        earlier = read.integer(notice.before, "amount_refunded") or 0
        listed = [(f"{payment_id_of(charge)}:refunded:{total}", total - earlier)]
    return [
        PaymentRefunded(
            **notice.common(part=refund_id),
            refund_id=refund_id,
            payment_id=payment_id_of(charge),
            invoice_id=invoice_of(charge),
            amount=amount,
        )
        for refund_id, minor in listed
        if (amount := amount_of(charge, max(minor, 0))) is not None
    ]


def _money_left(refund: Payload) -> bool:
    return read.text(refund, "status") not in {"failed", "canceled"}


def tell_dispute(notice: Notice) -> list[AnyClientEvent]:
    """Each event of a dispute restates the money it moves; an inquiry (`warning_...`) moves none."""
    dispute = notice.about
    status = read.text(dispute, "status") or ""
    match notice.type.removeprefix("charge.dispute."):
        case "created" if status.startswith("warning_"):
            return [_dispute_opened(notice)]
        case "created":
            return [_dispute_opened(notice), *_taken_back(notice)]
        case "funds_withdrawn":
            return _taken_back(notice)
        case "funds_reinstated":
            return _given_back(notice)
        case _ if status == "won":
            return [_dispute_closed(notice, DisputeOutcome.WON), *_given_back(notice)]
        case _:
            return [_dispute_closed(notice, DisputeOutcome.LOST if status == "lost" else DisputeOutcome.WITHDRAWN)]


def _dispute_opened(notice: Notice) -> DisputeOpened:
    cause = read.text(notice.about, "reason")
    return DisputeOpened(
        **notice.common(part="opened"),
        dispute_id=object_id(notice.about),
        invoice_id=invoice_of(notice.about),
        amount=amount_of(notice.about, read.integer(notice.about, "amount") or 0),
        cause=cause[:200] if cause else None,
    )


def _dispute_closed(notice: Notice, outcome: DisputeOutcome) -> DisputeClosed:
    return DisputeClosed(**notice.common(part="closed"), dispute_id=object_id(notice.about), outcome=outcome)


def _taken_back(notice: Notice) -> list[AnyClientEvent]:
    dispute, amount = notice.about, amount_of(notice.about, read.integer(notice.about, "amount") or 0)
    if amount is None:
        return []
    return [
        PaymentChargedBack(
            **notice.common(part="withdrawn"),
            chargeback_id=object_id(dispute),
            payment_id=payment_id_of(dispute),
            invoice_id=invoice_of(dispute),
            amount=amount,
        )
    ]


def _given_back(notice: Notice) -> list[AnyClientEvent]:
    dispute, amount = notice.about, amount_of(notice.about, read.integer(notice.about, "amount") or 0)
    if amount is None:
        return []
    return [
        ChargebackReversed(
            **notice.common(part="reinstated"),
            chargeback_id=object_id(dispute),
            payment_id=payment_id_of(dispute),
            invoice_id=invoice_of(dispute),
            amount=amount,
        )
    ]

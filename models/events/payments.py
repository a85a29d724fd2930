"""Payments and what undoes them. Public topic: `payments`."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.events.envelope import ClientEvent, Identifier, Instant, PositiveMoney


class PaymentMethod(StrEnum):
    """How money moves; speed, cost and procurement discipline differ by method."""

    CARD = "card"
    BANK_DEBIT = "bank_debit"
    WIRE = "wire"
    CHECK = "check"
    CASH = "cash"
    OTHER = "other"


class DeclineKind(StrEnum):
    """`soft`: the processor may try again by itself; `hard`: it will not without a change by the client."""

    SOFT = "soft"
    HARD = "hard"


class PaymentReceived(ClientEvent):
    """Money arrived. Without `invoice_id` it is unapplied cash."""

    kind: Literal["payment.received"] = "payment.received"
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney
    method: PaymentMethod = PaymentMethod.OTHER


class PaymentPending(ClientEvent):
    """A payment is under way (a bank debit was submitted); it holds delay messages until it arrives, fails or is overdue."""

    kind: Literal["payment.pending"] = "payment.pending"
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney
    method: PaymentMethod = PaymentMethod.BANK_DEBIT
    expected_at: Instant | None = Field(default=None, description="When the money should arrive; default seven days on.")


class PaymentFailed(ClientEvent):
    """An attempt to pay was declined or returned."""

    kind: Literal["payment.failed"] = "payment.failed"
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney
    method: PaymentMethod = PaymentMethod.OTHER
    decline: DeclineKind = DeclineKind.SOFT
    decline_code: str | None = Field(default=None, max_length=100)
    next_retry_at: Instant | None = Field(default=None, description="When the processor tries again by itself, if it will.")


class PaymentRefunded(ClientEvent):
    """Money of a payment went back to the client, wholly or in part."""

    kind: Literal["payment.refunded"] = "payment.refunded"
    refund_id: Identifier
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney


class PaymentChargedBack(ClientEvent):
    """The client's bank took money of a payment back."""

    kind: Literal["payment.charged_back"] = "payment.charged_back"
    chargeback_id: Identifier
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney


class ChargebackReversed(ClientEvent):
    """A chargeback was decided in the firm's favour: the money is back."""

    kind: Literal["payment.chargeback_reversed"] = "payment.chargeback_reversed"
    chargeback_id: Identifier
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney


class RefundFailed(ClientEvent):
    """A refund did not reach the client: its money is back with the firm, as if it had never gone."""

    kind: Literal["payment.refund_failed"] = "payment.refund_failed"
    refund_id: Identifier
    payment_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney

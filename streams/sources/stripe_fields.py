"""How Stripe writes things down: amounts, methods, references to a client, and the events that tell nothing about one."""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from models.events.invoices import ContractStatus
from models.events.payments import DeclineKind, PaymentMethod
from models.money import Money, exponent
from streams.runtime.errors import DeadLetterError
from streams.sources import payload as read
from streams.sources.payload import Common, Payload
from streams.wire.dead_letters import Reason

# Stripe's own exponents where they differ from ISO 4217: it counts ISK and UGX in hundredths, and Malagasy ariary in whole ones.
_STRIPE_EXPONENTS: Final = MappingProxyType({"ISK": 2, "UGX": 2, "MGA": 0})

_CARD: Final = ("card", "card_present", "link", "interac_present", "cashapp", "amazon_pay", "paypal", "revolut_pay", "klarna")
_DEBIT: Final = (
    *("us_bank_account", "sepa_debit", "bacs_debit", "au_becs_debit", "acss_debit", "nz_bank_account", "ach_debit"),
    *("bank_account", "sepa_account"),
)
_WIRE: Final = (
    "customer_balance",
    "ach_credit_transfer",
    "sepa_credit_transfer",
    "wire",
    "ideal",
    "sofort",
    "giropay",
    "eps",
    "p24",
)
_METHODS: Final = MappingProxyType(
    dict.fromkeys(_CARD, PaymentMethod.CARD)
    | dict.fromkeys(_DEBIT, PaymentMethod.BANK_DEBIT)
    | dict.fromkeys(_WIRE, PaymentMethod.WIRE)
    | dict.fromkeys(("paper_check", "check"), PaymentMethod.CHECK)
)
# Trying again without a change by the client is pointless or forbidden after these.
_HARD_DECLINES: Final = frozenset(
    {"account_closed", "bank_account_restricted", "card_not_supported", "debit_not_authorized", "expired_card", "fraudulent"}
    | {"incorrect_number", "invalid_account", "invalid_number", "lost_card", "no_account", "pickup_card", "restricted_card"}
    | {"revocation_of_all_authorizations", "revocation_of_authorization", "stolen_card", "stop_payment_order"}
)
CONTRACT_STATES: Final = MappingProxyType(
    {
        "active": ContractStatus.ACTIVE,
        "trialing": ContractStatus.TRIAL,
        "past_due": ContractStatus.PAST_DUE,
        "unpaid": ContractStatus.PAST_DUE,
        "paused": ContractStatus.PAUSED,
        "canceled": ContractStatus.ENDED,
        "incomplete_expired": ContractStatus.ENDED,
    }
)

IGNORED: Final = frozenset(
    # Told by another event: a refund object rarely names its client, the charge does; an intent tells when money moves.
    {"refund.created", "refund.updated", "refund.failed", "charge.refund.updated", "charge.updated", "charge.expired"}
    | {"charge.dispute.updated", "credit_note.updated", "invoice_payment.paid", "invoice_payment.detached"}
    | {"payment_intent.created", "payment_intent.canceled", "payment_intent.requires_action"}
    | {"payment_intent.amount_capturable_updated", "payment_intent.partially_funded"}
    # Stripe's own mails and warnings, and drafts.
    | {"invoice.deleted", "invoice.upcoming", "invoice.will_be_due", "invoice.finalization_failed", "invoice.overpaid"}
    | {"invoice.payment_action_required", "invoice.payment_attempt_required"}
    | {"customer.deleted", "customer.subscription.trial_will_end", "customer.subscription.pending_update_applied"}
    | {"customer.subscription.pending_update_expired", "mandate.updated", "ping"}
)
"""Events about a client that say nothing that another event does not say better."""

IGNORED_FAMILIES: Final = (
    *("account.", "application_fee.", "apps.", "balance.", "balance_settings.", "billing.", "billing_portal.", "capability."),
    *("cash_balance.", "checkout.session.", "climate.", "coupon.", "customer.bank_account.", "customer.card."),
    *("customer.discount.", "customer.source.", "customer.tax_id.", "customer_cash_balance_transaction.", "entitlements."),
    *("file.", "financial_connections.", "identity.", "invoiceitem.", "issuing_", "payment_link.", "payment_method."),
    *("payment_record.", "payout.", "person.", "plan.", "price.", "product.", "promotion_code.", "quote.", "radar."),
    *("reporting.", "reserve.", "review.", "setup_intent.", "sigma.", "source.", "subscription_schedule.", "tax.", "tax_rate."),
    *("terminal.", "test_helpers.", "three_d_secure.", "topup.", "transfer.", "treasury."),
)
"""Beginnings of the types of events about our side of the trade: catalogue, payouts, cards issued, reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One webhook event: what it is about, when it happened, and what the object was before."""

    event_id: str
    type: str
    created: datetime
    received_at: datetime
    source: str
    about: Payload
    before: Payload

    def common(self, *, part: str | None = None, event_id: str | None = None, occurred_at: datetime | None = None) -> Common:
        """Return the envelope of one of the events that this webhook event tells of; `part` tells them apart."""
        return {
            "event_id": event_id or (self.event_id if part is None else f"{self.event_id}:{part}"),
            "source": self.source,
            "client_id": client_of(self.about),
            "occurred_at": occurred_at or self.created,
            "received_at": self.received_at,
        }


def client_of(about: Payload) -> str:
    """Return the customer that `about` names, itself or in a charge, intent or invoice sent whole inside it.

    Where Stripe names none, `metadata.client_id` does, if the firm set it. Raises DeadLetterError when nobody is named.
    """
    found = client_named(about)
    if found is None:
        raise DeadLetterError(
            Reason.NO_CLIENT,
            "the object names no customer, and no webhook so far told whose charge or payment intent it is. Redrive it after the"
            " payment's own webhook has arrived; or set metadata.client_id on it, or redrive with --edit and the customer added",
        )
    return found


def client_named(about: Payload) -> str | None:
    """Return the client that `client_of` finds, or none."""
    inside = [read.expanded(about, name) for name in ("charge", "payment_intent", "latest_charge", "invoice")]
    own = [read.text(about, "id")] if read.text(about, "object") == "customer" else []
    named = [read.identifier(part, "customer", "customer_account") for part in (about, *inside)]
    given = [read.text(read.inner(part, "metadata"), "client_id") for part in (about, *inside)]
    return read.first_of((*own, *named, *given))


def object_id(about: Payload) -> str:
    """Return the id of the object itself."""
    return read.required(read.text(about, "id"), "data.object.id")


def payment_id_of(about: Payload) -> str:
    """Return the one name of the money that a charge, refund or dispute is about: its payment intent, else its charge."""
    own = read.text(about, "id") if read.text(about, "object") in {"charge", "payment_intent"} else None
    named = read.identifier(about, "payment_intent") or read.identifier(read.expanded(about, "charge"), "payment_intent")
    return read.required(named or read.identifier(about, "charge") or own, "payment_intent")


def invoice_of(about: Payload) -> str | None:
    """Return the invoice that a charge, intent or dispute belongs to, where it says so, in the old or in the new shape.

    Where Stripe names none, `metadata.invoice_id` does, if the firm set it.
    """
    inside = (
        about,
        read.expanded(about, "charge"),
        read.expanded(about, "payment_intent"),
        read.expanded(about, "latest_charge"),
    )
    for part in inside:
        reference = read.text(read.inner(part, "payment_details"), "order_reference")
        named = read.identifier(part, "invoice") or (reference if reference and reference.startswith("in_") else None)
        if named is not None:
            return named
    return read.text(read.inner(about, "metadata"), "invoice_id")


def amount_of(about: Payload, amount: int) -> Money | None:
    """Return Stripe's integer `amount` in our minor units; zero is none."""
    code = read.currency(about)
    shift = exponent(code) - _STRIPE_EXPONENTS.get(code, exponent(code))
    if shift >= 0:
        return read.money(amount * 10**shift, code)
    whole, rest = divmod(amount, 10**-shift)
    if rest:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"amount: {code} has no smaller unit, yet Stripe sends a part of one")
    return read.money(whole, code)


def method_of(*candidates: Payload) -> PaymentMethod:
    """Return the method of the first charge or intent that names one."""
    for about in candidates:
        details = read.inner(about, "payment_method_details") or read.expanded(about, "payment_method")
        name = read.text(details, "type") or read.text(read.expanded(about, "source"), "object") or _only_type(about)
        if name is not None:
            return _METHODS.get(name, PaymentMethod.OTHER)
    return PaymentMethod.OTHER


def decline_of(code: str | None, *, advice: str | None = None) -> DeclineKind:
    """Return whether trying again can help, by the decline code and the bank's advice."""
    return DeclineKind.HARD if code in _HARD_DECLINES or advice == "do_not_try_again" else DeclineKind.SOFT


def service_line_of(about: Payload) -> str | None:
    """Return `metadata.service_line`, which a firm may set on invoices and subscriptions."""
    line = read.inner(about, "metadata").get("service_line")
    return line[:100] if isinstance(line, str) and line else None


def _only_type(about: Payload) -> str | None:
    types = about.get("payment_method_types")
    return types[0] if isinstance(types, list) and len(types) == 1 and isinstance(types[0], str) else None

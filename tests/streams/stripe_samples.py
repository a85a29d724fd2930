"""Stripe objects in the old and in the new shape, made up for these tests."""

import json
from collections.abc import Mapping
from typing import Any, Final

CREATED: Final = 1_760_000_000

Sample = dict[str, Any]


def event(kind: str, about: Mapping[str, Any], *, before: Mapping[str, Any] | None = None, event_id: str = "evt_1") -> bytes:
    data: Sample = {"object": about} if before is None else {"object": about, "previous_attributes": before}
    return json.dumps(
        {"id": event_id, "object": "event", "api_version": "2024-06-20", "created": CREATED, "type": kind, "data": data}
    ).encode()


def old_invoice(**fields: object) -> Sample:
    return {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_1",
        "customer_email": "ana@example.com",
        "currency": "eur",
        "status": "open",
        "amount_due": 12_000,
        "amount_paid": 0,
        "amount_remaining": 12_000,
        "total": 12_000,
        "charge": None,
        "payment_intent": "pi_1",
        "subscription": "sub_1",
        "created": CREATED - 100,
        "due_date": CREATED + 1_000_000,
        "lines": {"object": "list", "total_count": 3, "data": []},
        "status_transitions": {"finalized_at": CREATED - 50, "paid_at": None},
        "metadata": {"service_line": "tax"},
    } | fields


def new_invoice(**fields: object) -> Sample:
    gone = ("charge", "payment_intent", "subscription")
    kept = {name: value for name, value in old_invoice().items() if name not in gone}
    parent = {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}}
    return kept | {"parent": parent} | fields


def charge(**fields: object) -> Sample:
    return {
        "id": "ch_1",
        "object": "charge",
        "customer": "cus_1",
        "invoice": "in_1",
        "payment_intent": "pi_1",
        "amount": 12_000,
        "amount_captured": 12_000,
        "amount_refunded": 0,
        "currency": "eur",
        "status": "succeeded",
        "captured": True,
        "paid": True,
        "payment_method_details": {"type": "card", "card": {"last4": "4242", "fingerprint": "canary-fingerprint"}},
        "billing_details": {"name": "canary-name"},
        "metadata": {},
    } | fields


def intent(**fields: object) -> Sample:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "customer": "cus_1",
        "amount": 12_000,
        "amount_received": 12_000,
        "currency": "eur",
        "status": "succeeded",
        "latest_charge": "ch_1",
        "payment_method_types": ["card", "sepa_debit"],
        "payment_details": {"customer_reference": None, "order_reference": "in_1"},
        "metadata": {},
    } | fields


def dispute(**fields: object) -> Sample:
    return {
        "id": "dp_1",
        "object": "dispute",
        "charge": charge(),
        "payment_intent": "pi_1",
        "amount": 12_000,
        "currency": "eur",
        "reason": "product_not_received",
        "status": "needs_response",
        "evidence": {"customer_name": "canary-name"},
        "metadata": {},
    } | fields


def customer(**fields: object) -> Sample:
    return {
        "id": "cus_1",
        "object": "customer",
        "name": "Ana Öz",
        "email": "ana@example.com",
        "phone": None,
        "address": {"country": "DE", "line1": "canary-street"},
        "preferred_locales": ["de-DE"],
        "metadata": {"timezone": "Europe/Berlin"},
    } | fields


def subscription(**fields: object) -> Sample:
    price = {"id": "price_1", "unit_amount": 5_000, "currency": "eur"}
    return {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "created": CREATED - 500,
        "start_date": CREATED - 400,
        "current_period_end": CREATED + 2_000_000,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "pause_collection": None,
        "items": {"object": "list", "data": [{"id": "si_1", "quantity": 2, "price": price}]},
        "metadata": {},
    } | fields


def credit_note(**fields: object) -> Sample:
    return {
        "id": "cn_1",
        "object": "credit_note",
        "customer": "cus_1",
        "invoice": "in_1",
        "amount": 3_000,
        "currency": "eur",
        "status": "issued",
        "metadata": {},
    } | fields


SAMPLES: Final[dict[str, Sample]] = {
    "invoice.finalized": old_invoice(),
    "invoice.paid": old_invoice(status="paid", amount_paid=12_000, charge="ch_1"),
    "invoice.payment_failed": old_invoice(charge="ch_1", attempt_count=1, next_payment_attempt=CREATED + 9),
    "invoice.voided": old_invoice(status="void"),
    "invoice.marked_uncollectible": new_invoice(status="uncollectible"),
    "invoice.updated": new_invoice(),
    "credit_note.created": credit_note(),
    "credit_note.voided": credit_note(status="void"),
    "charge.succeeded": charge(),
    "charge.failed": charge(status="failed", captured=False, paid=False, failure_code="expired_card"),
    "charge.refunded": charge(amount_refunded=2_000, refunds={"data": [{"id": "re_1", "amount": 2_000, "status": "succeeded"}]}),
    "charge.dispute.created": dispute(),
    "charge.dispute.closed": dispute(status="won"),
    "charge.dispute.funds_withdrawn": dispute(),
    "charge.dispute.funds_reinstated": dispute(status="won"),
    "payment_intent.succeeded": intent(),
    "payment_intent.processing": intent(status="processing"),
    "payment_intent.payment_failed": intent(last_payment_error={"code": "card_declined", "charge": "ch_1"}),
    "customer.created": customer(),
    "customer.updated": customer(),
    "customer.subscription.created": subscription(),
    "customer.subscription.deleted": subscription(status="canceled"),
}
"""One object for every kind of event that Stripe's translator tells."""

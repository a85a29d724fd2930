"""Stripe's objects and event envelopes as its webhooks carry them, cut to the fields that say something, and its signature."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeAlias

import orjson

from handlers.demo.people import Person
from models.ids import derive

API_VERSION: Final = "2024-06-20"

Object: TypeAlias = Mapping[str, Any]


def object_id(prefix: str, *parts: str | int) -> str:
    """Return an id that looks like Stripe's, derived from `parts`."""
    return f"{prefix}_{derive('demo.' + prefix, *parts)[:24]}"


def seconds(moment: datetime) -> int:
    """Return whole seconds since 1970, the unit of Stripe's times."""
    return int(moment.timestamp())


def event_id(kind: str, content: Object, *, at: datetime) -> str:
    """Return the id of the event that `kind` happened to `content` `at` that time; repeated deliveries share it."""
    return object_id("evt", kind, str(content["id"]), seconds(at))


def envelope(kind: str, content: Object, *, at: datetime) -> bytes:
    """Return the body of a webhook: `content` as it was `at` that time."""
    event = {
        "id": event_id(kind, content, at=at),
        "object": "event",
        "api_version": API_VERSION,
        "created": seconds(at),
        "type": kind,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "data": {"object": content},
    }
    return orjson.dumps(event)


def signature(body: bytes, *, secret: str, at: datetime) -> str:
    """Return the `Stripe-Signature` header: HMAC-SHA256 of `<seconds>.<body>` under scheme v1."""
    stamp = str(seconds(at))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    return f"t={stamp},v1={digest}"


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice of the demo. `amount` in minor units; `subscription` names the retainer it belongs to, if any."""

    invoice_id: str
    person: Person
    amount: int
    issued_at: datetime
    lines: int = 1
    subscription: str | None = None

    @property
    def due_at(self) -> datetime:
        """When payment is due by the client's terms."""
        return self.issued_at + timedelta(days=self.person.terms_days)

    @property
    def payment_intent(self) -> str:
        """The intent under which the invoice is paid."""
        return object_id("pi", self.invoice_id)

    def charge_id(self, attempt: int) -> str:
        """Return the id of the charge of the given attempt, counted from 1."""
        return object_id("ch", self.invoice_id, attempt)


def customer(person: Person, *, created: datetime) -> Object:
    """Return a customer with the zone and locale in which to reach it."""
    return {
        "id": person.client_id,
        "object": "customer",
        "created": seconds(created),
        "name": person.name,
        "email": person.email,
        "phone": None,
        "currency": person.currency.lower(),
        "address": {"country": person.country},
        "preferred_locales": [person.locale],
        "metadata": {"timezone": person.timezone},
        "livemode": False,
    }


def invoice(
    bill: Bill, *, paid: int = 0, attempts: int = 0, out_of_band: bool = False, next_attempt: datetime | None = None
) -> Object:
    """Return an invoice of which `paid` minor units have arrived; the due date follows the client's terms."""
    settled = paid >= bill.amount
    return {
        "id": bill.invoice_id,
        "object": "invoice",
        "customer": bill.person.client_id,
        "customer_email": bill.person.email,
        "customer_name": bill.person.name,
        "currency": bill.person.currency.lower(),
        "amount_due": bill.amount,
        "amount_paid": paid,
        "amount_remaining": bill.amount - paid,
        "total": bill.amount,
        "subtotal": bill.amount,
        "status": "paid" if settled else "open",
        "paid": settled,
        "paid_out_of_band": out_of_band,
        "attempt_count": attempts,
        "attempted": attempts > 0,
        "next_payment_attempt": None if next_attempt is None else seconds(next_attempt),
        "billing_reason": "subscription_cycle" if bill.subscription else "manual",
        "collection_method": "charge_automatically" if bill.subscription else "send_invoice",
        "created": seconds(bill.issued_at),
        "due_date": seconds(bill.due_at),
        "payment_intent": None if out_of_band else bill.payment_intent,
        "charge": bill.charge_id(attempts) if settled and not out_of_band else None,
        "subscription": bill.subscription,
        "lines": {"object": "list", "has_more": False, "total_count": bill.lines, "data": []},
        "status_transitions": {"finalized_at": seconds(bill.issued_at)},
        "livemode": False,
        "metadata": {},
    }


def payment_intent(bill: Bill, *, amount: int, status: str, at: datetime) -> Object:
    """Return the intent to pay `amount` of a bill; status `processing` while a bank debit is under way."""
    return {
        "id": bill.payment_intent,
        "object": "payment_intent",
        "customer": bill.person.client_id,
        "invoice": bill.invoice_id,
        "amount": amount,
        "amount_received": amount if status == "succeeded" else 0,
        "currency": bill.person.currency.lower(),
        "status": status,
        "created": seconds(at),
        "payment_method_types": [bill.person.method],
        "livemode": False,
        "metadata": {},
    }


def charge(bill: Bill, *, attempt: int, amount: int, at: datetime, failure: str | None = None, refunded: int = 0) -> Object:
    """Return one attempt to collect `amount`; with `failure` it was declined, with `refunded` that much went back."""
    charge_id = bill.charge_id(attempt)
    refunds = [
        {
            "id": object_id("re", charge_id),
            "object": "refund",
            "amount": refunded,
            "charge": charge_id,
            "currency": bill.person.currency.lower(),
            "status": "succeeded",
            "created": seconds(at),
        }
    ]
    return {
        "id": charge_id,
        "object": "charge",
        "customer": bill.person.client_id,
        "invoice": bill.invoice_id,
        "payment_intent": bill.payment_intent,
        "amount": amount,
        "amount_captured": 0 if failure else amount,
        "amount_refunded": refunded,
        "refunded": refunded == amount,
        "refunds": {"object": "list", "has_more": False, "data": refunds if refunded else []},
        "currency": bill.person.currency.lower(),
        "status": "failed" if failure else "succeeded",
        "paid": failure is None,
        "captured": failure is None,
        "failure_code": failure,
        "outcome": {"type": "issuer_declined" if failure else "authorized", "reason": failure},
        "payment_method_details": {"type": bill.person.method},
        "created": seconds(at),
        "livemode": False,
        "metadata": {},
    }


def credit_note(bill: Bill, *, amount: int, at: datetime) -> Object:
    """Return a credit note of `amount` against a bill."""
    return {
        "id": object_id("cn", bill.invoice_id),
        "object": "credit_note",
        "customer": bill.person.client_id,
        "invoice": bill.invoice_id,
        "amount": amount,
        "total": amount,
        "currency": bill.person.currency.lower(),
        "status": "issued",
        "created": seconds(at),
        "livemode": False,
        "metadata": {},
    }


def dispute(bill: Bill, *, attempt: int, amount: int, at: datetime, status: str) -> Object:
    """Return a contested charge. Stripe names no customer in it, so the firm keeps the client in the metadata."""
    return {
        "id": object_id("dp", bill.charge_id(attempt)),
        "object": "dispute",
        "charge": bill.charge_id(attempt),
        "payment_intent": bill.payment_intent,
        "amount": amount,
        "currency": bill.person.currency.lower(),
        "reason": "product_not_received",
        "status": status,
        "created": seconds(at),
        "livemode": False,
        "metadata": {"client_id": bill.person.client_id, "invoice_id": bill.invoice_id},
    }


def subscription(person: Person, *, started: datetime, period: tuple[datetime, datetime], amount: int, status: str) -> Object:
    """Return a retainer in its billing period (start, end)."""
    start, end = period
    ended = status == "canceled"
    return {
        "id": object_id("sub", person.client_id),
        "object": "subscription",
        "customer": person.client_id,
        "status": status,
        "created": seconds(started),
        "start_date": seconds(started),
        "current_period_start": seconds(start),
        "current_period_end": seconds(end),
        "cancel_at_period_end": False,
        "canceled_at": seconds(start) if ended else None,
        "ended_at": seconds(start) if ended else None,
        "currency": person.currency.lower(),
        "collection_method": "send_invoice",
        "items": {
            "object": "list",
            "data": [
                {
                    "id": object_id("si", person.client_id),
                    "quantity": 1,
                    "price": {"unit_amount": amount, "currency": person.currency.lower(), "recurring": {"interval": "month"}},
                }
            ],
        },
        "livemode": False,
        "metadata": {},
    }

"""Stripe's webhook events.

One money, one id. `charge.succeeded`, `payment_intent.succeeded`, `invoice.paid` and `invoice.payment_succeeded` tell of the
same money, so all of them name it by its payment intent, or by its charge where it has no intent; the fold knows a payment by
that id and counts it once, whichever arrives first, and takes the invoice from whichever names one. An attempt that failed has
no id of its own: its events share the event id `<charge>:failed` and collapse there. Refunds and disputes name the same id.

Old and new shapes. Up to the API versions of early 2025 an invoice names its `charge` and `payment_intent`, and these name their
`invoice`. Since then an invoice lists its `payments` (only where they are included) and an intent names its invoice as
`payment_details.order_reference`. A paid invoice that names no payment says only that it is settled, and is told as the payment
`<invoice>`: to the fold a payment that bears the name of its invoice is "paid, by whatever means", of which only what no named
payment accounts for is money (a wire entered by hand has no other name).

A dispute names its charge and nothing else: the client and the invoice are then those that an earlier event of the charge told.

What is owed is restated with every event of an invoice that is past its draft: a lost or late
`invoice.finalized` costs nothing.
Only ids, amounts, dates, states and how to reach the client are read; card and bank details never leave this module.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from models.events.union import AnyClientEvent
from streams.runtime.errors import DeadLetterError
from streams.sources import payload as read
from streams.sources.lookup import Lookup
from streams.sources.payload import Payload
from streams.sources.stripe_clients import tell_customer, tell_subscription
from streams.sources.stripe_facts import completed
from streams.sources.stripe_fields import IGNORED, IGNORED_FAMILIES, Notice
from streams.sources.stripe_money import tell_dispute, tell_failed, tell_pending, tell_received, tell_refunded
from streams.sources.stripe_owed import tell_credit_note, tell_invoice
from streams.wire.dead_letters import Reason


def translate(body: Payload, *, source: str, received_at: datetime, lookup: Lookup) -> list[AnyClientEvent]:
    """Return what one Stripe event says about a client; nothing for an event that says nothing about one."""
    kind = read.required(read.text(body, "type"), "type")
    tell = _TELLERS.get(kind)
    if tell is None:
        if kind.startswith(IGNORED_FAMILIES) or kind in IGNORED:
            return []
        raise DeadLetterError(Reason.UNKNOWN_TYPE, f"Stripe sends an event type that Rapport does not know: {kind[:80]}")
    about = read.inner(read.inner(body, "data"), "object")
    if not about:
        raise DeadLetterError(Reason.BAD_SCHEMA, "data.object: missing")
    return tell(
        Notice(
            event_id=read.required(read.text(body, "id"), "id"),
            type=kind,
            created=read.required_moment(read.seconds(body, "created"), "created"),
            received_at=received_at,
            source=source,
            about=completed(about, kind=kind, lookup=lookup),
            before=read.inner(read.inner(body, "data"), "previous_attributes"),
        )
    )


_TELLERS: Final[Mapping[str, Callable[[Notice], list[AnyClientEvent]]]] = MappingProxyType(
    {f"invoice.{action}": tell_invoice for action in ("created", "finalized", "sent", "updated", "overdue", "paid")}
    | {f"invoice.{action}": tell_invoice for action in ("payment_succeeded", "payment_failed", "voided", "marked_uncollectible")}
    | {"credit_note.created": tell_credit_note, "credit_note.voided": tell_credit_note}
    | dict.fromkeys(("charge.succeeded", "charge.captured", "payment_intent.succeeded"), tell_received)
    | dict.fromkeys(("charge.pending", "payment_intent.processing"), tell_pending)
    | dict.fromkeys(("charge.failed", "payment_intent.payment_failed"), tell_failed)
    | {"charge.refunded": tell_refunded}
    | {f"charge.dispute.{action}": tell_dispute for action in ("created", "closed", "funds_withdrawn", "funds_reinstated")}
    | {"customer.created": tell_customer, "customer.updated": tell_customer}
    | {f"customer.subscription.{action}": tell_subscription for action in ("created", "updated", "deleted", "paused", "resumed")}
)

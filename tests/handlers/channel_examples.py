"""Triggers, deliveries and records for the tests of the channels."""

from datetime import UTC, datetime, timedelta
from typing import Final

from handlers.channels.contract import Content, Delivery, Recipient
from models.events.envelope import epoch_ms
from models.events.signals import Purpose
from models.money import Money
from models.triggers import CancelWhen, Journey, Retraction, Tone, Trigger
from streams.wire.codec import encode_output
from streams.wire.headers import Origin
from streams.wire.records import PlainRecord

NOW: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ADA: Final = Recipient(name="Ada Lovelace", email="ada@client.example", locale="en_GB", timezone="Europe/London")


def trigger(trigger_id: str = "t1", **fields: object) -> Trigger:
    """Return a trigger for `ada`, due at NOW, with `fields` replaced."""
    return Trigger.model_validate(
        {
            "trigger_id": trigger_id,
            "client_id": "ada",
            "decided_at": NOW,
            "journey": Journey.DELAY_SUPPORT,
            "anchor": "in_1",
            "step": "reminder",
            "channel": "email",
            "purpose": Purpose.SERVICING,
            "legal_basis": "contract",
            "tone": Tone.GENTLE,
            "not_before": NOW,
            "expires_at": NOW + timedelta(days=7),
            "cancel_when": (CancelWhen.INVOICES_SETTLED,),
            "invoice_ids": ("in_1",),
            "facts": {"amount": Money(125_000, "EUR"), "invoice_number": "R-17", "due_date": "2026-02-20"},
            "reasons": ("invoice R-17 is 10 days overdue",),
            "segment": "reliable",
            "policy_version": "p1",
            "learner_version": "l1",
            **fields,
        }
    )


def retraction(trigger_id: str = "t1", *, channel: str = "email") -> Retraction:
    """Return a retraction of a trigger."""
    return Retraction(
        trigger_id=trigger_id, client_id="ada", decided_at=NOW, channel=channel, because=CancelWhen.INVOICES_SETTLED
    )


def delivery(given: Trigger | None = None, *, recipient: Recipient = ADA, content: Content | None = None) -> Delivery:
    """Return a first attempt."""
    return Delivery(
        trigger=given or trigger(),
        recipient=recipient,
        address=recipient.email or "",
        content=content or Content("Invoice R-17", "Hello Ada,\n\nthe invoice.\n", "<p>Hello Ada,</p>"),
        attempt=1,
        at=NOW,
    )


def record(content: Trigger | Retraction | bytes, *, offset: int, src_offset: int | None = None, idx: int = 0) -> PlainRecord:
    """Return `content` as the engine publishes it, at `offset` of partition 0."""
    value = content if isinstance(content, bytes) else encode_output(content)
    source = offset if src_offset is None else src_offset
    origin = Origin(src_topic="client.events", src_partition=0, src_offset=source, idx=idx, kind="trigger")
    return PlainRecord(
        topic="triggers.email",
        partition=0,
        offset=offset,
        timestamp=epoch_ms(NOW),
        key=b"ada",
        value=value,
        headers=origin.to_headers(),
    )

"""What the client log tells about ids is enough for later deliveries that name an id and nothing else."""

import json
from datetime import UTC, datetime

from models.events.delays import DisputeOpened
from models.events.payments import PaymentChargedBack
from models.events.union import AnyClientEvent
from streams.sources.recalled import recalled
from streams.sources.registry import read_body
from streams.wire.facts import Known, merged
from tests.models.builders import Events
from tests.streams.stripe_samples import charge, dispute, event
from tests.streams.test_sources_others import LINKED, gc_event

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def _told(source: str, body: bytes, known: Known) -> list[AnyClientEvent]:
    return read_body(source, body, received_at=AT, known=known).told()


def _known(events: list[AnyClientEvent]) -> Known:
    return merged(pair for one in events for pair in recalled(one))


def test_a_bare_dispute_is_told_of_its_client_and_invoice_by_the_log_alone() -> None:
    paid = event("charge.succeeded", charge(id="ch_1", payment_intent="pi_1", customer="cus_1", invoice="in_1"))
    bare = event("charge.dispute.created", dispute(id="dp_1", charge="ch_1", payment_intent="pi_1"))
    known = _known(_told("stripe", paid, {}))
    assert read_body("stripe", bare, received_at=AT).refusal is not None
    opened = next(one for one in _told("stripe", bare, known) if isinstance(one, DisputeOpened))
    assert (opened.client_id, opened.invoice_id) == ("cus_1", "in_1")


def test_a_bare_event_of_gocardless_is_told_of_its_client_and_amount_by_the_log_alone() -> None:
    paid = json.dumps({"events": [gc_event("payments", "confirmed")], "meta": {"webhook_id": "WB1"}, "linked": LINKED}).encode()
    bare = json.dumps({"events": [gc_event("payments", "charged_back", "EV2")], "meta": {"webhook_id": "WB2"}}).encode()
    (first,) = _told("gocardless", paid, {})
    assert read_body("gocardless", bare, received_at=AT).refusal is not None
    (back,) = _told("gocardless", bare, _known([first]))
    assert isinstance(back, PaymentChargedBack)
    assert (back.client_id, back.amount) == (first.client_id, getattr(first, "amount", None))


def test_events_of_senders_who_name_everything_tell_nothing_but_whose_an_address_is() -> None:
    build = Events()
    assert _known([build.issued(0), build.paid(1), build.profiled(2, email=None), build.called(3)]) == {}
    told = _known([build.profiled(4, email="ada@client.example", phone="+49 30 90182000")])
    assert {place.partition("-")[0] for place in told} == {"receipts:email", "receipts:phone"}
    assert "ada@client.example" not in repr(told)

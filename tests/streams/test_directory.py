"""Deliveries that name an id and nothing else, before and after another delivery told whose it is."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.delays import DisputeOpened
from models.events.envelope import epoch_ms
from models.events.payments import PaymentChargedBack, PaymentReceived, PaymentRefunded
from models.events.union import EVENT_ADAPTER
from models.money import Money
from streams.agents.intake import interpret_webhook
from streams.engine.memory_pipeline import read_in_memory
from streams.runtime.clock import ManualClock
from streams.runtime.errors import DeadLetterError
from streams.sources.lookup import Reading
from streams.sources.registry import read_body
from streams.state.memory_directory import MemoryDirectory
from streams.wire.dead_letters import Reason
from streams.wire.facts import LINKS, VALUES
from streams.wire.records import PlainRecord
from tests.printable import PRINTABLE
from tests.streams.stripe_samples import charge, dispute, event, intent, new_invoice, old_invoice
from tests.streams.test_sources_others import LINKED, gc_event

RECEIVED = datetime(2026, 1, 2, tzinfo=UTC)
BARE = {"charge": "ch_1", "payment_intent": "pi_1"}


class Intake:
    """Reads raw webhooks one after the other, with a directory in memory."""

    def __init__(self) -> None:
        self.directory = MemoryDirectory(ManualClock(RECEIVED))

    def reads(self, body: bytes, source: str = "stripe") -> Reading:
        record = PlainRecord(
            topic="webhooks",
            partition=0,
            offset=0,
            timestamp=epoch_ms(RECEIVED),
            key=b"k",
            value=body,
            headers=(("source", source.encode()), ("received_at", RECEIVED.isoformat().encode())),
        )
        return read_in_memory(record, reader=interpret_webhook, directory=self.directory)

    def reads_gocardless(self, *events: dict[str, Any], linked: dict[str, Any] | None = None) -> Reading:
        return self.reads(json.dumps({"events": events, "linked": linked or {}}).encode(), "gocardless")


def invoice_payment(**fields: object) -> dict[str, Any]:
    payment = {"type": "payment_intent", "payment_intent": "pi_1"}
    return {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "payment": payment, "status": "paid"} | fields


TOLD_BEFORE: dict[str, Sequence[bytes]] = {
    "its charge": [event("charge.succeeded", charge())],
    "its charge, long ago and of no use": [event("charge.updated", charge())],
    "its intent": [event("payment_intent.succeeded", intent())],
    "an intent not yet paid": [event("payment_intent.created", intent(status="requires_payment_method"))],
    "an invoice of the old shape": [event("invoice.paid", old_invoice(status="paid", amount_paid=12_000, charge="ch_1"))],
    "an invoice that lists its payments": [
        event("invoice.paid", new_invoice(status="paid", amount_paid=12_000, payments={"data": [invoice_payment()]}))
    ],
    "an invoice, and its payment": [
        event("invoice.finalized", new_invoice()),
        event("invoice_payment.paid", invoice_payment()),
    ],
    "a charge that names no invoice, and its payment": [
        event("charge.succeeded", charge(invoice=None)),
        event("invoice_payment.paid", invoice_payment()),
    ],
    "an intent with its charge whole": [
        event("payment_intent.succeeded", intent(customer=None, payment_details=None, latest_charge=charge()))
    ],
    "an earlier dispute with the charge whole": [event("charge.dispute.created", dispute(id="dp_0"))],
}


@pytest.mark.parametrize("before", TOLD_BEFORE)
@pytest.mark.parametrize("named", [BARE, {"charge": None, "payment_intent": "pi_1"}], ids=["by both", "by its intent"])
def test_a_bare_dispute_finds_its_client_and_invoice_once_its_payment_was_told(before: str, named: dict[str, Any]) -> None:
    intake = Intake()
    for body in TOLD_BEFORE[before]:
        intake.reads(body)
    opened, taken = intake.reads(event("charge.dispute.created", dispute(**named), event_id="evt_9")).told()
    assert isinstance(opened, DisputeOpened)
    assert isinstance(taken, PaymentChargedBack)
    assert {opened.client_id, taken.client_id} == {"cus_1"}
    assert {opened.invoice_id, taken.invoice_id} == {"in_1"}
    assert taken.payment_id == "pi_1"


def test_a_dispute_that_names_only_its_charge_speaks_of_the_payment_by_its_one_name() -> None:
    intake = Intake()
    (paid,) = intake.reads(event("charge.succeeded", charge())).told()
    assert isinstance(paid, PaymentReceived)
    (taken,) = intake.reads(event("charge.dispute.funds_withdrawn", dispute(charge="ch_1", payment_intent=None))).told()
    assert isinstance(taken, PaymentChargedBack)
    assert taken.payment_id == paid.payment_id


def test_the_firms_own_name_for_a_client_is_remembered_where_stripe_knows_no_customer() -> None:
    intake = Intake()
    intake.reads(event("charge.succeeded", charge(customer=None, metadata={"client_id": "client-7"})))
    assert {one.client_id for one in intake.reads(event("charge.dispute.created", dispute(**BARE))).told()} == {"client-7"}


def test_what_the_event_says_itself_counts_before_what_is_remembered() -> None:
    intake = Intake()
    intake.reads(event("charge.succeeded", charge()))
    opened, _ = intake.reads(event("charge.dispute.created", dispute(charge=charge(invoice=None, customer="cus_2")))).told()
    assert isinstance(opened, DisputeOpened)
    assert (opened.client_id, opened.invoice_id) == ("cus_2", "in_1")
    opened, _ = intake.reads(event("charge.dispute.created", dispute(charge=charge(invoice="in_2")))).told()
    assert isinstance(opened, DisputeOpened)
    assert opened.invoice_id == "in_2"


def test_a_dispute_of_an_unknown_payment_is_kept_and_can_be_driven_again_once_the_payment_has_arrived() -> None:
    intake = Intake()
    late = event("charge.dispute.created", dispute(**BARE))
    reading = intake.reads(late)
    assert not reading.events
    assert reading.refusal is not None
    assert reading.refusal.reason == Reason.NO_CLIENT
    assert "Redrive it after" in reading.refusal.detail
    intake.reads(event("charge.succeeded", charge()))
    assert {one.client_id for one in intake.reads(late).told()} == {"cus_1"}


def test_only_what_lacks_a_fact_asks_and_only_what_tells_one_is_remembered() -> None:
    complete = read_body("stripe", event("charge.succeeded", charge()), received_at=RECEIVED)
    assert (complete.wanted, set(complete.learned)) == (frozenset(), {"stripe:ch_1", "stripe:pi_1"})
    bare = read_body("stripe", event("charge.dispute.created", dispute(**BARE)), received_at=RECEIVED)
    assert bare.wanted == {"stripe:ch_1", "stripe:pi_1"}
    assert not bare.learned
    customer = read_body("stripe", event("customer.updated", {"id": "cus_1", "object": "customer"}), received_at=RECEIVED)
    assert not customer.wanted
    assert not customer.learned


def test_nothing_is_remembered_about_people_or_their_bank() -> None:
    bodies = [("stripe", event("charge.succeeded", charge())), ("stripe", event("charge.dispute.created", dispute()))]
    delivery = {"events": [gc_event("payments", "confirmed")], "linked": LINKED}
    bodies.append(("gocardless", json.dumps(delivery).encode()))
    said = repr([read_body(source, body, received_at=RECEIVED).learned for source, body in bodies])
    assert "cus_1" in said
    assert "CU1" in said
    assert not [word for word in ("canary", "4242", "example.com") if word in said]


@pytest.mark.parametrize("damaged", [charge(customer=7), charge(payment_intent=[]), charge(metadata="x"), charge(id=None)])
def test_a_damaged_charge_teaches_nothing_and_says_why_it_cannot_be_read(damaged: dict[str, Any]) -> None:
    reading = read_body("stripe", event("charge.updated", damaged), received_at=RECEIVED)
    assert "stripe:ch_1" not in reading.learned
    assert reading.refusal is None  # an event that says nothing about a client is not looked into
    with pytest.raises(DeadLetterError):
        read_body(
            "stripe", event("charge.dispute.created", dispute(charge=damaged, payment_intent=5)), received_at=RECEIVED
        ).told()


BARE_EVENTS = [gc_event("payments", "confirmed"), gc_event("payments", "charged_back", "EV2"), gc_event("refunds", "paid", "EV3")]


def test_gocardless_events_find_client_amount_and_invoice_in_an_earlier_delivery() -> None:
    intake = Intake()
    before = intake.reads_gocardless(*BARE_EVENTS)
    assert before.refusal is not None
    assert before.refusal.reason == Reason.NO_CLIENT
    assert "Redrive it after" in before.refusal.detail
    intake.reads_gocardless(gc_event("mandates", "created", "EV0"), linked=LINKED)
    received, taken, refunded = intake.reads_gocardless(*BARE_EVENTS).told()
    assert isinstance(received, PaymentReceived)
    assert isinstance(taken, PaymentChargedBack)
    assert isinstance(refunded, PaymentRefunded)
    assert {one.client_id for one in (received, taken, refunded)} == {"CU1"}
    assert (received.amount, received.invoice_id) == (Money(12_000, "GBP"), "in_1")
    assert received.effective_at == datetime(2025, 11, 3, tzinfo=UTC)
    assert (refunded.payment_id, refunded.amount, refunded.invoice_id) == ("PM1", Money(500, "GBP"), "in_1")


def test_gocardless_facts_may_come_piece_by_piece() -> None:
    intake = Intake()
    links = {"billing_request": "BRQ1", "customer": "CU5", "mandate_request_mandate": "MD1"}
    intake.reads_gocardless(gc_event("billing_requests", "fulfilled", "EV0", links=links))
    created = intake.reads_gocardless(gc_event("payments", "submitted", links={"payment": "PM1", "mandate": "MD1"}))
    assert created.refusal is not None
    assert created.refusal.reason == Reason.NO_AMOUNT
    assert "Redrive it after" in created.refusal.detail
    amount = {"id": "PM1", "amount": 900, "currency": "EUR"}
    intake.reads_gocardless(gc_event("payments", "created", "EV1"), linked={"payments": [amount]})
    (received,) = intake.reads_gocardless(gc_event("payments", "confirmed", "EV2")).told()
    assert isinstance(received, PaymentReceived)
    assert (received.client_id, received.amount) == ("CU5", Money(900, "EUR"))


def test_gocardless_metadata_is_remembered_and_comes_before_the_customer() -> None:
    intake = Intake()
    intake.reads_gocardless(gc_event("payments", "submitted", resource_metadata={"client_id": "client-9"}), linked=LINKED)
    (received,) = intake.reads_gocardless(gc_event("payments", "confirmed", "EV2")).told()
    assert received.client_id == "client-9"


odd = st.text(PRINTABLE, min_size=1, max_size=5) | st.sampled_from(
    ["-1", "1e9", "9" * 30, "²", "EUR", "0001-01-01", "ch_1", "PM1", "x" * 255]
)
odd_facts = st.dictionaries(st.sampled_from([*LINKS, *VALUES]), odd, max_size=6)


@given(known=st.fixed_dictionaries({f"stripe:{name}": odd_facts for name in ("ch_1", "pi_1", "in_1")}))
def test_whatever_is_known_a_bare_dispute_gives_valid_events_or_a_reason(known: dict[str, dict[str, str]]) -> None:
    reading = read_body("stripe", event("charge.dispute.created", dispute(**BARE)), received_at=RECEIVED, known=known)
    assert bool(reading.events) != (reading.refusal is not None)
    for one in reading.events:
        assert EVENT_ADAPTER.validate_json(EVENT_ADAPTER.dump_json(one, exclude_none=True)) == one


@given(known=st.fixed_dictionaries({f"gocardless:{name}": odd_facts for name in ("PM1", "RF1", "MD1")}))
def test_whatever_is_known_bare_debits_give_valid_events_or_a_reason(known: dict[str, dict[str, str]]) -> None:
    body = json.dumps({"events": BARE_EVENTS}).encode()
    reading = read_body("gocardless", body, received_at=RECEIVED, known=known)
    assert (len(reading.events) == len(BARE_EVENTS)) == (reading.refusal is None)
    for one in reading.events:
        assert EVENT_ADAPTER.validate_json(EVENT_ADAPTER.dump_json(one, exclude_none=True)) == one


def recorded(folder: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_every_recorded_dispute_translates_once_its_charge_was_told(shared_data: Path) -> None:
    files = sorted((shared_data / "webhooks" / "stripe").glob("dispute_*.json"))
    assert files
    for file in files:
        about, intake = recorded(file.parent, file.name), Intake()
        seen = {"id": about["charge"], "payment_intent": about["payment_intent"]}
        for kind in ("charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.closed"):
            assert intake.reads(event(kind, about)).refusal is not None
        intake.reads(event("charge.succeeded", recorded(file.parent, "charge_ch_fakefakefakefakefake0001.json") | seen))
        for kind in ("charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.closed"):
            told = intake.reads(event(kind, about)).told()
            assert told
            assert {one.client_id for one in told} == {"cus_6lsBvm5rJ0zyHc"}
            assert {one.invoice_id for one in told if hasattr(one, "invoice_id")} <= {"in_fakefakefakefakefake0001"}


def test_every_recorded_gocardless_resource_lets_later_bare_events_translate(shared_data: Path) -> None:
    folder, intake = shared_data / "webhooks" / "gocardless", Intake()
    kinds = ("payments", "refunds", "mandates", "subscriptions", "instalment_schedules")
    linked = {kind: recorded(folder, f"{kind}.json")["list"]["body"][kind] for kind in kinds}
    named = {"payments": "payment", "refunds": "refund", "subscriptions": "subscription"}
    actions = {
        "payments": (
            "submitted",
            "confirmed",
            "paid_out",
            "failed",
            "charged_back",
            "late_failure_settled",
            "chargeback_cancelled",
        ),
        "refunds": ("paid",),
        "subscriptions": ("created", "cancelled", "paused"),
    }
    bare = [
        gc_event(kind, action, f"EV-{action}", links={named[kind]: linked[kind][0]["id"]})
        for kind, listed in actions.items()
        for action in listed
    ]
    assert len(intake.reads_gocardless(*bare).events) == 0
    intake.reads_gocardless(gc_event("mandates", "created", "EV0"), linked=linked)
    assert len(intake.reads_gocardless(*bare).told()) == len(bare)
    (subscribed,) = Intake.reads_gocardless(intake, gc_event("subscriptions", "created", links={"subscription": "SB123"})).told()
    assert subscribed.client_id == "CU123"
    real = recorded(folder, "webhook_body.json")
    assert intake.reads(json.dumps(real).encode(), "gocardless").refusal is not None
    subscription = {"id": "SB0003JJQ2MR06", "links": {"mandate": "MD000AMA19XGEC"}}
    mandate = {"id": "MD000AMA19XGEC", "links": {"customer": "CU123"}}
    intake.reads_gocardless(linked={"subscriptions": [subscription], "mandates": [mandate]})
    assert [one.client_id for one in intake.reads(json.dumps(real).encode(), "gocardless").told()] == ["CU123"]

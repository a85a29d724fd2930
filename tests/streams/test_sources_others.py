import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.events.invoices import ContractRecorded, ContractStatus, InvoiceIssued
from models.events.payments import (
    ChargebackReversed,
    DeclineKind,
    PaymentChargedBack,
    PaymentFailed,
    PaymentMethod,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
    RefundFailed,
)
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import DeadLetterError
from streams.sources.payload import PartlyUnreadableError
from streams.sources.registry import TRANSLATORS, read_body
from streams.wire.dead_letters import Reason

RECEIVED = datetime(2026, 1, 2, tzinfo=UTC)

LINKED: dict[str, Any] = {
    "payments": [
        {
            "id": "PM1",
            "amount": 12_000,
            "currency": "GBP",
            "charge_date": "2025-11-03",
            "metadata": {"invoice_id": "in_1"},
            "links": {"mandate": "MD1"},
        }
    ],
    "refunds": [{"id": "RF1", "amount": 500, "currency": "GBP", "links": {"payment": "PM1"}}],
    "subscriptions": [
        {
            "id": "SB1",
            "amount": 2_500,
            "currency": "GBP",
            "start_date": "2025-01-01",
            "links": {"mandate": "MD1"},
            "upcoming_payments": [{"charge_date": "2025-12-01"}, {"charge_date": "2026-01-01"}],
        }
    ],
    "mandates": [{"id": "MD1", "links": {"customer": "CU1", "customer_bank_account": "BA-canary"}}],
}


def gc_event(about: str, action: str, event_id: str = "EV1", **fields: object) -> dict[str, Any]:
    names = {"payments": ("payment", "PM1"), "refunds": ("refund", "RF1"), "subscriptions": ("subscription", "SB1")}
    name, resource_id = names.get(about, ("mandate", "MD1"))
    return {
        "id": event_id,
        "created_at": "2025-11-04T09:13:51.404Z",
        "resource_type": about,
        "action": action,
        "links": {name: resource_id},
        "details": {"cause": "some_cause", "bank_account_id": "BA-canary"},
        "metadata": {},
    } | fields


def delivered(*events: dict[str, Any], linked: dict[str, Any] | None = None) -> list[AnyClientEvent]:
    body = {"events": events, "meta": {"webhook_id": "WB1"}, "linked": LINKED if linked is None else linked}
    return read_body("gocardless", json.dumps(body).encode(), received_at=RECEIVED).told()


@pytest.mark.parametrize(
    ("action", "contract"),
    [
        ("submitted", PaymentPending),
        ("resubmission_requested", PaymentPending),
        ("confirmed", PaymentReceived),
        ("paid_out", PaymentReceived),
        ("failed", PaymentFailed),
        ("cancelled", PaymentFailed),
        ("charged_back", PaymentChargedBack),
        ("late_failure_settled", PaymentChargedBack),
        ("chargeback_cancelled", ChargebackReversed),
    ],
)
def test_a_payment_finds_its_client_and_amount_beside_the_events(action: str, contract: type[AnyClientEvent]) -> None:
    (one,) = delivered(gc_event("payments", action))
    assert isinstance(one, contract)
    said = one.model_dump()
    assert (said["client_id"], said["payment_id"], said["invoice_id"]) == ("CU1", "PM1", "in_1")
    assert said["amount"] == {"minor": 12_000, "currency": "GBP"}
    assert one.occurred_at == datetime(2025, 11, 4, 9, 13, 51, 404_000, tzinfo=UTC)
    assert "canary" not in one.model_dump_json()


def test_confirmed_and_paid_out_tell_of_one_payment() -> None:
    one, other = delivered(gc_event("payments", "confirmed"), gc_event("payments", "paid_out", "EV2"))
    assert isinstance(one, PaymentReceived)
    assert isinstance(other, PaymentReceived)
    assert (one.payment_id, one.amount) == (other.payment_id, other.amount)
    assert one.method is PaymentMethod.BANK_DEBIT
    assert one.effective_at == datetime(2025, 11, 3, tzinfo=UTC)


def test_a_debit_that_is_tried_again_declined_softly() -> None:
    again = gc_event("payments", "failed", details={"cause": "insufficient_funds", "will_attempt_retry": True})
    soft, hard = delivered(again, gc_event("payments", "failed", "EV2"))
    assert isinstance(soft, PaymentFailed)
    assert isinstance(hard, PaymentFailed)
    assert (soft.decline, soft.decline_code, hard.decline) == (DeclineKind.SOFT, "insufficient_funds", DeclineKind.HARD)


def test_a_chargeback_and_its_cancellation_share_an_id() -> None:
    taken, given = delivered(gc_event("payments", "charged_back"), gc_event("payments", "chargeback_cancelled", "EV2"))
    assert isinstance(taken, PaymentChargedBack)
    assert isinstance(given, ChargebackReversed)
    assert taken.chargeback_id == given.chargeback_id


def test_a_refund_counts_when_it_is_paid() -> None:
    (refund,) = delivered(gc_event("refunds", "created", "EV0"), gc_event("refunds", "paid"))
    assert isinstance(refund, PaymentRefunded)
    assert (refund.refund_id, refund.payment_id, refund.amount) == ("RF1", "PM1", Money(500, "GBP"))
    (back,) = delivered(gc_event("refunds", "bounced", "EV2"))
    assert isinstance(back, RefundFailed)
    assert (back.refund_id, back.payment_id, back.amount) == (refund.refund_id, refund.payment_id, refund.amount)


@pytest.mark.parametrize(
    ("action", "status"),
    [("created", ContractStatus.ACTIVE), ("paused", ContractStatus.PAUSED), ("finished", ContractStatus.ENDED)],
)
def test_a_subscription_is_a_contract(action: str, status: ContractStatus) -> None:
    (contract,) = delivered(gc_event("subscriptions", action))
    assert isinstance(contract, ContractRecorded)
    assert (contract.status, contract.amount) == (status, Money(2_500, "GBP"))
    assert (contract.renews_at is not None) == (status is ContractStatus.ACTIVE)


def test_the_resource_may_stand_in_the_event_itself() -> None:
    resource = LINKED["payments"][0] | {"links": {"customer": "CU7"}}
    (one,) = delivered(gc_event("payments", "confirmed", resource=resource), linked={})
    assert one.client_id == "CU7"


def test_a_client_named_in_the_metadata_comes_first() -> None:
    (one,) = delivered(gc_event("payments", "confirmed", resource_metadata={"client_id": "client-9"}))
    assert one.client_id == "client-9"


def test_a_payment_that_names_nobody_is_kept_and_its_neighbours_go_on() -> None:
    lonely = gc_event("payments", "confirmed", "EV2", links={"payment": "PM-unknown"})
    with pytest.raises(PartlyUnreadableError, match=r"events\[1\]: .*metadata\.client_id") as raised:
        delivered(gc_event("payments", "confirmed"), lonely, gc_event("mandates", "created", "EV3"))
    assert raised.value.reason == Reason.NO_CLIENT
    assert [one.event_id for one in raised.value.events] == ["EV1"]


def test_a_payment_whose_amount_nobody_names_is_kept() -> None:
    with pytest.raises(DeadLetterError, match=r"linked\.payments") as raised:
        delivered(gc_event("payments", "confirmed", metadata={"client_id": "CU1"}), linked={})
    assert raised.value.reason == Reason.NO_AMOUNT


@pytest.mark.parametrize("resource", ["mandates", "instalment_schedules", "payouts", "billing_requests", "creditors"])
def test_other_resources_are_passed_over(resource: str) -> None:
    assert delivered(gc_event(resource, "cancelled")) == []


@pytest.mark.parametrize(("resource", "action"), [("payments", "teleported"), ("holograms", "created")])
def test_what_gocardless_never_sent_before_is_kept(resource: str, action: str) -> None:
    with pytest.raises(DeadLetterError) as raised:
        delivered(gc_event(resource, action))
    assert raised.value.reason == Reason.UNKNOWN_TYPE


def test_links_in_a_circle_end() -> None:
    linked = {"mandates": [{"id": "MD1", "links": {"mandate": "MD2"}}, {"id": "MD2", "links": {"mandate": "MD1"}}]}
    with pytest.raises(DeadLetterError) as raised:
        delivered(gc_event("payments", "confirmed", links={"mandate": "MD1", "payment": "PM1"}), linked=linked)
    assert raised.value.reason == Reason.NO_CLIENT


def test_recorded_deliveries_translate_are_passed_over_or_say_what_is_missing(shared_data: Path) -> None:
    recorded = json.loads((shared_data / "webhooks" / "gocardless" / "events.json").read_text())["list"]["body"]
    assert read_body("gocardless", json.dumps(recorded).encode(), received_at=RECEIVED).told() == []  # mandates only
    actions = {
        "payments": ("submitted", "confirmed", "paid_out", "failed", "charged_back", "cancelled"),
        "refunds": ("paid",),
        "subscriptions": ("created", "cancelled", "paused"),
    }
    for resource, named in actions.items():
        for action in named:
            event = recorded["events"][0] | {"resource_type": resource, "action": action}
            body = json.dumps(recorded | {"events": [event]}).encode()
            (one,) = read_body("gocardless", body, received_at=RECEIVED).told()
            assert one.client_id == "CU123"
    bare = (shared_data / "webhooks" / "gocardless" / "webhook_body.json").read_bytes()
    with pytest.raises(DeadLetterError) as raised:
        read_body("gocardless", bare, received_at=RECEIVED).told()
    assert raised.value.reason == Reason.NO_CLIENT


def standard(kind: str = "invoice.issued", **data: object) -> bytes:
    fields = {
        "client_id": "c-1",
        "invoice_id": "i-1",
        "amount": {"minor": 100, "currency": "EUR"},
        "due_at": "2026-02-01T00:00:00+01:00",
    }
    return json.dumps({"type": kind, "timestamp": "2026-01-01T10:00:00Z", "data": fields | data}).encode()


def test_a_standard_webhook_carries_our_own_contract() -> None:
    (one,) = read_body("generic", standard(), received_at=RECEIVED).told()
    assert isinstance(one, InvoiceIssued)
    assert (one.client_id, one.amount, one.source) == ("c-1", Money(100, "EUR"), "generic")
    assert (one.occurred_at, one.received_at) == (datetime(2026, 1, 1, 10, tzinfo=UTC), RECEIVED)


def test_without_an_event_id_the_content_is_the_id() -> None:
    (one,) = read_body("generic", standard(), received_at=RECEIVED).told()
    (again,) = read_body("generic", standard(), received_at=RECEIVED.replace(year=2027)).told()
    (other,) = read_body("generic", standard(invoice_id="i-2"), received_at=RECEIVED).told()
    (named,) = read_body("generic", standard(event_id="mine"), received_at=RECEIVED).told()
    assert one.event_id == again.event_id != other.event_id
    assert named.event_id == "mine"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (standard("clock.ticked"), Reason.NOT_FROM_OUTSIDE),
        (standard("invoice.danced"), Reason.UNKNOWN_KIND),
        (standard(client_id=None), Reason.NO_CLIENT),
        (standard(kind_of_invoice="x"), Reason.BAD_SCHEMA),
        (standard(kind="payment.received"), Reason.BAD_SCHEMA),
        (standard(schema_version=9), Reason.BAD_VERSION),
        (standard(amount={"minor": 1.5, "currency": "EUR"}), Reason.BAD_SCHEMA),
        (standard(due_at="2026-02-01"), Reason.BAD_SCHEMA),
    ],
)
def test_a_standard_webhook_that_cannot_be_read_says_why(body: bytes, reason: Reason) -> None:
    with pytest.raises(DeadLetterError) as raised:
        read_body("generic", body, received_at=RECEIVED).told()
    assert raised.value.reason == reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (standard(amount=None), "amount: is missing"),
        (standard(duo_at="2026-02-01"), "duo_at: no field is called so, did you mean due_at?"),
        (standard(colour="red"), "colour: no field is called so;"),
        (standard(due_at="2026-02-01T00:00:00"), "due_at: a moment needs its zone, as in 2026-03-02T09:30:00Z"),
        (standard(amount={"minor": 0, "currency": "EUR"}), "amount: amount must be above zero"),
    ],
)
def test_what_is_wrong_in_a_standard_webhook_is_said_in_words_with_where_to_look(body: bytes, said: str) -> None:
    with pytest.raises(DeadLetterError) as raised:
        read_body("generic", body, received_at=RECEIVED).told()
    assert said in raised.value.detail
    assert raised.value.detail.endswith("; what it must be: rapport contracts show invoice.issued")


@pytest.mark.parametrize("source", TRANSLATORS)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b" \n", Reason.EMPTY),
        (b"{", Reason.BAD_JSON),
        (b"\xff\xfe", Reason.BAD_JSON),
        (b'{"a": NaN}', Reason.BAD_JSON),
        (b'{"a": "\\ud800"}', Reason.BAD_JSON),
        (b"[]", Reason.BAD_SCHEMA),
        (b"null", Reason.BAD_SCHEMA),
        (b"{}", Reason.BAD_SCHEMA),
        (b"[" * 100_000 + b"]" * 100_000, Reason.TOO_DEEP),
    ],
)
def test_what_is_no_webhook_at_all_says_why(source: str, body: bytes | None, reason: Reason) -> None:
    with pytest.raises(DeadLetterError) as raised:
        read_body(source, body, received_at=RECEIVED).told()
    assert raised.value.reason == reason


def test_a_source_without_a_translator_is_named() -> None:
    with pytest.raises(DeadLetterError, match="there are: stripe, gocardless, generic") as raised:
        read_body("paypal", b"{}", received_at=RECEIVED).told()
    assert raised.value.reason == Reason.UNKNOWN_SOURCE

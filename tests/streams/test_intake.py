import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.payments import PaymentReceived
from models.events.union import PUBLIC_TOPIC_KINDS
from models.events.upcasts import UnknownVersionError, upcast
from streams.agents.intake import LARGEST_EVENT_BYTES, interpret_direct, interpret_webhook, read_direct
from streams.runtime.errors import DeadLetterError
from streams.wire.codec import decode_event
from streams.wire.dead_letters import Reason
from streams.wire.deliveries import Delivery
from streams.wire.records import PlainRecord
from tests.streams.stripe_samples import charge, event

ARRIVED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(value: bytes | None, *headers: tuple[str, bytes], key: bytes | None = b"key", topic: str = "payments") -> PlainRecord:
    return PlainRecord(
        topic=topic, partition=1, offset=7, timestamp=int(ARRIVED.timestamp() * 1000), key=key, value=value, headers=headers
    )


def payment(**fields: object) -> dict[str, Any]:
    return {
        "kind": "payment.received",
        "event_id": "e-1",
        "source": "erp",
        "occurred_at": "2026-01-01T00:00:00Z",
        "client_id": "c-1",
        "payment_id": "p-1",
        "amount": {"minor": 100, "currency": "EUR"},
    } | fields


def direct(topic: str = "payments", **fields: object) -> list[Any]:
    return list(read_direct(topic, record(json.dumps(payment(**fields)).encode())))


def test_a_raw_webhook_is_read_with_the_time_at_which_the_gateway_stamped_it() -> None:
    stamped = ARRIVED - timedelta(days=200)  # an accelerated year is far from the broker's clock
    delivery = Delivery(source="stripe", body=event("charge.succeeded", charge()), received_at=stamped, delivery_id="d")
    (one,) = interpret_webhook(record(delivery.body, *delivery.to_headers(), key=delivery.key, topic="webhooks")).told()
    assert isinstance(one, PaymentReceived)
    assert (one.client_id, one.received_at) == ("cus_1", stamped)


def test_a_raw_webhook_whose_stamp_is_lost_has_the_time_of_the_broker() -> None:
    for stamp in (b"yesterday", b"2026-01-01T00:00:00", b"\xff"):
        (one,) = interpret_webhook(
            record(event("charge.succeeded", charge()), ("source", b"stripe"), ("received_at", stamp))
        ).told()
        assert one.received_at == ARRIVED


@given(skew=st.integers(-(10**9), 10**9))
def test_a_gateway_s_stamp_is_believed_but_not_from_the_future(skew: int) -> None:
    stamp = (ARRIVED + timedelta(seconds=skew)).isoformat().encode()
    (one,) = interpret_webhook(record(event("charge.succeeded", charge()), ("source", b"stripe"), ("received_at", stamp))).told()
    assert one.received_at == min(ARRIVED + timedelta(seconds=skew), ARRIVED + timedelta(minutes=5))


def test_a_record_that_the_gateway_did_not_write_is_refused() -> None:
    with pytest.raises(DeadLetterError) as raised:
        interpret_webhook(record(event("charge.succeeded", charge()))).told()
    assert raised.value.reason == Reason.BAD_HEADERS


def test_a_direct_event_is_stamped_with_the_time_of_the_broker() -> None:
    (one,) = direct()
    assert one.received_at == ARRIVED


@given(skew=st.integers(-(10**9), 10**9))
def test_a_sender_may_bring_its_own_time_of_receipt_but_not_from_the_future(skew: int) -> None:
    brought = ARRIVED + timedelta(seconds=skew)
    (one,) = direct(received_at=brought.isoformat())
    assert one.received_at == min(brought, ARRIVED + timedelta(minutes=5))


def test_the_key_of_the_record_says_nothing_about_the_client() -> None:
    (one,) = read_direct("payments", record(json.dumps(payment()).encode(), key=b"somebody else"))
    assert one.client_id == "c-1"


@pytest.mark.parametrize(
    ("topic", "fields", "reason"),
    [
        ("invoices", {}, Reason.WRONG_TOPIC),
        ("payments", {"kind": "clock.ticked"}, Reason.NOT_FROM_OUTSIDE),
        ("payments", {"kind": "payment.dreamt"}, Reason.UNKNOWN_KIND),
        ("payments", {"kind": 7}, Reason.UNKNOWN_KIND),
        ("payments", {"schema_version": 2}, Reason.BAD_VERSION),
        ("payments", {"schema_version": 0}, Reason.BAD_VERSION),
        ("payments", {"schema_version": True}, Reason.BAD_VERSION),
        ("payments", {"schema_version": "1"}, Reason.BAD_VERSION),
        ("payments", {"amount": {"minor": -1, "currency": "EUR"}}, Reason.BAD_SCHEMA),
        ("payments", {"amount": {"minor": 1, "currency": "euro"}}, Reason.BAD_SCHEMA),
        ("payments", {"occurred_at": "2026-01-01T00:00:00"}, Reason.BAD_SCHEMA),
        ("payments", {"payment_ids": "p"}, Reason.BAD_SCHEMA),
        ("payments", {"client_id": ""}, Reason.BAD_SCHEMA),
        ("payments", {"decline_code": "x" * LARGEST_EVENT_BYTES}, Reason.TOO_LARGE),
    ],
)
def test_a_direct_event_that_cannot_be_read_says_why(topic: str, fields: dict[str, object], reason: Reason) -> None:
    with pytest.raises(DeadLetterError) as raised:
        direct(topic, **fields)
    assert raised.value.reason == reason


def test_a_direct_event_without_a_client_is_known_as_such() -> None:
    fields = payment()
    del fields["client_id"]
    with pytest.raises(DeadLetterError) as raised:
        read_direct("payments", record(json.dumps(fields).encode()))
    assert raised.value.reason == Reason.NO_CLIENT


def test_what_is_said_of_a_refused_event_holds_none_of_its_values() -> None:
    with pytest.raises(DeadLetterError) as raised:
        direct(amount={"minor": "canary-1", "currency": "canary-2"}, occurred_at="canary-3", surprise="canary-4")
    assert "canary" not in str(raised.value)
    assert "amount" in raised.value.detail


@given(topic=st.sampled_from(sorted(PUBLIC_TOPIC_KINDS)), raw=st.binary(max_size=100))
def test_bytes_of_any_kind_raise_a_dead_letter_only(topic: str, raw: bytes) -> None:
    with pytest.raises(DeadLetterError) as raised:
        read_direct(topic, record(raw))
    assert raised.value.reason in set(Reason)


def test_an_event_of_the_version_before_is_lifted_and_an_older_one_is_not() -> None:
    lifts = {("x", 1): lambda fields: {**fields, "colour": "red"}, ("x", 0): lambda fields: fields}
    assert upcast({"schema_version": 1}, kind="x", current=2, upcasts=lifts) == {"schema_version": 2, "colour": "red"}
    assert upcast({"schema_version": 2}, kind="x", current=2, upcasts=lifts) == {"schema_version": 2}
    assert upcast({}, kind="x", current=2, upcasts=lifts) == {}
    for version in (0, 3):
        with pytest.raises(UnknownVersionError, match=f"version {version} cannot be read"):
            upcast({"schema_version": version}, kind="x", current=2, upcasts=lifts)


@pytest.mark.parametrize("code", ["ZZZ", "XTS", "XXX", "XAU", "BTC"])
def test_money_in_what_is_no_currency_is_a_dead_letter_that_says_so(code: str) -> None:
    reading = interpret_webhook(
        record(
            event("charge.succeeded", charge(currency=code.lower())),
            ("source", b"stripe"),
            ("received_at", b"2026-01-02T00:00:00+00:00"),
        )
    )
    assert not reading.events
    assert reading.refusal is not None
    assert (reading.refusal.reason, reading.refusal.detail.split(";")[0]) == (
        Reason.BAD_SCHEMA,
        f"amount.currency: {code} is no currency of ISO 4217 in which anything can be owed",
    )


def test_what_was_taken_before_is_read_from_the_log_as_it_was() -> None:
    told = json.dumps(payment(amount={"minor": 100, "currency": "ZZZ"})).encode()
    assert isinstance(decode_event(told), PaymentReceived)
    reading = interpret_direct("payments", record(told), {})
    assert (list(reading.events), reading.refusal is not None) == ([], True)

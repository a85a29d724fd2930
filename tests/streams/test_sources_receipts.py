"""Receipts and texts of clients: whose they are, what they mean, and what must not be taken for a wish."""

from datetime import UTC, datetime

import orjson
import pytest

from models.addresses import email_digest, phone_digest
from models.events.signals import (
    AddressRefused,
    ClientAsked,
    ClientProfiled,
    ConsentChanged,
    DeliveryOutcome,
    DeliveryReported,
    Purpose,
    Request,
)
from models.events.union import AnyClientEvent
from streams.agents.intake import interpret_direct
from streams.runtime.clock import ManualClock
from streams.runtime.errors import DeadLetterError
from streams.sources.addresses import learn_from, with_addresses
from streams.sources.lookup import Reading
from streams.sources.registry import read_body
from streams.state.memory_directory import MemoryDirectory
from streams.wire.dead_letters import Reason
from streams.wire.facts import NOBODY, Known, merged
from streams.wire.records import PlainRecord
from tests.streams.receipt_samples import receipt

RECEIVED = datetime(2026, 3, 2, 9, 1, tzinfo=UTC)
COMMON = {"source": "test", "client_id": "ada", "occurred_at": RECEIVED}
SENT = DeliveryReported.model_validate(
    {**COMMON, "event_id": "e1", "trigger_id": "t1", "channel": "email", "outcome": DeliveryOutcome.SENT}
)
PHONE = ClientProfiled.model_validate({**COMMON, "event_id": "e2", "phone": "030 901820-00"})
KNOWN = learn_from([SENT, PHONE])


def read(body: dict[str, object], known: Known = NOBODY) -> Reading:
    """Return what intake makes of a receipt."""
    return with_addresses(read_body("receipts", orjson.dumps(body), received_at=RECEIVED, known=known), known)


def said(body: dict[str, object]) -> list[AnyClientEvent]:
    return read_body("receipts", orjson.dumps(body), received_at=RECEIVED, known=KNOWN).told()


@pytest.mark.parametrize(
    ("kind", "data", "outcome"),
    [
        ("message.delivered", {}, DeliveryOutcome.DELIVERED),
        ("message.bounced", {"permanent": True}, DeliveryOutcome.BOUNCED_HARD),
        ("message.bounced", {"permanent": False}, DeliveryOutcome.BOUNCED_SOFT),
        ("message.bounced", {}, DeliveryOutcome.BOUNCED_SOFT),
        ("message.bounced", {"permanent": "true"}, DeliveryOutcome.BOUNCED_SOFT),
        ("message.complained", {}, DeliveryOutcome.COMPLAINED),
    ],
)
def test_a_receipt_is_an_outcome_of_our_own_message(kind: str, data: dict[str, object], outcome: DeliveryOutcome) -> None:
    (event,) = said(receipt(kind, reference="t1", channel="email", reason="550 5.1.1", **data))
    assert isinstance(event, DeliveryReported)
    assert (event.client_id, event.trigger_id, event.outcome, event.reason) == ("ada", "t1", outcome, "550 5.1.1")


def test_a_message_id_names_the_trigger_it_begins_with() -> None:
    (event,) = said(receipt("message.delivered", reference="<t1@firm.example>"))
    assert isinstance(event, DeliveryReported)
    assert event.trigger_id == "t1"


@pytest.mark.parametrize("text", ["STOP", " stop. ", "Stopp", "ARRÊT", "baja!"])
def test_a_word_alone_ends_text_messages_for_every_purpose_and_no_other_channel(text: str) -> None:
    events = said(receipt("message.received", **{"from": "+49 30 90182000"}, text=text))
    assert all(isinstance(event, ConsentChanged) and event.channel == "sms" and not event.granted for event in events)
    assert {event.purpose for event in events if isinstance(event, ConsentChanged)} == set(Purpose)


def shared_by(*clients: ClientProfiled) -> Known:
    """Return what is known once these clients have named their numbers, one after the other, and ada's mail t1 was sent."""
    told = [*learn_from([SENT]).items(), *(pair for client in clients for pair in learn_from([client]).items())]
    return merged(told)


def profile(client_id: str, **fields: object) -> ClientProfiled:
    return ClientProfiled.model_validate({**COMMON, "event_id": f"p-{client_id}", "client_id": client_id, **fields})


OF_BO = {"colleagues": [{"role": "accounts_payable", "phone": "+49 30 90182000"}]}
SHARED = shared_by(profile("cy", phone="+493090182000"), profile("bo", **OF_BO), profile("ada", phone="030 90182000"))


@pytest.mark.parametrize(
    "stop",
    [
        receipt("message.received", **{"from": "+493090182000"}, text="STOP"),
        receipt("message.replied", reference="t1", channel="sms", **{"from": "+493090182000"}, text="stop"),
    ],
)
def test_a_stop_ends_the_texts_of_every_client_for_whom_that_person_stands(stop: dict[str, object]) -> None:
    body = orjson.dumps(stop)
    wanted = read_body("receipts", body, received_at=RECEIVED).wanted
    assert wanted == {place for place in SHARED if stop["type"] == "message.replied" or "phone" in place}
    events = [
        row for row in read_body("receipts", body, received_at=RECEIVED, known=SHARED).told() if row.kind != "delivery.reported"
    ]
    assert all(isinstance(event, ConsentChanged) and event.channel == "sms" and not event.granted for event in events)
    assert sorted((event.client_id, event.purpose) for event in events if isinstance(event, ConsentChanged)) == sorted(
        (name, purpose) for name in ("ada", "bo", "cy") for purpose in Purpose
    )
    assert len({event.event_id for event in events}) == len(events)


def stopped(known: Known, stop: dict[str, object]) -> dict[str, str | None]:
    """Return by client from which address a STOP counts."""
    events = read_body("receipts", orjson.dumps(stop), received_at=RECEIVED, known=known).told()
    return {row.client_id: row.address for row in events if isinstance(row, ConsentChanged)}


def test_a_stop_counts_for_who_still_has_the_number_and_as_an_answer_for_the_client_it_answers() -> None:
    number = phone_digest("030 90182000")
    alone = receipt("message.received", **{"from": "+493090182000"}, text="STOP")
    assert stopped(SHARED, alone) == dict.fromkeys(("ada", "bo", "cy"), number)
    answer = receipt("message.replied", reference="t1", channel="sms", **{"from": "+493090182000"}, text="STOP")
    assert stopped(SHARED, answer) == {"ada": None, "bo": number, "cy": number}


MAIL = email_digest("ap@holding.example")
MAILED = SENT.model_copy(update={"address": MAIL, "purpose": Purpose.RELATIONSHIP})
OF_HOLDING = {"colleagues": [{"role": "accounts_payable", "email": "AP@Holding.example"}]}
MAILING = merged(
    pair
    for event in (MAILED, profile("cy", email="ap@holding.example"), profile("bo", **OF_HOLDING), profile("ada", **OF_HOLDING))
    for pair in learn_from([event]).items()
)


@pytest.mark.parametrize(
    ("kind", "data", "because"),
    [
        ("message.complained", {}, DeliveryOutcome.COMPLAINED),
        ("message.bounced", {"permanent": True}, DeliveryOutcome.BOUNCED_HARD),
    ],
)
def test_what_a_message_met_at_an_address_is_told_to_every_client_who_has_it(
    kind: str, data: dict[str, object], because: DeliveryOutcome
) -> None:
    reported, *others = read(receipt(kind, reference="t1", channel="email", **data), known=MAILING).told()
    assert isinstance(reported, DeliveryReported)
    assert (reported.client_id, reported.address) == ("ada", MAIL)
    told = [(row.client_id, row.address, row.because, row.purpose) for row in others if isinstance(row, AddressRefused)]
    assert told == [(name, MAIL, because, Purpose.RELATIONSHIP) for name in ("bo", "cy")]
    assert len({row.event_id for row in others}) == 2


@pytest.mark.parametrize(("kind", "data"), [("message.bounced", {"permanent": False}), ("message.delivered", {})])
def test_what_says_nothing_against_an_address_is_told_to_nobody_else(kind: str, data: dict[str, object]) -> None:
    assert len(read(receipt(kind, reference="t1", channel="email", **data), known=MAILING).told()) == 1


def test_the_address_of_a_message_is_found_with_it_in_one_look() -> None:
    directory = MemoryDirectory(ManualClock(RECEIVED))
    directory.answer(MAILING, ())
    body = receipt("message.complained", reference="t1")
    known = directory.answer({}, read(body).wanted)
    assert len(read(body, known=known).told()) == 3


def test_an_address_that_the_server_refused_at_once_is_told_to_every_client_who_has_it_too() -> None:
    bounced = MAILED.model_copy(update={"outcome": DeliveryOutcome.BOUNCED_HARD, "source": "channel.email"})
    value = bounced.model_dump_json(exclude_none=True).encode()
    record = PlainRecord(topic="t", partition=0, offset=0, timestamp=1_772_442_060_000, key=None, value=value)
    first = interpret_direct("signals", record, {})
    assert [row.client_id for row in first.events] == ["ada"]
    assert first.wanted == {f"receipts:{MAIL}"}
    again = interpret_direct("signals", record, MAILING)
    assert [(row.client_id, row.kind) for row in again.events] == [
        ("ada", "delivery.reported"),
        ("bo", "address.refused"),
        ("cy", "address.refused"),
    ]
    assert interpret_direct("signals", record, MAILING).events == again.events


@pytest.mark.parametrize("text", ["START", "call me"])
def test_a_wish_or_words_of_a_person_who_stands_for_several_are_for_the_client_named_last(text: str) -> None:
    body = orjson.dumps(receipt("message.received", **{"from": "+493090182000"}, text=text))
    events = read_body("receipts", body, received_at=RECEIVED, known=SHARED).told()
    assert {event.client_id for event in events} == {"ada"}


def test_start_lets_texts_come_again_but_grants_no_offers() -> None:
    events = said(receipt("message.received", **{"from": "+493090182000"}, text="START"))
    granted = {event.purpose for event in events if isinstance(event, ConsentChanged) and event.granted}
    assert granted == {Purpose.SERVICING, Purpose.RELATIONSHIP}


@pytest.mark.parametrize("text", ["please stop by on Monday", "I will pay, stop worrying", "END of month is fine"])
def test_a_sentence_with_such_a_word_is_a_message_for_a_person(text: str) -> None:
    (event,) = said(receipt("message.received", **{"from": "+493090182000"}, text=text))
    assert isinstance(event, ClientAsked)
    assert (event.request, event.words, event.client_id) == (Request.MESSAGE, text, "ada")


def test_a_reply_is_an_outcome_and_its_words_are_for_a_person() -> None:
    reply, asked = said(receipt("message.replied", reference="t1", text="we pay on Friday"))
    assert isinstance(reply, DeliveryReported)
    assert reply.outcome is DeliveryOutcome.REPLIED
    assert isinstance(asked, ClientAsked)


def test_an_automatic_answer_is_neither_a_reply_nor_an_opt_out() -> None:
    assert said(receipt("message.replied", reference="t1", text="STOP", auto=True)) == []


def test_a_kind_that_says_nothing_about_a_client_is_no_event() -> None:
    assert said(receipt("message.opened", reference="t1")) == []


def test_the_same_receipt_twice_is_one_event() -> None:
    first, again = (said(receipt("message.replied", reference="t1", text="hello")) for _ in range(2))
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert len({event.event_id for event in first}) == 2


@pytest.mark.parametrize(
    "body",
    [
        receipt("message.delivered", reference="t2"),
        receipt("message.received", **{"from": "+44 20 7946 0000"}, text="STOP"),
        receipt("message.received", **{"from": "12"}, text="STOP"),
    ],
)
def test_a_reference_or_number_of_nobody_is_kept_as_a_dead_letter(body: dict[str, object]) -> None:
    with pytest.raises(DeadLetterError) as refusal:
        said(body)
    assert refusal.value.reason is Reason.NO_CLIENT


def test_a_number_is_remembered_as_a_digest_only() -> None:
    assert "90182000" not in repr(KNOWN)
    assert phone_digest("+49 (30) 901 820 00") == phone_digest("030/90182000")
    assert phone_digest("110") == ""

"""What was said against an address reaches who comes to it later, whichever way, and nobody is told of their own complaint."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from models.addresses import email_digest
from models.events.signals import AddressRefused, ClientProfiled, ConsentChanged, DeliveryOutcome, DeliveryReported, Purpose
from models.events.union import AnyClientEvent
from models.policy.gate import refusal
from streams.agents.intake import interpret_direct, interpret_webhook
from streams.agents.merge import IntakeStage
from streams.agents.readers import INTAKE_READERS
from streams.engine.fence import Slot
from streams.engine.memory_pipeline import read_in_memory
from streams.engine.memory_producer import MemoryProducer
from streams.runtime.clock import ManualClock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.sources.lookup import Reading
from streams.sources.payload import parse_object
from streams.sources.recalled import recalled
from streams.state.memory_directory import MemoryDirectory
from streams.wire.events import read_client_event
from streams.wire.facts import Known, merged
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, WEBHOOKS
from tests.models.views import final
from tests.streams.engine_examples import FIRST_GRASP
from tests.streams.receipt_samples import receipt
from tests.streams.stripe_samples import customer, event

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = "ap@holding.example"
DIGEST = email_digest(MAIL)
COMPLAINED, BOUNCED = DeliveryOutcome.COMPLAINED, DeliveryOutcome.BOUNCED_HARD
COMPLAINT = receipt("message.complained", reference="t1", channel="email")


class Intake:
    """Reads records of public topics one after the other, as the worker would."""

    def __init__(self, directory: MemoryDirectory | None = None) -> None:
        self.directory = directory or MemoryDirectory(ManualClock(AT))

    def tells(self, *events: AnyClientEvent) -> list[AnyClientEvent]:
        """Return what becomes of events on `signals`."""
        found = [self._read(direct(event), "signals") for event in events]
        return [told for reading in found for told in reading.told()]

    def hears(self, body: dict[str, Any] | bytes, source: str = "receipts") -> list[AnyClientEvent]:
        """Return what becomes of a webhook."""
        return self._read(webhook(body, source), "webhooks").told()

    def _read(self, record: PlainRecord, topic: str) -> Reading:
        return read_in_memory(record, reader=INTAKE_READERS[topic], directory=self.directory)


def direct(event: AnyClientEvent) -> PlainRecord:
    value = event.model_dump_json(exclude_none=True).encode()
    return PlainRecord(topic="signals", partition=0, offset=0, timestamp=0, key=None, value=value)


def webhook(body: dict[str, Any] | bytes, source: str) -> PlainRecord:
    value = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = (("source", source.encode()), ("received_at", AT.isoformat().encode()))
    return PlainRecord(topic="webhooks", partition=0, offset=0, timestamp=0, key=b"k", value=value, headers=headers)


def profiled(client_id: str, *, day: float = 1, **fields: object) -> ClientProfiled:
    common = {"event_id": f"p-{client_id}-{day}", "source": "erp", "occurred_at": AT + timedelta(days=day)}
    return ClientProfiled.model_validate({**common, "received_at": AT + timedelta(days=day), "client_id": client_id, **fields})


def reported(outcome: DeliveryOutcome = DeliveryOutcome.SENT, client_id: str = "ada", **fields: object) -> DeliveryReported:
    common = {"event_id": f"o-{outcome}", "source": "channel.email", "occurred_at": AT, "client_id": client_id}
    about = {"trigger_id": "t1", "channel": "email", "outcome": outcome, "address": DIGEST, "purpose": Purpose.SERVICING}
    return DeliveryReported.model_validate({**common, **about, **fields})


def refused(events: Sequence[AnyClientEvent]) -> list[tuple[str, DeliveryOutcome, Purpose | None]]:
    return [(row.client_id, row.because, row.purpose) for row in events if isinstance(row, AddressRefused)]


@pytest.fixture
def intake() -> Intake:
    """Return an intake that knows that ada's mail t1 went to the shared address."""
    one = Intake()
    one.tells(profiled("ada", email=MAIL), reported())
    return one


def test_who_comes_to_an_address_after_a_complaint_is_told_and_not_written_to(intake: Intake) -> None:
    intake.hears(COMPLAINT)
    told = intake.tells(profiled("bo", email="AP@Holding.example"))
    assert [row.kind for row in told] == ["client.profiled", "address.refused"]
    assert refused(told) == [("bo", COMPLAINED, Purpose.SERVICING)]
    state = final(told)
    assert refusal(state, Purpose.SERVICING, "email") == "email is suppressed (reader_complained)"
    assert refusal(state, Purpose.RELATIONSHIP, "email") is None


def test_so_is_who_names_it_as_that_of_a_person_there_and_who_is_known_by_a_webhook_alone(intake: Intake) -> None:
    intake.hears(COMPLAINT)
    there = intake.tells(profiled("bo", colleagues=[{"role": "accounts_payable", "email": MAIL}]))
    assert [(row.cause, row.role) for row in final(there).person.suppressions] == [("reader_complained", "accounts_payable")]
    stripe = intake.hears(event("customer.created", customer(email=MAIL)), "stripe")
    assert refused(stripe) == [("cus_1", COMPLAINED, Purpose.SERVICING)]


def test_an_address_that_the_server_refused_at_once_is_told_to_a_newcomer_for_every_channel_that_it_is_of(intake: Intake) -> None:
    intake.tells(reported(BOUNCED))
    assert refused(intake.tells(profiled("bo", email=MAIL))) == [("bo", BOUNCED, Purpose.SERVICING)]


def test_a_client_that_comes_back_to_an_address_that_does_not_exist_is_told_but_never_of_its_own_complaint(
    intake: Intake,
) -> None:
    intake.hears(COMPLAINT)
    assert refused(intake.tells(profiled("ada", day=2, email=MAIL))) == []
    intake.tells(reported(BOUNCED))
    log = intake.tells(
        profiled("ada", day=2, email=MAIL), profiled("ada", day=3, email="new@x.example"), profiled("ada", day=4, email=MAIL)
    )
    assert refused(log) == [("ada", BOUNCED, Purpose.SERVICING)] * 2
    assert [row.cause for row in final(log).person.suppressions] == ["hard"]


def test_a_profile_told_again_says_the_same_and_does_not_take_back_what_the_client_has_asked_for_since(intake: Intake) -> None:
    intake.hears(COMPLAINT)
    first = intake.tells(profiled("bo", email=MAIL))
    assert intake.tells(profiled("bo", email=MAIL)) == first
    asked = ConsentChanged.model_validate(
        {
            "event_id": "yes",
            "source": "preferences",
            "occurred_at": AT + timedelta(days=2),
            "client_id": "bo",
            "purpose": Purpose.SERVICING,
            "channel": "email",
            "granted": True,
        }
    )
    nightly = intake.tells(profiled("bo", day=3, email=MAIL))
    assert refused(nightly)
    assert nightly[1].event_id != first[1].event_id
    assert refusal(final([*first, asked, *nightly]), Purpose.SERVICING, "email") is None


def test_other_addresses_and_outcomes_that_refuse_none_tell_a_newcomer_nothing(intake: Intake) -> None:
    intake.hears(receipt("message.bounced", reference="t1", channel="email", permanent=False))
    intake.tells(reported(DeliveryOutcome.WRONG_CONTACT), reported(COMPLAINED, channel="a:b c"))
    assert refused(intake.tells(profiled("bo", email=MAIL))) == []
    intake.hears(COMPLAINT)
    assert refused(intake.tells(profiled("cy", email="ap@other.example"), profiled("di", country="DE"))) == []


def test_an_erased_client_is_not_brought_back_and_nothing_kept_names_whose_complaint_it_was(intake: Intake) -> None:
    intake.hears(COMPLAINT)
    erased = read_client_event(
        {
            "kind": "client.erased",
            "event_id": "e",
            "source": "s",
            "occurred_at": AT.isoformat(),
            "client_id": "bo",
            "requested_by": "bo",
        }
    )
    after = final([*intake.tells(profiled("bo", email=MAIL)), erased, *intake.tells(profiled("bo", day=2, email=MAIL))])
    assert after.person.email.value == ""
    assert after.person.suppressions == ()
    entry = intake.directory.answer({}, [f"receipts:{DIGEST}"])[f"receipts:{DIGEST}"]
    kept = {name: value for name, value in entry.items() if name.startswith("refused:")}
    assert list(kept) == ["refused:complained:email:servicing"]
    assert "ada" not in repr(kept)
    assert "holding" not in repr(entry)


def test_after_redis_was_lost_the_log_tells_again_what_was_refused_and_for_what(intake: Intake) -> None:
    log = [*intake.tells(profiled("ada", email=MAIL), reported()), *intake.hears(COMPLAINT)]
    again = Intake()
    again.directory.answer(merged(pair for event in log for pair in recalled(event)), ())
    assert refused(again.tells(profiled("bo", email=MAIL))) == [("bo", COMPLAINED, Purpose.SERVICING)]


class Meanwhile(MemoryDirectory):
    """Lets another partition of another worker in between the first and the second call."""

    def __init__(self) -> None:
        super().__init__(ManualClock(AT))
        self.other: tuple[Intake, ClientProfiled] | None = None
        self.told: list[AnyClientEvent] = []

    async def exchange(self, learned: Known, wanted: Collection[str]) -> Known:
        found = self.answer(learned, wanted)
        if self.other is not None:
            (intake, profile), self.other = self.other, None
            self.told = intake.tells(profile)
        return found


async def test_a_newcomer_who_is_entered_in_the_moment_of_the_complaint_is_told_by_one_of_both() -> None:
    directory, producer = Meanwhile(), MemoryProducer(partitions=1)
    other = Intake(directory)
    other.tells(profiled("ada", email=MAIL), reported())
    directory.other = (other, profiled("bo", email=MAIL))
    stage = IntakeStage(
        Slot(WEBHOOKS.name, 0),
        reader=interpret_webhook,
        directory=directory,
        producer=producer,
        settings=Settings.model_validate({"partitions": 1}),
        meter=Meter(),
    )
    await stage.prepare([webhook(COMPLAINT, "receipts")], FIRST_GRASP)
    written = [read_client_event(parse_object(record.value)) for record in producer.topics[CLIENT_EVENTS.name, 0]]
    assert refused([*directory.told, *written]) == [("bo", COMPLAINED, Purpose.SERVICING)]


def test_a_stop_from_the_number_of_a_client_that_stripe_alone_has_told_of_is_theirs() -> None:
    intake = Intake()
    intake.hears(event("customer.created", customer(phone="+49 30 90182000")), "stripe")
    stopped = intake.hears(receipt("message.received", **{"from": "+493090182000"}, text="STOP"))
    assert {row.client_id for row in stopped} == {"cus_1"}


def test_reading_alone_notes_what_it_lacks() -> None:
    reading = interpret_direct("signals", direct(profiled("bo", email=MAIL)), {})
    assert reading.wanted == set(reading.learned) == {f"receipts:{DIGEST}"}

"""The intake stage with everything in memory: what a batch remembers, asks and writes."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import pytest

from models.events.delays import DisputeOpened
from models.events.union import AnyClientEvent
from streams.agents.merge import IntakeStage
from streams.agents.readers import INTAKE_READERS
from streams.engine.fence import Slot
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.memory_producer import MemoryProducer
from streams.engine.producer import Outgoing
from streams.engine.writes import Writes
from streams.runtime.clock import ManualClock
from streams.runtime.errors import RetryError
from streams.runtime.metrics import DLQ_RECORDS, Meter
from streams.runtime.settings import Settings
from streams.sources.lookup import Reader, Reading
from streams.sources.payload import parse_object
from streams.state.memory_directory import MemoryDirectory
from streams.wire.codec import encode_event
from streams.wire.dead_letters import DETAIL, REASON, Reason
from streams.wire.events import read_client_event
from streams.wire.facts import Known
from streams.wire.records import PlainRecord, Record
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, PAYMENTS, WEBHOOKS
from tests.integration.engine_world import payment
from tests.streams.counting import CountingProgram
from tests.streams.engine_examples import FIRST_GRASP
from tests.streams.stripe_samples import charge, customer, dispute, event

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
CHARGED = event("charge.succeeded", charge())
DISPUTED = event("charge.dispute.created", dispute(charge="ch_1"), event_id="evt_2")
PROFILED = event("customer.updated", customer(), event_id="evt_3")


class CountedDirectory(MemoryDirectory):
    """Counts round trips; after `away` further ones it is back."""

    def __init__(self) -> None:
        super().__init__(ManualClock(NOW))
        self.calls = 0
        self.away = 0

    async def exchange(self, learned: Known, wanted: Collection[str]) -> Known:
        self.calls += 1
        if self.away:
            self.away -= 1
            message = "away"
            raise RetryError(message)
        return await super().exchange(learned, wanted)


class ForgetfulProducer(MemoryProducer):
    """Fails the first call after nothing was written."""

    failed = False

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        if not self.failed:
            self.failed = True
            message = "Kafka is away"
            raise RetryError(message)
        return await super().send_all(records)


def stage(
    directory: MemoryDirectory,
    producer: MemoryProducer,
    topic: str = WEBHOOKS.name,
    *,
    reader: Reader | None = None,
    meter: Meter | None = None,
) -> IntakeStage:
    settings = Settings.model_validate({"partitions": 1})
    reader, meter = reader or INTAKE_READERS[topic], meter or Meter()
    return IntakeStage(Slot(topic, 0), reader=reader, directory=directory, producer=producer, settings=settings, meter=meter)


def batch(*bodies: bytes) -> list[PlainRecord]:
    headers = (("source", b"stripe"), ("received_at", NOW.isoformat().encode()))
    return [
        PlainRecord(topic="webhooks", partition=0, offset=offset, timestamp=0, key=b"d", value=body, headers=headers)
        for offset, body in enumerate(bodies)
    ]


def written(producer: MemoryProducer) -> list[AnyClientEvent]:
    return [read_client_event(parse_object(record.value)) for record in producer.topics[CLIENT_EVENTS.name, 0]]


def disputes(producer: MemoryProducer) -> list[tuple[str, str | None]]:
    return [(one.client_id, one.invoice_id) for one in written(producer) if isinstance(one, DisputeOpened)]


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_a_charge_tells_whose_the_later_dispute_is_wherever_batches_are_cut(cut: int) -> None:
    directory, producer = CountedDirectory(), MemoryProducer(partitions=1)
    intake, records = stage(directory, producer), batch(CHARGED, PROFILED, DISPUTED)
    for part in (records[:cut], records[cut:]):
        if part:
            prepared = await intake.prepare(part, FIRST_GRASP)
            assert isinstance(prepared, Writes)
    assert disputes(producer) == [("cus_1", "in_1")]
    assert not producer.topics[DEAD_LETTERS.name, 0]
    assert directory.calls == (1 if cut == len(records) else 2)


async def test_a_batch_that_tells_and_lacks_nothing_does_not_go_to_the_directory() -> None:
    directory, producer = CountedDirectory(), MemoryProducer(partitions=1)
    nameless = event("customer.updated", customer(email=None, phone=None), event_id="evt_3")
    await stage(directory, producer).prepare(batch(nameless, b"{", nameless), FIRST_GRASP)
    direct = PlainRecord(topic="payments", partition=0, offset=0, timestamp=0, key=b"k", value=encode_event(payment(1)))
    await stage(directory, producer, PAYMENTS.name).prepare([direct], FIRST_GRASP)
    assert directory.calls == 0
    assert len(written(producer)) == 3


async def test_while_the_directory_is_away_nothing_is_written_and_the_batch_can_be_repeated() -> None:
    directory, producer = CountedDirectory(), MemoryProducer(partitions=1)
    directory.away = 1
    intake, records = stage(directory, producer), batch(CHARGED, DISPUTED)
    with pytest.raises(RetryError):
        await intake.prepare(records, FIRST_GRASP)
    assert not producer.topics[CLIENT_EVENTS.name, 0]
    await intake.prepare(records, FIRST_GRASP)
    assert disputes(producer) == [("cus_1", "in_1")]


async def test_a_record_on_which_a_reader_fails_is_a_dead_letter_and_its_neighbours_are_read() -> None:
    secret = "4000-0012"

    def failing(record: Record, known: Known) -> Reading:
        if record.value == CHARGED:
            raise KeyError(secret)
        return INTAKE_READERS[WEBHOOKS.name](record, known)

    producer = MemoryProducer(partitions=1)
    intake = stage(CountedDirectory(), producer, reader=failing)
    assert isinstance(await intake.prepare(batch(PROFILED, CHARGED, PROFILED), FIRST_GRASP), Writes)
    (letter,) = producer.topics[DEAD_LETTERS.name, 0]
    assert (letter.value, dict(letter.headers)[REASON]) == (CHARGED, Reason.FAILED.encode())
    assert secret.encode() not in dict(letter.headers)[DETAIL]
    assert len(written(producer)) == 2


async def test_dead_letters_are_counted_by_their_reason_once_their_batch_is_stored() -> None:
    meter, records = Meter(), batch(PROFILED, b"{", b"{")
    intake = stage(CountedDirectory(), ForgetfulProducer(partitions=1), meter=meter)
    with pytest.raises(RetryError):
        await intake.prepare(records, FIRST_GRASP)
    await intake.prepare(records, FIRST_GRASP)
    assert meter.read(DLQ_RECORDS, stage="intake", reason="bad_json") == 0
    for _ in range(2):
        intake.committed()
    assert meter.read(DLQ_RECORDS, stage="intake", reason="bad_json") == 2


async def test_what_a_batch_told_is_remembered_before_it_is_done() -> None:
    directory = CountedDirectory()
    with pytest.raises(RetryError):
        await stage(directory, ForgetfulProducer(partitions=1)).prepare(batch(CHARGED), FIRST_GRASP)
    other = MemoryProducer(partitions=1)
    await stage(directory, other).prepare(batch(DISPUTED), FIRST_GRASP)
    assert disputes(other) == [("cus_1", "in_1")]


async def test_an_unknown_payment_makes_the_dead_letter_it_always_made_and_driving_it_again_works_later() -> None:
    directory, producer = CountedDirectory(), MemoryProducer(partitions=1)
    intake = stage(directory, producer)
    await intake.prepare(batch(DISPUTED), FIRST_GRASP)
    (record,) = producer.topics[DEAD_LETTERS.name, 0]
    said = dict(record.headers)
    assert (said[REASON].decode(), record.value) == (Reason.NO_CLIENT, DISPUTED)
    assert b"Redrive it after the payment's own webhook has arrived" in said[DETAIL]
    await intake.prepare(batch(CHARGED), FIRST_GRASP)
    await intake.prepare(batch(record.value or b""), FIRST_GRASP)
    assert disputes(producer) == [("cus_1", "in_1")]
    assert len(producer.topics[DEAD_LETTERS.name, 0]) == 1


def test_the_pipeline_in_memory_remembers_as_the_worker_does() -> None:
    pipeline = MemoryPipeline(CountingProgram(), readers=INTAKE_READERS, start=NOW)
    headers = [("source", b"stripe"), ("received_at", NOW.isoformat().encode())]
    told = [step.client_id for body in (CHARGED, DISPUTED) for step in pipeline.receive("webhooks", body, headers=headers)]
    assert told == ["cus_1"] * 3
    assert "dead.letters" not in {entry.topic for entry in pipeline.entries}

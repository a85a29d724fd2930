"""A merge on the log: what is passed on goes where its reader lives, is replayed alike, and nobody outside can write it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import ClientErased
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.codec import encode
from models.triggers import ExamplesWithdrawn
from streams.agents.intake import read_direct
from streams.agents.readers import INTAKE_READERS
from streams.engine.fold import ClientsFold, EventBatch
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.oracle import fold_partition
from streams.engine.program import ClientProgram
from streams.runtime.errors import DeadLetterError
from streams.wire.catalogue import example_of
from streams.wire.codec import decode_event, encode_event
from streams.wire.dead_letters import Reason
from streams.wire.headers import read_origin
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, EXAMPLES
from tests.models.builders import Events, on
from tests.models.views import money_view
from tests.streams.test_program import history

PARTITIONS = 8
OTHER = "client-9"


def merged_history(place: int) -> list[AnyClientEvent]:
    """Return a year of invoices told of a client that is merged into another one at `place`."""
    told = history()
    at = told[place].received_at or told[place].occurred_at
    merge = Events().merged(0, OTHER, event_id="merge").model_copy(update={"occurred_at": at, "received_at": at})
    return [*told[:place], merge, *told[place:]]


def lived(events: list[AnyClientEvent]) -> MemoryPipeline[ClientState]:
    """Return a deployment in memory after the events and a while."""
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    for event in events:
        pipeline.tell(event)
    pipeline.advance_to(on(500))
    return pipeline


@given(st.integers(1, 24))
def test_the_log_alone_gives_the_same_states_and_outputs_across_a_merge(place: int) -> None:
    pipeline = lived(merged_history(place))
    replayed = fold_partition(ClientProgram(), pipeline.log, partitions=1)
    assert {client: encode(state) for client, state in pipeline.states.items()} == replayed.states
    assert [(entry.topic, entry.key, entry.value) for entry in pipeline.entries] == [
        (said.topic, said.key, said.value) for said in replayed.outputs
    ]
    alone = lived(history())
    assert money_view(pipeline.states[OTHER]) == money_view(alone.states["client-1"])


def test_what_is_passed_on_goes_to_the_partition_of_its_reader_and_says_where_it_came_from() -> None:
    home = partition_of("client-1", PARTITIONS)
    assert home != partition_of(OTHER, PARTITIONS)
    records = [
        PlainRecord(
            topic=CLIENT_EVENTS.name,
            partition=home,
            offset=offset,
            timestamp=0,
            key=event.client_id.encode(),
            value=encode_event(event),
            headers=(),
        )
        for offset, event in enumerate(merged_history(3))
    ]
    fold = ClientsFold(ClientProgram(), partitions=PARTITIONS)
    batch = fold.read(records, watermark_ms=0)
    assert isinstance(batch, EventBatch)
    folded = fold.fold_events(batch, {"client-1": None}, watermark_ms=0, regime=b"")
    passed = [entry for entry in folded.writes.outbox if entry.topic == CLIENT_EVENTS.name]
    assert {entry.partition for entry in passed} == {partition_of(OTHER, PARTITIONS)}
    assert {entry.key for entry in passed} == {OTHER.encode()}
    origins = [read_origin(entry.headers) for entry in passed]
    assert [origin.src_offset for origin in origins] == list(range(3, len(records)))
    assert [origin.kind for origin in origins] == ["client.absorbed", *(event.kind for event in history()[3:])]


def test_examples_of_both_names_are_withdrawn_when_the_old_one_is_erased() -> None:
    told = merged_history(10)
    erasure = ClientErased(event_id="erasure", source="t", client_id="client-1", occurred_at=on(499), requested_by="desk")
    entries = lived([*told, erasure.model_copy(update={"received_at": on(499)})]).entries
    values = [json.loads(entry.value) for entry in entries if entry.topic == EXAMPLES.name]
    kind = ExamplesWithdrawn.model_fields["kind"].default
    assert {row["client_id"] for row in values if row["kind"] != kind} == {"client-1", OTHER}
    assert {row["client_id"] for row in values if row["kind"] == kind} == {"client-1", OTHER}


@pytest.mark.parametrize("kind", ["client.merged", "client.delegated", "client.erased", "client.asked"])
def test_nobody_outside_says_that_an_event_was_passed_on(kind: str) -> None:
    example = {**example_of(kind), "passed_on": {"path": ["client-0042"], "number": 1, "first": 1}}
    value = json.dumps(example).encode()
    assert decode_event(value)
    record = PlainRecord(topic="signals", partition=0, offset=0, timestamp=0, key=b"k", value=value, headers=())
    with pytest.raises(DeadLetterError) as raised:
        read_direct("signals", record)
    assert raised.value.reason == Reason.NOT_FROM_OUTSIDE

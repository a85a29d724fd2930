"""More partitions: every client's events stay in order, and what they come to stays the same."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from hypothesis import given
from hypothesis import strategies as st

from models.events.control import ClockTicked
from streams.engine.fold import Program
from streams.engine.oracle import Told, fold_partition
from streams.engine.producer import KafkaProducer, Outgoing
from streams.engine.program import ClientProgram
from streams.engine.resettle import Places, as_believed, new_homes, resettle
from streams.engine.ticks import TICK_SLACK_MS
from streams.runtime.errors import UsageError
from streams.runtime.metrics import Meter
from streams.wire.admin import admin_client
from streams.wire.codec import decode_event
from streams.wire.headers import Position
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY
from tests.conftest import SettingsMaker
from tests.integration.engine_world import on_the_log, payment, read_topic
from tests.streams.counting import CountingProgram
from tests.streams.engine_examples import logs, on_log, tick_content

BEFORE = 1


def widened(log: list[PlainRecord], after: int) -> list[list[PlainRecord]]:
    """Return the logs of `after` partitions that one partition's log becomes."""
    found: list[list[PlainRecord]] = [[] for _ in range(after)]
    for record in log:
        for home in new_homes(record.key, partition=0, before=BEFORE, after=after):
            found[home].append(replace(record, partition=home, offset=len(found[home])))
    return found


def by_client(outputs: list[Told]) -> dict[bytes | None, list[tuple[str, bytes]]]:
    told: dict[bytes | None, list[tuple[str, bytes]]] = defaultdict(list)
    for output in outputs:
        told[output.key].append((output.topic, output.value))
    return told


@pytest.mark.parametrize("program", [CountingProgram(), ClientProgram()], ids=["counting", "clients"])
@given(log=logs, after=st.integers(1, 5))
def test_with_more_partitions_every_client_has_the_same_state_and_the_same_outputs_in_the_same_order(
    program: Program[Any], log: list[PlainRecord], after: int
) -> None:
    one = fold_partition(program, log, partitions=BEFORE)
    many = [fold_partition(program, part, partitions=after) for part in widened(log, after)]
    assert {client: blob for part in many for client, blob in part.states.items()} == one.states
    assert {client: due for part in many for client, due in part.timers.items()} == one.timers
    told = [output for part in many for output in part.outputs if output.topic != "dead.letters"]
    assert by_client(told) == by_client([output for output in one.outputs if output.topic != "dead.letters"])


@given(log=logs, after=st.integers(1, 5), where=st.lists(st.tuples(st.integers(-1, 70), st.integers(0, 3)), max_size=4))
def test_what_lay_before_a_mark_lies_before_its_place_in_every_new_partition_and_what_lay_behind_lies_behind(
    log: list[PlainRecord], after: int, where: list[tuple[int, int]]
) -> None:
    marks = [Position(*at) for at in where]
    places, ends = Places(marks, range(after)), dict.fromkeys(range(after), 0)
    copies: list[tuple[int, int, int]] = []
    for record in log:
        placed = {home: ends[home] for home in new_homes(record.key, partition=0, before=BEFORE, after=after)}
        copies += [(record.offset, home, offset) for home, offset in placed.items()]
        ends |= {home: offset + 1 for home, offset in placed.items()}
        places.copied(record.offset, placed)
    places.close()
    for mark in marks:
        for old, home, new in copies:
            for idx in range(5):
                assert (Position(old, idx) <= mark) == (Position(new, idx) <= places.found[mark][home])


def test_a_tick_ahead_of_its_arrival_is_copied_as_what_was_believed_of_it() -> None:
    early, fine = on_log([tick_content(2 * 3600), tick_content(10)])
    (believed,) = [decode_event(as_believed(early))]
    assert isinstance(believed, ClockTicked)
    assert believed.occurred_ms == early.timestamp + TICK_SLACK_MS
    assert as_believed(fine) == fine.value
    assert as_believed(replace(fine, value=b"{")) == b"{"


@given(client=st.text(min_size=1), before=st.integers(1, 8), times=st.integers(1, 8))
def test_a_client_goes_where_every_producer_will_send_it_and_no_two_old_partitions_share_a_new_one(
    client: str, before: int, times: int
) -> None:
    old, after = partition_of(client, before), before * times
    (home,) = new_homes(client.encode(), partition=old, before=before, after=after)
    assert home == partition_of(client, after)
    assert home in new_homes(CONTROL_KEY, partition=old, before=before, after=after)


def test_a_number_of_partitions_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(UsageError, match="no multiple"):
        new_homes(b"ada", partition=0, before=2, after=3)


@pytest.mark.integration
async def test_a_log_is_copied_once_into_an_empty_deployment_with_each_clients_order(make_settings: SettingsMaker) -> None:
    source, target = make_settings(partitions=2), make_settings(partitions=4)
    events = [payment(number, clients=9) for number in range(300)]
    first_of_1 = next(record.value for record in on_the_log(events, source) if record.partition == 1)
    producer, writer = KafkaProducer(source, Meter()), KafkaProducer(target, Meter())
    try:
        await producer.send_all(on_the_log(events, source))
        tick = Outgoing(topic=CLIENT_EVENTS.name, partition=1, key=CONTROL_KEY, value=b"{}", headers=())
        await producer.send_all([tick])
        copied = await resettle(source, target, producer=writer, marks={1: [Position(0, 3), Position(10**6, 0)]})
        assert copied.records == len(events) + 2
        found = await read_topic(target, CLIENT_EVENTS)
        with pytest.raises(UsageError, match="not empty"):
            await resettle(source, target, producer=writer)
        async with admin_client(source) as client:
            await client.delete_records({TopicPartition(source.topic(CLIENT_EVENTS.name), 0): RecordsToDelete(3)})
        with pytest.raises(UsageError, match="lost its beginning"):
            await resettle(source, target, producer=writer)
    finally:
        await producer.close()
        await writer.close()
    (first,) = [home for home in (1, 3) if any(record.offset == 0 and record.value == first_of_1 for record in found[home])]
    other = 4 - first
    assert copied.places[1][Position(0, 3)] == {first: Position(0, 3), other: Position(-1, 2**31)}
    assert {home: at.src_offset for home, at in copied.places[1][Position(10**6, 0)].items()} == {
        home: found[home][-1].offset for home in (1, 3)
    }
    for event in events[:9]:
        key = event.client_id.encode()
        mine = [record.value for record in found[partition_of(event.client_id, 4)] if record.key == key]
        assert mine == [record.value for record in on_the_log(events, source) if record.key == key]
    assert [partition for partition in range(4) if any(record.key == CONTROL_KEY for record in found[partition])] == [1, 3]

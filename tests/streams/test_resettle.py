"""More partitions: every client's events stay in order, and what they come to stays the same."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.fold import Program
from streams.engine.oracle import Told, fold_partition
from streams.engine.producer import KafkaProducer, Outgoing
from streams.engine.program import ClientProgram
from streams.engine.resettle import new_homes, resettle
from streams.runtime.errors import UsageError
from streams.runtime.metrics import Meter
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY
from tests.conftest import SettingsMaker
from tests.integration.engine_world import on_the_log, payment, read_topic
from tests.streams.counting import CountingProgram
from tests.streams.engine_examples import logs

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
    producer, writer = KafkaProducer(source, Meter()), KafkaProducer(target, Meter())
    try:
        await producer.send_all(on_the_log(events, source))
        tick = Outgoing(topic=CLIENT_EVENTS.name, partition=1, key=CONTROL_KEY, value=b"{}", headers=())
        await producer.send_all([tick])
        assert await resettle(source, target, producer=writer) == len(events) + 2
        found = await read_topic(target, CLIENT_EVENTS)
        with pytest.raises(UsageError, match="not empty"):
            await resettle(source, target, producer=writer)
    finally:
        await producer.close()
        await writer.close()
    for event in events[:9]:
        key = event.client_id.encode()
        mine = [record.value for record in found[partition_of(event.client_id, 4)] if record.key == key]
        assert mine == [record.value for record in on_the_log(events, source) if record.key == key]
    assert [partition for partition in range(4) if any(record.key == CONTROL_KEY for record in found[partition])] == [1, 3]

"""Records that are no pleasure: repeated, unreadable, too large, in the wrong place; and a Redis that lost everything."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from redis.asyncio import Redis

from streams.engine.fence import Slot
from streams.engine.log_view import LogView
from streams.engine.producer import Outgoing
from streams.engine.tail import read_published
from streams.runtime.clock import ManualClock, SystemClock
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.admin import admin_client
from streams.wire.codec import encode_event
from streams.wire.dead_letters import DeadLetter, Reason, read_dead_letter
from streams.wire.headers import Position
from streams.wire.partitioning import partition_of
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, PAYMENTS, TRIGGERS
from tests.conftest import SettingsMaker
from tests.integration.engine_world import (
    accepted,
    assert_equals_oracle,
    crew_of,
    feed,
    on_the_log,
    payment,
    read_topic,
    to_topic,
    until_caught_up,
)
from tests.streams.counting import POISON_SOURCE, SENSELESS, CountingProgram

pytestmark = pytest.mark.integration

ALMOST_TOO_LARGE = b"x" * 1_000_000


def misplaced(settings: Settings) -> Outgoing:
    event = payment(7)
    elsewhere = (partition_of(event.client_id, settings.partitions) + 1) % settings.partitions
    return Outgoing(
        topic=CLIENT_EVENTS.name, partition=elsewhere, key=event.client_id.encode(), value=encode_event(event), headers=()
    )


async def dead_letters(settings: Settings) -> list[DeadLetter]:
    return [read_dead_letter(record) for record in (await read_topic(settings, DEAD_LETTERS))[0]]


async def test_repeated_and_unreadable_records_on_the_log_leave_their_neighbours_intact(
    settings: Settings, tmp_path: Path
) -> None:
    events = [payment(number) for number in range(600)]
    again = [payment(number) for number in range(0, 600, 3)]
    senseless = [payment(number, source=POISON_SOURCE) for number in range(600, 610)]
    junk = [to_topic(CLIENT_EVENTS, value, key=b"client-1") for value in (b"", b"{", b"null", b"\xff\xfe", ALMOST_TOO_LARGE)]
    log = on_the_log([*events, *again], settings)
    await feed(settings, [*log[:300], *junk, misplaced(settings), *log[300:], *on_the_log(senseless, settings)])
    with crew_of(settings, tmp_path) as crew:
        crew.start()
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())
    letters = await dead_letters(settings)
    assert [letter.value for letter in letters if letter.reason == Reason.BAD_JSON].count(ALMOST_TOO_LARGE) == 1
    assert sum(letter.reason == SENSELESS for letter in letters) == len(senseless)
    assert sum(letter.reason == Reason.BAD_KEY for letter in letters) == 1
    assert len(letters) == len(junk) + len(senseless) + 1


async def test_intake_puts_public_records_on_the_log_and_keeps_what_it_cannot_read(settings: Settings, tmp_path: Path) -> None:
    good = [to_topic(PAYMENTS, encode_event(payment(number)), key=f"client-{number % 40}".encode()) for number in range(300)]
    bad = [to_topic(PAYMENTS, value) for value in (b"{", b'{"kind":"invoice.issued"}', ALMOST_TOO_LARGE)]
    await feed(settings, [*good[:150], *bad, *good[150:], *good[:50]])
    with crew_of(settings, tmp_path) as crew:
        crew.start()
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())
    log = await read_topic(settings, CLIENT_EVENTS)
    payments = [record for records in log.values() for record in records if record.key != b""]
    assert len(payments) == len(good) + 50
    letters = await dead_letters(settings)
    assert sorted(letter.value or b"" for letter in letters) == sorted(record.value or b"" for record in bad)
    assert {letter.src_topic for letter in letters} == {PAYMENTS.name}


async def test_a_hole_that_a_transaction_left_in_the_log_is_confirmed_by_another_consumer_and_folded_over(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    foreign: Any = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, transactional_id=settings.group)
    await foreign.start()
    try:
        for first in (0, 10, 20):
            async with foreign.transaction():
                for record in on_the_log([payment(number) for number in range(first, first + 10)], settings):
                    await foreign.send(settings.topic(record.topic), record.value, key=record.key, partition=record.partition)
    finally:
        await foreign.stop()
    await feed(settings, on_the_log([payment(30)], settings))  # behind the last marker, so that the end is a record
    view = LogView(settings)
    firsts = [await view.first_from(Slot(CLIENT_EVENTS.name, 0), offset) for offset in (9, 10, 11, 21)]
    await view.close()
    assert firsts == [9, 11, 11, 22]
    with crew_of(settings, tmp_path) as crew:
        crew.start()
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())


async def forget_everything(settings: Settings) -> None:
    redis: Redis = connect_redis(settings)
    try:
        await redis.delete(*[key async for key in redis.scan_iter(match=f"*{settings.namespace}*")])
    finally:
        await redis.aclose()


async def test_when_redis_loses_everything_states_are_rebuilt_and_nothing_is_published_again(
    settings: Settings, tmp_path: Path
) -> None:
    await feed(settings, on_the_log([payment(number) for number in range(900)], settings))
    with crew_of(settings, tmp_path) as crew:
        first = crew.start()
        await until_caught_up(settings)
        first.stop()
        before = await read_topic(settings, TRIGGERS["email"])
        await forget_everything(settings)
        await feed(settings, on_the_log([payment(number) for number in range(900, 1_200)], settings))
        crew.start()
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())
    for partition, records in (await read_topic(settings, TRIGGERS["email"])).items():
        positions: list[Position] = [position for position, _, _ in accepted(records)]
        assert len(positions) == len(records), "a record was published twice"
        assert len(records) > len(before[partition])


async def test_what_retention_has_deleted_since_is_not_published_again_when_redis_loses_everything(
    settings: Settings, tmp_path: Path
) -> None:
    await feed(settings, on_the_log([payment(number) for number in range(200)], settings))
    with crew_of(settings, tmp_path) as crew:
        crew.start()
        await until_caught_up(settings)
    slot = Slot(CLIENT_EVENTS.name, 0)
    found = await read_published(settings, slot)
    async with admin_client(settings) as admin:
        email = TopicPartition(settings.topic(TRIGGERS["email"].name), slot.partition)
        await admin.delete_records({email: RecordsToDelete(before_offset=-1)})
    later = ManualClock(SystemClock().now() + timedelta(milliseconds=TRIGGERS["email"].retention_ms))
    view = LogView(settings)
    end = (await view.bounds(slot)).end
    await view.close()

    # Deleted sooner than by age: then it is not known what was published, and what is published twice is seen as such.
    assert await read_published(settings, slot) == {name: at for name, at in found.items() if name != TRIGGERS["email"].name}
    long_after = await read_published(settings, slot, clock=later)
    assert long_after[TRIGGERS["email"].name] >= Position(end - 1, 0)
    assert TRIGGERS["sms"].name not in long_after, "nothing was ever published there"

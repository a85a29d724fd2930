"""Two firms on the same servers whose clients and invoices bear the same names: neither sees, waits for or undoes the other."""

from pathlib import Path

import pytest

from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY
from tests.conftest import SettingsMaker
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, payment, read_topic, until_caught_up
from tests.streams.counting import CountingProgram

pytestmark = pytest.mark.integration


async def test_a_topic_prefix_alone_keeps_two_firms_apart(make_settings: SettingsMaker, tmp_path: Path) -> None:
    one = make_settings()
    two = make_settings(group=one.group, namespace=one.namespace, topic_prefix=f"{one.topic_prefix}second.")
    told = {one.topic_prefix: (one, range(300)), two.topic_prefix: (two, range(200, 400))}  # some are the same events
    for settings, numbers in told.values():
        await feed(settings, on_the_log([payment(number) for number in numbers], settings))
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with crew_of(one, folders[0]) as crew, crew_of(two, folders[1]) as other:
        crew.start()
        other.start()
        await until_caught_up(one)
        await until_caught_up(two)
    for settings, numbers in told.values():
        log = await read_topic(settings, CLIENT_EVENTS)
        assert sum(record.key != CONTROL_KEY for records in log.values() for record in records) == len(numbers)
        await assert_equals_oracle(settings, CountingProgram())

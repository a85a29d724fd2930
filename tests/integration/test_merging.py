"""A merge across partitions with workers that die at the worst moments: nothing is lost, doubled or left under the old name."""

from pathlib import Path

import pytest

from handlers.commands.clients.desk import merge_of
from handlers.commands.overrides.desk import publish, read_state
from models.events.envelope import ClientEvent
from models.events.union import AnyClientEvent
from streams.engine.failpoints import BEFORE_TRIM
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.wire.codec import decode_event
from streams.wire.partitioning import partition_of
from streams.wire.policy_file import policy_in_force
from streams.wire.topics import CLIENT_EVENTS
from tests.conftest import SettingsMaker
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, read_topic, until_caught_up
from tests.models.builders import Events
from tests.models.views import final, money_view

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
OLD, NEW = "old-name", "new-name"


async def test_a_merge_across_partitions_survives_a_worker_that_dies_after_publishing(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings()
    assert partition_of(OLD, settings.partitions) != partition_of(NEW, settings.partitions)
    before: list[AnyClientEvent] = [
        Events(OLD).issued(1, "I1", 90_000, event_id="i1"),
        Events(NEW).issued(2, "I2", 50_000, event_id="i2"),
    ]
    after: list[AnyClientEvent] = [
        Events(OLD).paid(3, "P1", 90_000, "I1", event_id="p1"),
        Events(OLD).issued(4, "I3", 70_000, event_id="i3"),
        Events(NEW).paid(5, "P3", 70_000, "I3", event_id="p3"),
    ]
    await feed(settings, on_the_log(before, settings))
    with crew_of(settings, tmp_path) as crew:
        first = crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        first.stop()
        one, other = await read_state(settings, OLD), await read_state(settings, NEW)
        now = make_clock(settings.clock_file).now()
        merge = merge_of(one, other, client_id=OLD, into=NEW, reason="one company", author="dana", now=now)
        await publish(settings, merge)
        doomed = crew.start(module="handlers.cli worker", RAPPORT_FAILPOINT=f"{BEFORE_TRIM}:1")
        doomed.until_dead()
        crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        await feed(settings, on_the_log(after, settings))
        await until_caught_up(settings)
    state = await read_state(settings, OLD)
    assert state is not None
    assert state.client_id == NEW
    alone = final([event.model_copy(update={"client_id": "one"}) for event in before + after])
    assert money_view(state)["invoices"] == money_view(alone)["invoices"]
    assert money_view(state)["cash"] == money_view(alone)["cash"]
    log = await read_topic(settings, CLIENT_EVENTS)
    events = [decode_event(record.value) for records in log.values() for record in records]
    numbers = [event.passed_on.number for event in events if isinstance(event, ClientEvent) and event.passed_on]
    assert sorted(set(numbers)) == [1, 2, 3]
    assert len(numbers) > len(set(numbers))  # it had been published when the worker died, and was published again
    await assert_equals_oracle(settings, ClientProgram(policy_in_force(settings)))

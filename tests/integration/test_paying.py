"""A parent that pays for its child, across partitions, with workers that die at the worst moment: every payment counts once."""

from pathlib import Path

import pytest

from handlers.commands.clients.desk import word_of_payer
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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
CHILD, PARENT = "old-name", "new-name"


async def test_payments_of_a_parent_find_the_invoices_of_its_child_although_a_worker_dies_after_publishing(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings()
    assert partition_of(CHILD, settings.partitions) != partition_of(PARENT, settings.partitions)
    before: list[AnyClientEvent] = [
        Events(CHILD).issued(1, "I1", 90_000, event_id="i1"),
        Events(PARENT).issued(2, "I2", 50_000, event_id="i2"),
    ]
    after: list[AnyClientEvent] = [
        Events(CHILD).issued(4, "I3", 70_000, event_id="i3"),
        Events(PARENT).paid(5, "P1", 90_000, "I1", event_id="p1"),
        Events(CHILD).paid(5, "P3", 30_000, "I3", event_id="p3"),
    ]
    await feed(settings, on_the_log(before, settings))
    with crew_of(settings, tmp_path) as crew:
        first = crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        first.stop()
        child, parent = await read_state(settings, CHILD), await read_state(settings, PARENT)
        now = make_clock(settings.clock_file).now()
        word = word_of_payer(child, parent, client_id=CHILD, payer=PARENT, reason="it pays", author="dana", now=now)
        await publish(settings, word)
        doomed = crew.start(module="handlers.cli worker", RAPPORT_FAILPOINT=f"{BEFORE_TRIM}:1")
        doomed.until_dead()
        crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        await feed(settings, on_the_log(after, settings))
        await until_caught_up(settings)
    child, parent = await read_state(settings, CHILD), await read_state(settings, PARENT)
    assert child is not None
    assert parent is not None
    assert (child.ledger.invoices, child.identity.payer) == ((), PARENT)
    paid = sorted((row.invoice_id, row.minor, row.paid) for row in parent.ledger.invoices)
    assert paid == [("I1", 90_000, 90_000), ("I2", 50_000, 0), ("I3", 70_000, 30_000)]
    log = await read_topic(settings, CLIENT_EVENTS)
    events = [decode_event(record.value) for records in log.values() for record in records]
    numbers = [event.passed_on.number for event in events if isinstance(event, ClientEvent) and event.passed_on]
    assert sorted(set(numbers)) == [1, 2, 3]
    assert len(numbers) > len(set(numbers))  # it had been published when the worker died, and was published again
    await assert_equals_oracle(settings, ClientProgram(policy_in_force(settings)))

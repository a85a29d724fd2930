"""A parent that pays for its child, across partitions, with workers that die at the worst moment: every payment counts once."""

from pathlib import Path

import pytest

from handlers.commands.clients.desk import word_of_payer
from handlers.commands.overrides.desk import read_state
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from streams.runtime.clock import make_clock
from tests.conftest import SettingsMaker
from tests.integration.two_names import NEW, OLD, assert_passed_on_once, lived_through
from tests.models.builders import Events

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
CHILD, PARENT = OLD, NEW


async def test_payments_of_a_parent_find_the_invoices_of_its_child_although_a_worker_dies_after_publishing(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings()
    before: list[AnyClientEvent] = [
        Events(CHILD).issued(1, "I1", 90_000, event_id="i1"),
        Events(PARENT).issued(2, "I2", 50_000, event_id="i2"),
    ]
    after: list[AnyClientEvent] = [
        Events(CHILD).issued(4, "I3", 70_000, event_id="i3"),
        Events(PARENT).paid(5, "P1", 90_000, "I1", event_id="p1"),
        Events(CHILD).paid(5, "P3", 30_000, "I3", event_id="p3"),
    ]

    def word(child: ClientState | None, parent: ClientState | None) -> AnyClientEvent:
        now = make_clock(settings.clock_file).now()
        return word_of_payer(child, parent, client_id=CHILD, payer=PARENT, reason="it pays", author="dana", now=now)

    await lived_through(settings, tmp_path, before=before, word=word, after=after)
    child, parent = await read_state(settings, CHILD), await read_state(settings, PARENT)
    assert child is not None
    assert parent is not None
    assert (child.ledger.invoices, child.identity.payer) == ((), PARENT)
    paid = sorted((row.invoice_id, row.minor, row.paid) for row in parent.ledger.invoices)
    assert paid == [("I1", 90_000, 90_000), ("I2", 50_000, 0), ("I3", 70_000, 30_000)]
    await assert_passed_on_once(settings, count=3)

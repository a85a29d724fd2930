"""A merge across partitions with workers that die at the worst moments: nothing is lost, doubled or left under the old name."""

from pathlib import Path

import pytest

from handlers.commands.clients.desk import merge_of
from handlers.commands.overrides.desk import read_state
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from streams.runtime.clock import make_clock
from tests.conftest import SettingsMaker
from tests.integration.two_names import NEW, OLD, assert_passed_on_once, lived_through
from tests.models.builders import Events
from tests.models.views import final, money_view

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def test_a_merge_across_partitions_survives_a_worker_that_dies_after_publishing(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings()
    before: list[AnyClientEvent] = [
        Events(OLD).issued(1, "I1", 90_000, event_id="i1"),
        Events(NEW).issued(2, "I2", 50_000, event_id="i2"),
    ]
    after: list[AnyClientEvent] = [
        Events(OLD).paid(3, "P1", 90_000, "I1", event_id="p1"),
        Events(OLD).issued(4, "I3", 70_000, event_id="i3"),
        Events(NEW).paid(5, "P3", 70_000, "I3", event_id="p3"),
    ]

    def word(one: ClientState | None, other: ClientState | None) -> AnyClientEvent:
        now = make_clock(settings.clock_file).now()
        return merge_of(one, other, client_id=OLD, into=NEW, reason="one company", author="dana", now=now)

    await lived_through(settings, tmp_path, before=before, word=word, after=after)
    state = await read_state(settings, OLD)
    assert state is not None
    assert state.client_id == NEW
    alone = final([event.model_copy(update={"client_id": "one"}) for event in before + after])
    assert money_view(state)["invoices"] == money_view(alone)["invoices"]
    assert money_view(state)["cash"] == money_view(alone)["cash"]
    await assert_passed_on_once(settings, count=3)

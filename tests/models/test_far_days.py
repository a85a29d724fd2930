"""Senders write 9999-12-31 for "never", and slips of the pen lie in other ages: none stops the clients folded beside it."""

from collections.abc import Iterator
from contextlib import suppress
from zoneinfo import ZoneInfo

import pytest

from models.events.union import PUBLIC_TOPIC_KINDS, AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.policy.timing import Anchor, Timing, Unit, due_ms
from models.state.describe import describe
from models.workdays import DAY_MS, bank_days_on, moment, next_allowed, rolled_ms
from streams.runtime.errors import DeadLetterError
from streams.wire.catalogue import example_of
from streams.wire.events import read_client_event
from tests.models.builders import CLIENT, Events, ms
from tests.models.test_journey_laws import Firm

FAR = ("0001-01-02T00:00:00Z", "1969-06-01T00:00:00Z", "9999-12-31T00:00:00Z")
ENDS = (-62_135_510_400_000, 253_402_214_400_000)
"""The first and the last of `FAR`, as states keep them."""


def far_events(kind: str) -> Iterator[AnyClientEvent]:
    """Yield the kind's example with each of its moments, save its arrival, in another age; those that its contract takes."""
    example = example_of(kind)
    near = {**example, "client_id": CLIENT, "occurred_at": "2024-01-20T09:00:00Z", "received_at": "2024-01-20T10:00:00Z"}
    for name, value in example.items():
        if name != "received_at" and isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
            for far in FAR:
                with suppress(DeadLetterError):
                    yield read_client_event(near | {name: far})


@pytest.mark.parametrize("kind", sorted(set().union(*PUBLIC_TOPIC_KINDS.values())))
def test_a_moment_in_another_age_is_folded_and_told_and_time_goes_on_after_it(kind: str) -> None:
    found = list(far_events(kind))
    assert found
    for event in found:
        build = Events()
        firm = Firm().run([build.profiled(0, timezone="America/New_York"), build.issued(1, "I1", due=5), event], until_ms=ms(60))
        assert firm.state is not None
        assert describe(firm.state)
        firm.feed(build.paid(61, "P9", 1_000, "I9"))
        assert firm.state.now_ms >= ms(61) or firm.state.erased_ms or firm.state.identity.into


@pytest.mark.parametrize("at", ENDS)
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_days_are_counted_on_from_the_ends_of_the_calendar(at: int, zone: str) -> None:
    there = ZoneInfo(zone)
    assert abs(moment(at).year - 5_000) < 5_000
    assert bank_days_on(at, 5, there) >= at + 5 * DAY_MS
    assert rolled_ms(at, there) >= at
    assert moment(next_allowed(at, DEFAULT_POLICY.window, there)).year
    for unit in Unit:
        assert moment(due_ms(at, Timing(anchor=Anchor.DUE, count=12, unit=unit), there)).year

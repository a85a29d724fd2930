"""The review of a quarter: when it is due, that it is made once, what groups it sees, and how it is told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.segments.living import Living
from handlers.commands.segments.observing import observe_states
from handlers.commands.segments.reviewing import Moved, Review, Seen, StandingReview, Tier, quarter_due, tell, tiers_of
from models.policy.policy import DEFAULT_POLICY
from models.workdays import DAY_MS, moment
from streams.runtime.clock import ManualClock
from streams.runtime.errors import RetryError
from tests.handlers.test_segments_shifts import history
from tests.models.builders import Events, on
from tests.models.test_segments import monthly
from tests.models.views import final

REVIEW = Review(
    quarter="2026Q1",
    made_at=datetime(2026, 4, 5, tzinfo=UTC),
    policy_version="a+1",
    clients=40,
    worse=2,
    better=1,
    moved=(Moved(before="reliable", after="slow", clients=2),),
    groups=(Seen(clients=9, traits=("pay late more often",), segments={"slow": 9}, proposal="do they need another rhythm?"),),
    tiers=(Tier(name="recency", cuts=(180, 75, 35), clients=(4, 6, 20, 10), quarters=(90, 40, 20)),),
)


@pytest.mark.parametrize(
    ("now", "day", "due"),
    [
        (datetime(2026, 4, 4, 23, 59, tzinfo=UTC), 5, "2025Q4"),
        (datetime(2026, 4, 5, tzinfo=UTC), 5, "2026Q1"),
        (datetime(2026, 1, 1, tzinfo=UTC), 1, "2025Q4"),
        (datetime(2026, 1, 27, tzinfo=UTC), 28, "2025Q3"),
        (datetime(2026, 5, 1, tzinfo=UTC), 0, None),
    ],
)
def test_the_review_of_a_quarter_is_due_on_the_policys_day_after_it(now: datetime, day: int, due: str | None) -> None:
    found = quarter_due(now, day)
    assert (found.name if found else None) == due


@given(now=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), day=st.integers(1, 28))  # noqa: DTZ001 - made aware below
def test_no_quarter_is_left_out_and_none_is_reviewed_before_it_is_over(now: datetime, day: int) -> None:
    at = now.replace(tzinfo=UTC)
    found, before = quarter_due(at, day), quarter_due(at - timedelta(days=1), day)
    assert found is not None
    assert before is not None
    assert found.bounds[1] + timedelta(days=day - 1) <= at
    assert before == found or before.bounds[1] == found.bounds[0]


def test_it_looks_every_ten_minutes_and_a_server_that_is_away_only_delays() -> None:
    clock, looked = ManualClock(on(0)), []

    async def look(now: datetime) -> Review | None:
        looked.append(now)
        if len(looked) == 2:
            message = "no Redis answers"
            raise RetryError(message)
        return REVIEW if len(looked) == 3 else None

    async def rest(seconds: float) -> None:
        if len(looked) == 4:
            raise asyncio.CancelledError
        clock.advance_to(clock.now() + timedelta(seconds=seconds))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(StandingReview(look=look, clock=clock, rest=rest).run())
    assert [(at - on(0)).total_seconds() / 60 for at in looked] == [10, 20, 30, 40]


def test_groups_are_those_of_the_states_in_whatever_order_they_are_read() -> None:
    states = list(Living(DEFAULT_POLICY).live(history()).states.values())
    found, turned = observe_states(states, DEFAULT_POLICY), observe_states(reversed(states), DEFAULT_POLICY)
    assert found == turned
    assert sum(len(row.clients) for row in found.groups) == len(states)
    assert observe_states([], DEFAULT_POLICY).groups == ()


def test_tiers_are_cut_anew_from_the_clients_as_they_stand_also_those_who_went_silent() -> None:
    bills = (monthly(Events(f"c{place}"), 2 + place % 6, late=-2, minor=10_000 * (1 + place)) for place in range(24))
    states = list(map(final, bills))
    last = max(row.now_ms for row in states)
    soon, later = (tiers_of(states, DEFAULT_POLICY, moment(last + days * DAY_MS)) for days in (0, 200))
    assert [(row.name, row.cuts, sum(row.clients)) for row in soon] == [
        ("recency", DEFAULT_POLICY.rfm.recency_days, 24),
        ("frequency", DEFAULT_POLICY.rfm.frequency, 24),
        ("monetary", DEFAULT_POLICY.rfm.monetary, 24),
    ]
    assert later[0].clients[0] == 24  # all of them have paid nothing for half a year
    assert min(later[0].quarters) >= min(soon[0].quarters) + 150
    assert tiers_of(states[:5], DEFAULT_POLICY, moment(last)) == ()


def test_a_review_tells_how_many_and_where_to_look_and_names_nobody() -> None:
    lines = "\n".join(tell(REVIEW))
    assert "2026Q1, made 2026-04-05 of 40 clients: open: end it with rapport segments reviews 2026Q1 --done" in lines
    assert "2 pay later than before, 1 sooner; who: rapport segments movers --quarter 2026Q1" in lines
    assert "proposal: do they need another rhythm?" in lines
    assert "recency: cut at 180, 75, 35 (clients in tiers 1 to 4: 4, 6, 20, 10); quarters of them now at 90, 40, 20" in lines
    read = REVIEW.model_copy(update={"reviewed_at": on(3), "reviewed_by": "Søren", "note": "two calls"})
    assert f"read by Søren on {on(3):%Y-%m-%d}: two calls" in next(iter(tell(read)))

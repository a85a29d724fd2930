"""Thirteen months of days and weeks: a year ago is still known to the cent, and however long a client stays no more is kept."""

from itertools import count
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.payments import PaymentReceived, PaymentRefunded
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.describe import describe
from models.state.history import WEEKS, Received, years_on_year
from models.state.rhythm import Bucket
from models.state.windows import KEPT_DAYS, add, compact, day_of, total, week_start
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.views import final

_DAYS_AND_WEEKS: Final = 63 + 53
_BY_DAY: Final = 35
MONEY: Final = st.lists(st.tuples(st.integers(0, 480), st.integers(1, 900), st.booleans()), max_size=40)


@given(MONEY, st.integers(400, 480))
@settings(max_examples=30)
def test_the_same_weeks_of_the_year_before_are_known_to_the_cent(facts: list[tuple[int, int, bool]], today: int) -> None:
    build, serial = Events(), count(1)
    told: list[AnyClientEvent] = [build.profiled(0)]
    for day, minor, back in facts:
        name = f"P{next(serial)}"
        told.append(build.paid(day, name, minor, None))
        if back:
            told.append(build.refunded(day + 3, f"R{name}", name, minor))
    until = week_start(day_of(ms(today)))
    came = sorted((event for event in told if event.received_ms <= ms(today)), key=lambda event: event.received_ms)
    state = final([*came, build.called(today)])

    def received(first: int, end: int) -> Received:
        within = [event for event in came if first <= day_of(event.effective_ms) < end]
        paid = [event.amount.minor for event in within if isinstance(event, PaymentReceived)]
        back = [event.amount.minor for event in within if isinstance(event, PaymentRefunded)]
        return Received(len(paid), sum(paid) - sum(back))

    now, then = received(until - 7 * WEEKS, until), received(until - 7 * WEEKS - 364, until - 364)
    rows = years_on_year(state)
    assert [(row.now, row.then) for row in rows] == ([(now, then)] if now.payments or then.payments else [])


def test_who_was_not_known_a_year_ago_is_not_held_against_it() -> None:
    build = Events()
    assert years_on_year(final([build.paid(0, invoice=None), build.paid(389, "P2", 7_000, None), build.called(391)])) == []
    state = final([build.paid(0, minor=5_000, invoice=None), build.paid(385, "P2", 7_000, None), build.called(392)])
    line = "received in the 4 weeks to 2025-02-02: 70.00 EUR in 1 payment, a year before 50.00 EUR in 1 payment"
    assert line in describe(state)


@given(st.integers(0, 20), st.lists(st.integers(0, 13), min_size=90, max_size=130))
@settings(max_examples=30)
def test_however_long_a_client_stays_no_more_than_so_many_days_and_weeks_are_kept(start: int, gaps: list[int]) -> None:
    kept: tuple[Bucket, ...] = ()
    every: dict[int, int] = {}
    today = start
    for gap in gaps:
        for day in range(today, today + gap + 1):
            kept = add(kept, day * DAY_MS, now_ms=day * DAY_MS, change=Bucket(0, "EUR", payments=1, money_in=day))
            every[day] = every.get(day, 0) + day
        today += gap
        kept = compact(kept, now_ms=today * DAY_MS)
        assert len(kept) <= _DAYS_AND_WEEKS
        since, recent = week_start(today - 391), today - _BY_DAY
        a_year = sum(every.get(day, 0) for day in range(since, today + 1))
        assert total(kept, currency="EUR", since_ms=since * DAY_MS).money_in == a_year
        assert {row.day: row.money_in for row in kept if row.day >= recent} == {d: n for d, n in every.items() if d >= recent}
        assert not any(row.day <= today - KEPT_DAYS for row in kept)


def test_a_fact_older_than_thirteen_months_leaves_the_windows_as_they_are() -> None:
    known = add((), 500 * DAY_MS, now_ms=500 * DAY_MS, change=Bucket(0, "EUR", payments=1, money_in=5))
    assert add(known, 101 * DAY_MS, now_ms=500 * DAY_MS, change=Bucket(0, "EUR", payments=1)) == known
    assert len(add(known, 108 * DAY_MS, now_ms=500 * DAY_MS, change=Bucket(0, "EUR", payments=1))) > 1


def test_nothing_is_said_of_a_client_of_whom_nothing_is_known() -> None:
    assert years_on_year(ClientState("c")) == []

"""The days in which a client can decide about money, as a manager enters them, and what care before a renewal makes of them."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import OverrideEffect
from models.policy.favourable import AHEAD_DAYS, favourable_ms, is_outside, read_season, windows
from models.state.client import ClientState
from models.workdays import DAY_MS
from tests.models.builders import Events, on, tick
from tests.models.views import final

DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
WINDOWS = st.tuples(DAYS, DAYS).map(lambda pair: f"{pair[0]:%m-%d}..{pair[1]:%m-%d}")


def told(*values: str, until: float = 3_000) -> ClientState:
    build = Events()
    words = [
        build.override(1 + place, OverrideEffect.WINDOW, until=until, override=f"W{place}", value=value)
        for place, value in enumerate(values)
    ]
    return final([build.profiled(0), *words, tick(20)])


def at(day: date) -> int:
    return epoch_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))


def test_days_of_a_year_are_read_and_anything_else_is_none() -> None:
    season = read_season("11-15..02-28")
    assert season is not None
    assert [season.holds(day) for day in ("11-15", "12-31", "02-28", "03-01", "11-14")] == [True, True, True, False, False]
    for text in ("", "07-01", "07-01..", "7-1..9-15", "02-29..03-31", "07-01...09-15", "13-01..14-01", "07-01..09-15 "):
        assert read_season(text) is None


def test_a_window_holds_until_it_is_lifted_or_over_and_one_that_makes_no_sense_is_none() -> None:
    assert [row.season.first for row in windows(told("07-01..09-15", "whenever", "01-01..01-31"))] == ["07-01", "01-01"]
    assert windows(told("07-01..09-15"))[0].words == "they can decide from 07-01 to 09-15 (sam: talked on the phone)"
    assert windows(told("07-01..09-15", until=10)) == []
    build = Events()
    word = build.override(1, OverrideEffect.WINDOW, until=900, value="07-01..09-15")
    assert windows(final([build.profiled(0), word, build.cleared(5, "O1"), tick(20)])) == []


def test_who_has_no_window_is_never_outside_of_one() -> None:
    summer, plain = told("07-01..09-15"), told()
    assert is_outside(summer, at(date(2026, 10, 1)))
    assert not is_outside(summer, at(date(2026, 9, 15)))
    assert not is_outside(plain, at(date(2026, 10, 1)))


@given(value=WINDOWS, renews=st.dates(date(2026, 6, 1), date(2027, 12, 31)))
def test_care_begins_in_a_window_before_its_usual_days_or_on_these(value: str, renews: date) -> None:
    state = told(value)
    first, last = renews - timedelta(days=14), renews - timedelta(days=7)
    found = favourable_ms(state, usual_ms=at(first), end_ms=at(renews - timedelta(days=6)), renews_ms=at(renews))
    (window,) = windows(state)
    usual = any(window.season.holds(f"{first + timedelta(days=ahead):%m-%d}") for ahead in range((last - first).days + 1))
    within = [renews - timedelta(days=ahead) for ahead in range(15, AHEAD_DAYS + 1)]
    if usual or not any(window.season.holds(f"{day:%m-%d}") for day in within):
        assert found is None
    else:
        assert found is not None
        assert at(renews) - AHEAD_DAYS * DAY_MS <= found < at(first)
        assert not is_outside(state, found)


def test_a_window_that_is_over_changes_nothing_any_more() -> None:
    build = Events()
    word = build.override(1, OverrideEffect.WINDOW, until=3_000, value="07-01..07-31")
    renews = on(0) + timedelta(days=270)
    span = {
        "usual_ms": epoch_ms(renews - timedelta(days=14)),
        "end_ms": epoch_ms(renews - timedelta(days=6)),
        "renews_ms": epoch_ms(renews),
    }
    july = (date(renews.year, 7, 31) - on(0).date()).days
    within, after = (final([build.profiled(0), word, tick(day)]) for day in (july - 5, july + 2))
    assert favourable_ms(within, **span) is not None
    assert favourable_ms(after, **span) is None


def test_of_several_stretches_the_nearest_counts_and_of_a_long_one_the_last_month() -> None:
    renews = date(2026, 9, 20)
    span = {"usual_ms": at(date(2026, 9, 6)), "end_ms": at(date(2026, 9, 14)), "renews_ms": at(renews)}
    assert favourable_ms(told("07-01..07-10,08-01..08-05"), **span) == at(date(2026, 8, 1))
    assert favourable_ms(told("05-01..08-20"), **span) == at(date(2026, 7, 21))

"""Zones, gaps, folds, holidays: the one function that finds when a person may be contacted."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.workdays import (
    DAY_MS,
    ClosedCalendarError,
    Window,
    moment,
    next_allowed,
    roll_forward,
    rolled_ms,
    wall_ms,
    whole_days,
    zone_named,
)
from tests.models.views import is_open

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, *, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return round(datetime(year, month, day, hour, minute, tzinfo=zone, fold=fold).timestamp() * 1000)


def test_inside_the_window_now_is_the_answer() -> None:
    now = at(2024, 3, 6, 10, 30)
    assert next_allowed(now, Window(), BERLIN) == now


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (at(2024, 3, 6, 7, 59), at(2024, 3, 6, 8)),
        (at(2024, 3, 6, 18), at(2024, 3, 7, 8)),
        (at(2024, 3, 8, 18, 1), at(2024, 3, 11, 8)),
        (at(2024, 3, 9, 12), at(2024, 3, 11, 8)),
        (at(2024, 3, 30, 12), at(2024, 4, 1, 8)),
    ],
    ids=["early", "closing time is closed", "Friday evening", "Saturday", "over the clock change"],
)
def test_outside_the_window_the_next_opening_is_the_answer(now: int, expected: int) -> None:
    assert next_allowed(now, Window(), BERLIN) == expected


def test_holidays_are_skipped() -> None:
    easter_monday = frozenset({date(2024, 4, 1)})
    assert next_allowed(at(2024, 3, 30, 12), Window(), BERLIN, easter_monday) == at(2024, 4, 2, 8)


def test_a_calendar_without_an_open_day_is_an_error_that_says_so() -> None:
    always = frozenset(date(2024, 1, 1) + timedelta(days=n) for n in range(500))
    with pytest.raises(ClosedCalendarError, match="check the weekdays"):
        next_allowed(at(2024, 1, 2), Window(), BERLIN, always)
    with pytest.raises(ClosedCalendarError, match="no business day"):
        roll_forward(date(2024, 1, 2), always)


def test_a_window_that_never_opens_is_refused() -> None:
    with pytest.raises(ValueError, match="opens before it closes"):
        Window(time(18), time(8))


def test_a_time_in_a_gap_becomes_the_first_moment_after_it() -> None:
    # In Berlin 02:00 to 03:00 did not exist on 31 March 2024.
    assert wall_ms(date(2024, 3, 31), time(2, 30), BERLIN) == at(2024, 3, 31, 3)


def test_a_gap_of_half_an_hour_is_handled_like_any_other() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")  # moves by 30 minutes: 02:00 to 02:30 on 6 October 2024
    assert wall_ms(date(2024, 10, 6), time(2, 15), lord_howe) == at(2024, 10, 6, 2, 30, zone=lord_howe)


def test_a_time_in_a_fold_is_the_first_of_the_two() -> None:
    assert wall_ms(date(2024, 10, 27), time(2, 30), BERLIN) == at(2024, 10, 27, 2, 30, fold=0)
    assert at(2024, 10, 27, 2, 30, fold=1) - at(2024, 10, 27, 2, 30, fold=0) == 3_600_000


def test_a_day_whose_midnight_does_not_exist_still_opens() -> None:
    sao_paulo = ZoneInfo("America/Sao_Paulo")  # at midnight of 4 November 2018 clocks went to 01:00
    night = Window(time(0), time(6), EVERY_DAY)
    now = at(2018, 11, 3, 12, zone=sao_paulo)
    assert moment(next_allowed(now, night, sao_paulo)).astimezone(sao_paulo) == datetime(2018, 11, 4, 1, tzinfo=sao_paulo)


@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001 - made aware below
    st.sampled_from(("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC")),
    st.integers(0, 22),
    st.integers(1, 12),
    st.frozensets(st.integers(0, 6), min_size=1),
)
def test_the_answer_is_open_not_in_the_past_and_stable(
    naive: datetime, name: str, opens: int, hours: int, weekdays: frozenset[int]
) -> None:
    zone = ZoneInfo(name)
    now = round(naive.replace(tzinfo=UTC).timestamp() * 1000)
    window = Window(time(opens), time(min(23, opens + hours)), weekdays)
    found = next_allowed(now, window, zone)
    assert found >= now
    assert next_allowed(found, window, zone) == found
    assert is_open(found, window, zone)
    offset = moment(found).astimezone(zone).utcoffset()
    # Nothing earlier is open: look at every quarter of an hour in between.
    for probe in range(now, min(found, now + 2 * DAY_MS), 900_000):
        if offset == moment(probe).astimezone(zone).utcoffset():
            assert not is_open(probe, window, zone) or probe == found


def test_an_unknown_zone_falls_back_to_the_firms() -> None:
    for name in ("", "Mars/Olympus", "../etc/passwd", "Europe", "Zone\x00"):
        assert zone_named(name, "Europe/Berlin").key == "Europe/Berlin"
    assert zone_named("Asia/Tokyo", "Europe/Berlin").key == "Asia/Tokyo"


def test_due_dates_roll_to_business_days() -> None:
    assert roll_forward(date(2024, 6, 30)) == date(2024, 7, 1)  # a Sunday
    assert roll_forward(date(2024, 12, 25), frozenset({date(2024, 12, 25)})) == date(2024, 12, 26)
    saturday = at(2024, 6, 1, 12)
    assert rolled_ms(saturday, BERLIN) == saturday + 2 * DAY_MS
    assert rolled_ms(at(2024, 6, 3, 12), BERLIN) == at(2024, 6, 3, 12)


@given(st.integers(-(10**12), 10**12))
def test_whole_days_count_towards_zero(span: int) -> None:
    assert abs(whole_days(span)) == abs(span) // DAY_MS
    assert whole_days(-span) == -whole_days(span)

"""When a step is due: every anchor's base, every unit, month ends, weekends, holidays and changes of the clock."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.policy.timing import Anchor, Timing, Unit, due_ms, in_words
from models.workdays import moment

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
CHRISTMAS = frozenset({date(2024, 12, 25), date(2024, 12, 26)})


@pytest.mark.parametrize(
    ("base", "wanted", "zone", "due"),
    [
        ("2024-01-10T15:00", "36 hours", BERLIN, "2024-01-12T03:00"),
        ("2024-03-30T12:00", "24 hours", BERLIN, "2024-03-31T12:00"),
        ("2024-01-10T15:00", "-2 hours", BERLIN, "2024-01-10T13:00"),
        ("2024-01-10T15:00", "3 days", BERLIN, "2024-01-12T23:00"),
        ("2024-03-30T12:00", "1 days 09:00", BERLIN, "2024-03-31T07:00"),
        ("2024-03-30T12:00", "1 days 02:30", BERLIN, "2024-03-31T01:00"),
        ("2024-10-26T12:00", "1 days 02:30", BERLIN, "2024-10-27T00:30"),
        ("2024-01-10T02:00", "0 days", NEW_YORK, "2024-01-10T02:00"),
        ("2024-01-10T15:00", "0 days 09:00", NEW_YORK, "2024-01-10T15:00"),
        ("2024-01-10T13:00", "0 days 09:00", NEW_YORK, "2024-01-10T14:00"),
        ("2024-01-10T02:00", "1 days 09:00", NEW_YORK, "2024-01-10T14:00"),
        ("2024-01-12T15:00", "1 business_days", BERLIN, "2024-01-14T23:00"),
        ("2024-01-13T15:00", "1 business_days 09:00", BERLIN, "2024-01-15T08:00"),
        ("2024-01-13T15:00", "0 business_days 09:00", BERLIN, "2024-01-15T08:00"),
        ("2024-12-24T15:00", "1 business_days 09:00", BERLIN, "2024-12-27T08:00"),
        ("2024-12-27T15:00", "-1 business_days 09:00", BERLIN, "2024-12-24T08:00"),
        ("2024-01-15T15:00", "-5 business_days", BERLIN, "2024-01-07T23:00"),
        ("2024-03-20T15:00", "2 weeks 09:00", BERLIN, "2024-04-03T07:00"),
        ("2024-03-20T15:00", "-2 weeks 09:00", BERLIN, "2024-03-06T08:00"),
        ("2024-01-31T15:00", "1 months 09:00", BERLIN, "2024-02-29T08:00"),
        ("2023-01-31T15:00", "1 months 09:00", BERLIN, "2023-02-28T08:00"),
        ("2024-03-31T15:00", "-1 months 09:00", BERLIN, "2024-02-29T08:00"),
        ("2024-11-30T15:00", "3 months 09:00", BERLIN, "2025-02-28T08:00"),
        ("2024-01-15T15:00", "-13 months 09:00", BERLIN, "2022-12-15T08:00"),
    ],
)
def test_a_step_is_due_on_the_clients_own_calendar(base: str, wanted: str, zone: ZoneInfo, due: str) -> None:
    count, unit, *at = wanted.split()
    timing = Timing(Anchor.PAYMENT, int(count), Unit(unit), time.fromisoformat(at[0]) if at else None)
    begin = epoch_ms(datetime.fromisoformat(base).replace(tzinfo=UTC))
    assert moment(due_ms(begin, timing, zone, CHRISTMAS)) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@given(st.integers(0, 2**41), st.integers(0, 60), st.sampled_from(Unit), st.sampled_from((BERLIN, NEW_YORK)))
@settings(max_examples=60)
def test_more_units_are_never_earlier_and_never_before_the_anchor(base_ms: int, count: int, unit: Unit, zone: ZoneInfo) -> None:
    first, second = (due_ms(base_ms, Timing(Anchor.DUE, each, unit), zone) for each in (count, count + 1))
    assert base_ms <= first <= second


def test_a_timing_is_said_in_words() -> None:
    assert in_words(Timing(Anchor.PAYMENT, 1, Unit.BUSINESS_DAYS, time(9))) == "1 business day after the payment, at 09:00"
    assert in_words(Timing(Anchor.RENEWAL, -10, Unit.WEEKS)) == "10 weeks before the renewal"
    assert in_words(Timing(Anchor.ISSUE, 0, Unit.DAYS)) == "on the day of the invoice"
    assert in_words(Timing(Anchor.ISSUE, 0, Unit.HOURS)) == "at once after the invoice"

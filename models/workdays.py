"""Days, zones and office hours: when money falls due and when a person may be contacted. Holidays are an argument.

Written rules, each with a test:

* a wall-clock time that a clock change leaves out (a *gap*) becomes the first moment after the gap;
* a wall-clock time that happens twice (a *fold*) means the first of the two;
* a zone that nobody knows falls back to the firm's, never to a guess;
* a due date on a day without business rolls to the next business day.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
WORKWEEK: Final = frozenset({0, 1, 2, 3, 4})
NO_HOLIDAYS: Final[frozenset[date]] = frozenset()
# Longer than any run of holidays; a calendar without a single open day is a mistake of its author.
_HORIZON_DAYS = 400
LEAST_MINUTES: Final = 30
"""The shortest time in a day in which messages can be relied on to leave; a wish that leaves less is not met."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS: Final = (datetime(10, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST_MS: Final = (datetime(9990, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_UTC: Final = ZoneInfo("UTC")


class ClosedCalendarError(ValueError):
    """No day is open within 400 days: the window has no weekday or the holidays cover all of them."""


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of local time in which contact is welcome: from `opens` up to, not including, `closes`, on `weekdays` (Monday 0)."""

    opens: time = time(8)
    closes: time = time(18)
    weekdays: frozenset[int] = WORKWEEK

    def __post_init__(self) -> None:
        """Refuse a window that is never open."""
        if self.opens >= self.closes:
            message = f"a window opens before it closes, got {self.opens} to {self.closes}"
            raise ValueError(message)


@lru_cache(maxsize=1024)
def zone_named(name: str, fallback: str) -> ZoneInfo:
    """Return the IANA zone `name`, or `fallback` where `name` is empty or unknown."""
    try:
        return ZoneInfo(name or fallback)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the zone database
        return ZoneInfo(fallback)


def moment(ms: int) -> datetime:
    """Return epoch milliseconds as an aware UTC datetime, exactly; what lies beyond the years 10 to 9990 as their ends.

    Senders write 9999-12-31 for "never". Days and zones are counted on from what this returns, and the calendar ends there.
    """
    return _EPOCH + timedelta(milliseconds=min(max(ms, _FIRST_MS), _LAST_MS))


def local_day(ms: int, zone: ZoneInfo) -> date:
    """Return the calendar day on which `ms` falls in `zone`."""
    return moment(ms).astimezone(zone).date()


def wall_ms(day: date, at: time, zone: ZoneInfo) -> int:
    """Return the epoch ms of wall-clock `at` on `day` in `zone`, by the rules for gaps and folds above."""
    wall = datetime.combine(day, at, tzinfo=zone)
    guess = wall.astimezone(UTC)
    if guess.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return _ms(guess)
    # In a gap fold=1 gives a moment before the change and fold=0 one after it; the change itself lies between the two.
    before, after = _ms(wall.replace(fold=1).astimezone(UTC)), _ms(guess)
    offset = moment(after).astimezone(zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if moment(middle).astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=16_384)
def next_allowed(now_ms: int, window: Window, zone: ZoneInfo, holidays: AbstractSet[date] = NO_HOLIDAYS) -> int:
    """Return the first moment at or after `now_ms` inside `window` in `zone` on a day that is no holiday (epoch ms).

    A moment already inside is returned as it is. `holidays` must be hashable (a frozenset of days in the client's country).
    Raises ClosedCalendarError when no day within 400 is open.
    """
    local = moment(now_ms).astimezone(zone)
    day = local.date()
    if _open_day(day, window.weekdays, holidays):
        clock = local.time()
        if window.opens <= clock < window.closes:
            return now_ms
        if clock < window.opens:
            return max(now_ms, wall_ms(day, window.opens, zone))
    for _ in range(_HORIZON_DAYS):
        day += timedelta(days=1)
        if _open_day(day, window.weekdays, holidays):
            return max(now_ms, wall_ms(day, window.opens, zone))
    message = f"no day within {_HORIZON_DAYS} days is open: check the weekdays of the window and the holidays"
    raise ClosedCalendarError(message)


@lru_cache(maxsize=4096)
def narrowed(window: Window, hours: str) -> Window:
    """Return the part of a window within `hours` (09:00-12:00); the window as it is where that is too little to write in."""
    begins, _, ends = hours.partition("-")
    if not ends:
        return window  # no hours but a word: any
    opens, closes = max(window.opens, time.fromisoformat(begins)), min(window.closes, time.fromisoformat(ends))
    if 60 * closes.hour + closes.minute < 60 * opens.hour + opens.minute + LEAST_MINUTES:
        return window
    return replace(window, opens=opens, closes=closes)


def bounded(window: Window, earliest: time, latest: time) -> Window:
    """Return the part of a window from `earliest` to `latest`; these themselves where it lies wholly outside of them."""
    opens, closes = max(window.opens, earliest), min(window.closes, latest)
    return replace(window, opens=opens, closes=closes) if opens < closes else replace(window, opens=earliest, closes=latest)


def roll_forward(day: date, holidays: AbstractSet[date] = NO_HOLIDAYS) -> date:
    """Return `day`, or the next business day where there is no business on it."""
    for _ in range(_HORIZON_DAYS):
        if _open_day(day, WORKWEEK, holidays):
            return day
        day += timedelta(days=1)
    message = f"no business day within {_HORIZON_DAYS} days: check the holidays"
    raise ClosedCalendarError(message)


@lru_cache(maxsize=16_384)
def rolled_ms(due_ms: int, zone: ZoneInfo, holidays: AbstractSet[date] = NO_HOLIDAYS) -> int:
    """Return `due_ms` moved by whole days to the next business day in `zone`; unchanged on a business day."""
    day = local_day(due_ms, zone)
    return due_ms + (roll_forward(day, holidays) - day).days * DAY_MS


@lru_cache(maxsize=16_384)
def bank_days_on(at_ms: int, days: int, zone: ZoneInfo = _UTC, holidays: AbstractSet[date] = NO_HOLIDAYS) -> int:
    """Return `at_ms` moved by whole days to where `days` further days of business have passed in `zone`: as a transfer takes."""
    begun = day = local_day(at_ms, zone)
    for _ in range(days):
        day = roll_forward(day + timedelta(days=1), holidays)
    return at_ms + (day - begun).days * DAY_MS


def whole_days(ms: int) -> int:
    """Return how many whole days a span of milliseconds holds, towards zero: an hour late is not a day late."""
    return ms // DAY_MS if ms >= 0 else -(-ms // DAY_MS)


def _ms(value: datetime) -> int:
    return (value - _EPOCH) // timedelta(milliseconds=1)


def _open_day(day: date, weekdays: AbstractSet[int], holidays: AbstractSet[date]) -> bool:
    return day.weekday() in weekdays and day not in holidays

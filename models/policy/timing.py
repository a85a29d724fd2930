"""When a step of a firm's own journey is due: so many units before or after an anchor, on the client's own calendar. Pure.

Hours are elapsed time. Days, weeks and months are days of the calendar in the client's zone ("on day 3 at 09:00"), whatever the
clocks did meanwhile; a month that has no such day means its last one. Business days leave out weekends and holidays.
"""

from calendar import monthrange
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from models.workdays import HOUR_MS, NO_HOLIDAYS, WORKWEEK, local_day, roll_forward, wall_ms

_MIDNIGHT: Final = time(0)
_YEAR: Final = 12


class Anchor(StrEnum):
    """What a step counts from."""

    ISSUE = "issue"
    DUE = "due"
    PROMISED = "promised"
    RENEWAL = "renewal"
    LAST_CONTACT = "last_contact"
    PAYMENT = "payment"


class Unit(StrEnum):
    """What a step counts in."""

    HOURS = "hours"
    DAYS = "days"
    BUSINESS_DAYS = "business_days"
    WEEKS = "weeks"
    MONTHS = "months"


@dataclass(frozen=True, slots=True)
class Timing:
    """`count` units after the anchor (before it where negative), at wall-clock `at`; none: from the beginning of that day on."""

    anchor: Anchor
    count: int
    unit: Unit
    at: time | None = None


@lru_cache(maxsize=16_384)
def due_ms(base_ms: int, timing: Timing, zone: ZoneInfo, holidays: AbstractSet[date] = NO_HOLIDAYS) -> int:
    """Return when a step is due whose anchor lies at `base_ms` (epoch ms). One that follows its anchor is never due before it."""
    if timing.unit is Unit.HOURS:
        return base_ms + timing.count * HOUR_MS
    day = _moved(local_day(base_ms, zone), timing, holidays)
    at = wall_ms(day, timing.at or _MIDNIGHT, zone)
    return max(at, base_ms) if timing.count >= 0 else at


def _moved(day: date, timing: Timing, holidays: AbstractSet[date]) -> date:
    match timing.unit:
        case Unit.WEEKS:
            return day + timedelta(weeks=timing.count)
        case Unit.MONTHS:
            years, month = divmod(day.month - 1 + timing.count, _YEAR)
            year = day.year + years
            return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
        case Unit.BUSINESS_DAYS:
            return _business_days(day, timing.count, holidays)
        case _:
            return day + timedelta(days=timing.count)


def _business_days(day: date, count: int, holidays: AbstractSet[date]) -> date:
    """Return the day `count` business days on; 0: this day, or the next one with business."""
    if not count:
        return roll_forward(day, holidays)
    one = timedelta(days=1 if count > 0 else -1)
    left = abs(count)
    while left:
        day += one
        left -= day.weekday() in WORKWEEK and day not in holidays
    return day


def in_words(timing: Timing) -> str:
    """Say when: `10 business days after the payment, at 09:00`."""
    unit = timing.unit.value.replace("_", " ")
    many = f"{abs(timing.count)} {unit if abs(timing.count) != 1 else unit.removesuffix('s')}"
    side = "after" if timing.count >= 0 else "before"
    when = f"{many} {side} {ANCHORS[timing.anchor]}" if timing.count else f"on the day of {ANCHORS[timing.anchor]}"
    if not timing.count and timing.unit is Unit.HOURS:
        when = f"at once after {ANCHORS[timing.anchor]}"
    return when + (f", at {timing.at:%H:%M}" if timing.at else "")


ANCHORS: Final = {
    Anchor.ISSUE: "the invoice",
    Anchor.DUE: "the due date",
    Anchor.PROMISED: "the promised day",
    Anchor.RENEWAL: "the renewal",
    Anchor.LAST_CONTACT: "the last contact",
    Anchor.PAYMENT: "the payment",
}
"""Anchors in words."""

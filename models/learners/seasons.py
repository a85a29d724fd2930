"""Times of the year that differ from the rest: when many contracts renew (a cliff), when less goes well (a freeze), or more.

Counted by half months, each with the years in which anything fell into it. A half month is told apart only when it did so in two
years at least, by more than chance does to one of twenty-four, and by enough to matter.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

import msgspec

from models.workdays import DAY_MS, moment

HALVES: Final = 24
FIRST_HALF_DAYS: Final = 15
_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_YEAR_DAYS: Final = 365.0
_SURE: Final = 3.1  # standard errors: one of 24 half months goes beyond them by chance in one firm of twenty
_CROWDED: Final = 2.0  # times the usual number
_APART: Final = 0.1  # difference of shares
_YEARS: Final = 2
_FIRST_YEAR: Final = 1970


class Mark(StrEnum):
    """What a half month is, against the rest of the year."""

    CLIFF = "cliff"
    FREEZE = "freeze"
    FAVOURABLE = "favourable"


class SeasonTally(msgspec.Struct):
    """Of each half month of the year: how many fell into it, how many of them went well, and in which years (bits from 1970)."""

    known: list[int] = msgspec.field(default_factory=lambda: [0] * HALVES)
    good: list[int] = msgspec.field(default_factory=lambda: [0] * HALVES)
    years: list[int] = msgspec.field(default_factory=lambda: [0] * HALVES)

    def see(self, day: int, *, good: bool) -> None:
        """Count one that fell due on a day since 1970-01-01."""
        date = moment(day * DAY_MS)
        place = 2 * (date.month - 1) + (date.day > FIRST_HALF_DAYS)
        self.known[place] += 1
        self.good[place] += good
        self.years[place] |= 1 << max(0, date.year - _FIRST_YEAR)


@dataclass(frozen=True, slots=True)
class HalfMonth:
    """One half month: its first and last day (`MM-DD`), how many fell into it, the share that went well, and what it is."""

    first: str
    last: str
    known: int
    share: float | None
    marks: tuple[Mark, ...]


def halves_of(tally: SeasonTally, *, crowds: bool = False) -> list[HalfMonth]:
    """Return all half months in order. With `crowds` those into which far more falls than usual are cliffs."""
    known, good = sum(tally.known), sum(tally.good)
    found = []
    for place in range(HALVES):
        count, well = tally.known[place], tally.good[place]
        rest, rest_well = known - count, good - well
        marks = []
        if tally.years[place].bit_count() >= _YEARS and rest:
            if crowds and _is_crowded(count, known, days=_days(place)):
                marks.append(Mark.CLIFF)
            apart = well / count - rest_well / rest
            if abs(apart) >= _APART and abs(apart) >= _SURE * _error(count, rest, good / known):
                marks.append(Mark.FAVOURABLE if apart > 0 else Mark.FREEZE)
        first, last = _span(place)
        found.append(HalfMonth(first, last, count, well / count if count else None, tuple(marks)))
    return found


def stretches(halves: list[HalfMonth], mark: Mark) -> list[tuple[str, str]]:
    """Return the days of the year so marked, neighbouring half months together, over the New Year too."""
    places = [place for place, row in enumerate(halves) if mark in row.marks]
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    if len(runs) > 1 and runs[0][0] == 0 and runs[-1][-1] == HALVES - 1:
        runs[0] = runs.pop() + runs[0]
    return [(halves[run[0]].first, halves[run[-1]].last) for run in runs]


def _is_crowded(count: int, known: int, *, days: int) -> bool:
    usual = known * days / _YEAR_DAYS
    return count >= _CROWDED * usual and count - usual >= _SURE * sqrt(usual)


def _error(one: int, other: int, share: float) -> float:
    return sqrt(share * (1 - share) * (1 / one + 1 / other))


def _days(place: int) -> int:
    return _LENGTHS[place // 2] - FIRST_HALF_DAYS if place % 2 else FIRST_HALF_DAYS


def _span(place: int) -> tuple[str, str]:
    month = place // 2
    first, last = (FIRST_HALF_DAYS + 1, _LENGTHS[month]) if place % 2 else (1, FIRST_HALF_DAYS)
    return f"{month + 1:02}-{first:02}", f"{month + 1:02}-{last:02}"

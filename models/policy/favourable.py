"""When a client can decide about money: the days of the year that a relationship manager has entered as favourable.

A fiscal year that begins in July, a grant that is spent by March: nobody can read that from payments. An override of effect
`window` says it for every year until it expires. Care before a renewal then begins within those days, where its own days fall
outside; it makes no message firmer, and none says what we know.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from models.events.signals import OverrideEffect
from models.policy.journeys import Season
from models.policy.playbooks import is_in_season
from models.state.client import ClientState
from models.state.person import in_force
from models.state.windows import day_of
from models.workdays import DAY_MS

AHEAD_DAYS: Final = 90
"""Care before a renewal begins at most so many days ahead of it: when its chance is asked for the first time."""

DECIDING_DAYS: Final = 30
"""And at most so many before the window closes: time enough to decide, and not earlier than it helps."""


@dataclass(frozen=True, slots=True)
class Window:
    """Days of every year in which the client can decide, and who said so."""

    season: Season
    who: str

    @property
    def words(self) -> str:
        """The window for people."""
        return f"they can decide from {self.season.first} to {self.season.last} ({self.who})"


def read_season(text: str) -> Season | None:
    """Return the days of the year written as `07-01..09-15`; None for anything else, the 29th of February included."""
    first, mark, last = text.partition("..")
    return Season(first, last) if mark and _is_day(first) and _is_day(last) else None


def read_seasons(text: str) -> tuple[Season, ...]:
    """Return the stretches of the year written as `03-01..03-31,09-01..09-30`; none if any part is anything else."""
    found = [read_season(part) for part in text.split(",")]
    known = tuple(season for season in found if season is not None)
    return known if len(known) == len(found) else ()


def windows(state: ClientState) -> list[Window]:
    """Return the windows that hold at the client's logical time, in the order in which they were entered."""
    rows = [row for row in state.person.overrides if row.effect == OverrideEffect.WINDOW.value and in_force(row, state.now_ms)]
    rows.sort(key=lambda row: (row.set_at, row.override_id))
    return [Window(season, f"{row.author}: {row.reason}") for row in rows for season in read_seasons(row.value)]


def is_outside(state: ClientState, at_ms: int) -> bool:
    """Say whether windows are known and a moment lies in none of them."""
    seasons = _seasons(state)
    return bool(seasons) and not is_in_season(day_of(at_ms), seasons)


def favourable_ms(state: ClientState, *, usual_ms: int, end_ms: int, renews_ms: int) -> int | None:
    """Return when care before a renewal begins within a window, instead of at `usual_ms`.

    None where that needs no change: a day between `usual_ms` and `end_ms` lies in a window, none of the days from `AHEAD_DAYS`
    before the renewal on does, or those that do are over.
    """
    seasons = _seasons(state)
    usual, earliest = day_of(usual_ms), day_of(renews_ms) - AHEAD_DAYS
    if not seasons or any(is_in_season(day, seasons) for day in range(usual, day_of(end_ms - 1) + 1)):
        return None
    days = [day for day in range(earliest, usual) if is_in_season(day, seasons)]
    if not days or days[-1] < day_of(state.now_ms):
        return None
    # Of several stretches the last: the nearest to the renewal.
    begin = next(day for day in reversed(days) if day - 1 not in days)
    return max(begin, days[-1] - DECIDING_DAYS) * DAY_MS


def _seasons(state: ClientState) -> tuple[Season, ...]:
    return tuple(row.season for row in windows(state)) if state.person.overrides else ()


def _is_day(text: str) -> bool:
    try:
        return f"{date.fromisoformat(f'2001-{text}'):%m-%d}" == text
    except ValueError:
        return False

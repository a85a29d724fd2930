"""When a client seems to decide about money: months that came back year after year, as a proposal for a person to confirm.

Nothing acts upon it. Confirmed, it is an override of effect `window` (see models.policy.favourable).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import comb
from typing import Final

from models.policy.favourable import windows
from models.policy.journeys import Season
from models.state.client import ClientState
from models.workdays import DAY_MS, moment

SURE: Final = 0.02
"""Chance at most with which months drawn at random would come back as often: two months in two years, one in three."""

MOST_MONTHS: Final = 4
"""Who decides in more months of the year has no window."""

STRAY: Final = 0.25
"""Share at most of the months with a decision that came only once in a while."""

_YEAR: Final = 12
_HOLDS_DAYS: Final = 730
_LEAST_YEARS: Final = 2
_ENDS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Deciding:
    """Months of the year that came back in each of so many years; `chance` is that of an accident, `today` since 1970-01-01."""

    months: tuple[int, ...]
    years: int
    chance: float
    today: int

    @property
    def seasons(self) -> tuple[Season, ...]:
        """The days of the year, neighbouring months together, over the New Year too."""
        runs: list[list[int]] = []
        for month in self.months:
            if runs and runs[-1][-1] == month - 1:
                runs[-1].append(month)
            else:
                runs.append([month])
        if len(runs) > 1 and runs[0][0] == 1 and runs[-1][-1] == _YEAR:
            runs[0] = runs.pop() + runs[0]
        return tuple(Season(f"{run[0]:02}-01", f"{run[-1]:02}-{_ENDS[run[-1] - 1]}") for run in runs)

    @property
    def value(self) -> str:
        """The value of an override that says the same."""
        return ",".join(f"{row.first}..{row.last}" for row in self.seasons)

    @property
    def words(self) -> str:
        """The proposal for people."""
        spans = " and ".join(f"from {row.first} to {row.last}" for row in self.seasons)
        return f"they seem to decide {spans}: so in each of the last {self.years} years (by chance: {self.chance:.1%}); confirm?"

    def command(self, client_id: str) -> str:
        """Return what confirms it for two years, ready to paste."""
        until = moment((self.today + _HOLDS_DAYS) * DAY_MS).date()
        said = f'--window {self.value} --reason "they decide then, confirmed" --until {until}'
        return f"rapport overrides set {client_id} --effect window {said}"


def deciding(days: Iterable[int], *, first_day: int, today: int) -> Deciding | None:
    """Return the months that came back, None where evidence is too thin.

    `days` are those since 1970-01-01 on which the client decided or paid, `first_day` is from when on it would have been noticed.
    Years are counted back from the last whole month; there must be two.
    """
    last = _month(today) - 1
    years = (last - _month(first_day)) // _YEAR  # the month of the first day itself was not seen whole
    if years < _LEAST_YEARS:
        return None
    seen = {month for day in days if last - years * _YEAR < (month := _month(day)) <= last}
    sets = [{month % _YEAR + 1 for month in seen if (last - month) // _YEAR == year} for year in range(years)]
    common = set.intersection(*sets)
    total, strays = sum(map(len, sets)), sum(len(row - common) for row in sets)
    if not 1 <= len(common) <= MOST_MONTHS or strays > STRAY * total:
        return None
    chance = float(comb(_YEAR, len(common)))
    for row in sets:
        chance *= comb(_YEAR - len(common), len(row) - len(common)) / comb(_YEAR, len(row))
    return Deciding(tuple(sorted(common)), years, chance, today) if chance <= SURE else None


def begun(state: ClientState) -> Deciding | None:
    """Return when a client seems to decide by the contracts that it began, as far as its state remembers them."""
    days = [row.started_ms // DAY_MS for row in state.person.contracts if row.started_ms]
    return deciding(days, first_day=min(days), today=state.now_ms // DAY_MS) if days else None


def proposal_lines(state: ClientState) -> Iterator[str]:
    """Yield the proposal and how it is confirmed; nothing where a manager has said already when they decide."""
    found = None if windows(state) else begun(state)
    if found is not None:
        yield found.words
        yield f"  {found.command(state.client_id)}"


def _month(day: int) -> int:
    date = moment(day * DAY_MS)
    return date.year * _YEAR + date.month - 1

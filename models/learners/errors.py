"""How far predictions of the day of payment are off: fading histograms of errors, per group of clients, and their quantiles.

An error is counted in units of the client's own scale, in cells that grow with their distance from zero. What an invoice that is
still open will show is unknown beyond the days it has been open: its weight is spread over what lies beyond, as the others went
(redistribution to the right, Efron 1967), and taken back when its day becomes known. A group of which little is known leans on
all of them, and before anything is known on a wide guess.
"""

from bisect import bisect_right
from typing import Final

import numpy as np

from models.learners.daily import Daily
from models.learners.expansion import Vector
from models.learners.pay_range import GROUPS, LEVELS

CELLS: Final = 96
_REACH: Final = 4.2  # of the arcus sinus hyperbolicus: errors up to 33 scales are told apart
_EDGES: Final[Vector] = np.sinh(np.linspace(-_REACH, _REACH, CELLS + 1))
_FADE: Final = 0.995  # per error: about the last 200 count where few are paid a day, so that a range follows a firm that changes
_A_DAY: Final = 5  # errors of a day that fade what was seen: a window is weeks long also where hundreds are paid a day
_POOLED: Final = 15.0  # errors of all groups that weigh with a group's own
_GUESSED: Final = 8.0  # errors that the first guess weighs
_BELOW: Final = 0.7  # mean error of the guess on either side, in scales: late is further than early
_ABOVE: Final = 0.9


def _guess() -> Vector:
    with np.errstate(over="ignore"):
        below, above = 0.5 * np.exp(np.minimum(_EDGES, 0.0) / _BELOW), 1.0 - 0.5 * np.exp(-np.maximum(_EDGES, 0.0) / _ABOVE)
    found: Vector = np.diff(np.where(_EDGES < 0, below, above))
    return _scaled(found)


def _scaled(row: Vector) -> Vector:
    """Return the row with a sum of 1."""
    found: Vector = row / row.sum()
    return found


_GUESS: Final = _guess()


class Errors:
    """Errors of one days learner: one row per group of clients, and one for all of them together."""

    def __init__(self) -> None:
        """Start with the guess alone."""
        self.rows: Vector = np.zeros((len(GROUPS) + 1, CELLS))
        self._daily = [Daily(_A_DAY) for _ in self.rows]

    def turn(self) -> None:
        """Begin a new day."""
        for daily in self._daily:
            daily.turn()

    def see(self, group: int, error: float, *, open_after: float | None = None) -> None:
        """Count an error; `open_after` is the error at which it had been counted as open."""
        change = np.zeros(CELLS)
        change[_cell(error)] = 1.0
        self._add(group, change, open_after)

    def see_open(self, group: int, error: float, *, open_after: float | None = None) -> None:
        """Count an error that will be at least `error`; `open_after` as in `see`."""
        self._add(group, self._beyond(group, error), open_after)

    def quantiles(self) -> tuple[tuple[float, ...], ...]:
        """Return for each group the error at each of `LEVELS`, in scales."""
        found = []
        for group in range(len(GROUPS)):
            reached = np.concatenate(([0.0], np.cumsum(self.shares(group))))
            found.append(tuple(np.interp(LEVELS, reached, _EDGES).tolist()))
        return tuple(found)

    def shares(self, group: int) -> Vector:
        """Return how the errors of a group are spread over the cells; they add up to 1."""
        pool = self.rows[-1] + _GUESSED * _GUESS
        row: Vector = self.rows[group] + pool * (_POOLED / pool.sum())
        return _scaled(row)

    def _beyond(self, group: int, error: float) -> Vector:
        found = self.shares(group)
        found[: _cell(error)] = 0.0
        return _scaled(found)

    def _add(self, group: int, change: Vector, open_after: float | None) -> None:
        """Add what is known now in the place of what was known before; an invoice ages the window once."""
        if open_after is not None:
            change -= self._beyond(group, open_after)
        for place in (group, len(GROUPS)):
            row = self.rows[place]
            if open_after is None and self._daily[place].ages():
                row *= _FADE
            row += change
            np.maximum(row, 0.0, out=row)

    def dump(self) -> bytes:
        """Return what `load` continues from."""
        return self.rows.tobytes()

    def load(self, raw: bytes) -> None:
        """Continue from what `dump` gave."""
        self.rows = np.frombuffer(raw).reshape(self.rows.shape).copy()


_BOUNDS: Final = tuple(_EDGES[1:-1].tolist())


def _cell(error: float) -> int:
    return bisect_right(_BOUNDS, error)

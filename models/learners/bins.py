"""Steps added to the straight lines: a few features cut into bins, so that a linear learner can bend.

Cut points are fixed numbers of the feature's own unit, never taken from data: nothing can leak through them and a snapshot needs
no copy. One weight per bin is looked up when scoring, so the bend costs a search of a dozen short lists.
"""

from dataclasses import dataclass
from typing import Final

from models.features import FEATURES, INDEX, LATE_DAYS

BIN_VALUE: Final = 0.7  # below 1: a bin may move a score less than a straight line does


@dataclass(frozen=True, slots=True)
class Cut:
    """A feature, its cut points, and where its bins start in the expanded vector. A value on a cut belongs below it."""

    place: int
    points: tuple[float, ...]
    start: int


_SHARES: Final = (-2.0, -1.0, -0.3, 0.3, 1.0, 2.0)
_DAYS: Final = (-0.7, -0.2, 0.2, 0.7, 1.5)
_RUNS: Final = (-1.0, -0.4, -0.1, 0.1, 0.4, 1.0)
_OWN: Final = (("still_open", _SHARES), ("payday_open", _SHARES), ("run_open", _SHARES), ("next_run", _RUNS))
_POINTS: Final = (
    ("payday_days", _DAYS),
    ("payday_wait", (-1.0, -0.5, 0.0, 0.5, 1.0)),
    ("median_days", _DAYS),
    ("last_days", _DAYS),
    ("to_go", (-0.45, -0.3, 0.0, 0.3)),
    ("entered_late", (0.1, 0.5, 1.5)),
    ("amount_firm", (-1.0, -0.3, 0.3, 1.0)),
    ("age", (-0.5, 0.0, 0.5)),
)
LINES: Final = len(FEATURES) + 1
"""The intercept and one slope per feature come first."""


def _cuts(days: int) -> tuple[Cut, ...]:
    found, start = [], LINES
    own = ((f"{name}_{days}", points) for name, points in _OWN)
    for name, points in (*own, *_POINTS):
        found.append(Cut(INDEX[name], points, start))
        start += len(points) + 1
    return tuple(found)


CUTS: Final = {days: _cuts(days) for days in LATE_DAYS}
"""The cut features for each meaning of late: its own shares and runs, and those that all have in common."""

WIDTH: Final = CUTS[LATE_DAYS[0]][-1].start + len(_POINTS[-1][1]) + 1
"""Length of the expanded vector: intercept, slopes, bins."""

"""What is promised about the day of payment: levels, groups of clients whose range is kept honest apart, a client's scale."""

from bisect import bisect_left
from typing import Final

from models.features import INDEX

DAYS_UNIT: Final = 15.0
"""Days per unit of the features about days, and of what regressions and trees say of the day of payment."""

LEVELS: Final = (0.05, 0.5, 0.9, 0.95)
"""The days that are stored with a question: low end, middle, "by then with 90 %", high end of the 90 % range."""

_MEDIAN: Final = INDEX["median_days"]
_SPREAD: Final = INDEX["spread_days"]
_FEW: Final = INDEX["few_outcomes"]
_EDGES: Final = (0.0, 0.5)

GROUPS: Final = ("too little history", "usually on time", "usually up to a week late", "usually later")
"""Groups of clients whose range is kept honest apart, by what is known when the question is put."""


def group_of(features: tuple[float, ...]) -> int:
    """Return the place in `GROUPS` of a client with such features."""
    return 0 if features[_FEW] else 1 + bisect_left(_EDGES, features[_MEDIAN])


def scale_of(features: tuple[float, ...]) -> float:
    """Return the days by which the middle is typically off for such a client: by their own spread, at least five days."""
    return 5.0 + 3.0 * features[_SPREAD]


INWARD: Final = (1.0, 0.0, -1.0, -1.0)
"""Days by which the levels are drawn in: a promise is rounded outward to whole days, which alone would make it hold too often."""

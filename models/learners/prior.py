"""What the lines of a new firm begin from: weights that held for other firms, drawn to zero, and how uncertain they are.

A prior, not knowledge: a few hundred answers of the firm overrule it. The means are a table that
`python -m tests.models.prior_means` writes and says the origin of (docs/decisions, *A firm begins with what holds for others*).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features import FEATURES, LATE_DAYS, TABLE, Family, Landmark
from models.learners.bins import WIDTH
from models.learners.expansion import Vector
from models.learners.prior_means import DAYS_MEANS, MEANS, MEANS_TABLE

HEADS: Final = tuple(
    (landmark, days)
    for landmark in Landmark
    for days in LATE_DAYS
    if not (landmark is Landmark.WEEK_AFTER and days == LATE_DAYS[0])  # decided by then
)
"""Landmark and meaning of "late" of every head."""

WORTH: Final = 100
"""Answers that the prior counts as where a learner slows down with the answers it has seen, and where a line is called young."""

_VARIANCE: Final = 0.05
_VARIANCE_DAYS: Final = 0.01
_VARIANCE_INTERCEPT: Final = 1.0
_VARIANCE_SEASON: Final = 0.02  # the calendar may explain little, or it explains everything by accident


def prior_variances() -> Vector:
    """Return how uncertain each weight of a head is before any answer."""
    found = np.full(WIDTH, _VARIANCE)
    found[0] = _VARIANCE_INTERCEPT
    for place, row in enumerate(FEATURES, 1):
        if row.family is Family.SEASON:
            found[place] = _VARIANCE_SEASON
    return found


def prior_means() -> Mapping[tuple[Landmark, int], Vector]:
    """Return the expanded weights that each head begins from: zeros where the table was written for other features."""
    return dict(zip(HEADS, rows_of(MEANS, len(HEADS), table=MEANS_TABLE), strict=True))


def days_variances() -> Vector:
    """Return how uncertain each weight of a days learner is before any settlement."""
    found = np.full(WIDTH, _VARIANCE_DAYS)
    found[0] = _VARIANCE_INTERCEPT
    return found


def days_means() -> Mapping[Landmark, Vector]:
    """Return the expanded weights that each days learner begins from, as `prior_means`."""
    return dict(zip(Landmark, rows_of(DAYS_MEANS, len(Landmark), table=MEANS_TABLE), strict=True))


def rows_of(raw: bytes, count: int, *, table: str) -> NDArray[np.float64]:
    """Return `count` rows of weights written as half-precision floats: zeros of another feature `table` or other bins."""
    numbers = np.frombuffer(raw, dtype="<f2").astype(np.float64)
    if table != TABLE or len(numbers) != count * WIDTH:
        numbers = np.zeros(count * WIDTH)
    return numbers.reshape(count, WIDTH)

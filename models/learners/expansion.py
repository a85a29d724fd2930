"""The expanded vector of a linear learner: intercept, features, bins."""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from models.learners.bins import BIN_VALUE, CUTS, LINES, WIDTH

Vector = NDArray[np.float64]


def expand(features: tuple[float, ...], *, days: int) -> Vector:
    """Return intercept, features and bins as one vector of `WIDTH` numbers."""
    wide = np.zeros(WIDTH)
    wide[0] = 1.0
    wide[1:LINES] = features
    for cut in CUTS[days]:
        wide[cut.start + bisect_left(cut.points, features[cut.place])] = BIN_VALUE
    return wide

"""How many days after due an invoice will be paid: the client's usual delay, corrected by a regression, with an honest range.

The middle is learned by a Kalman regression reweighted toward the absolute error (iteratively reweighted least squares), on top
of the client's shrunk median. The range comes from the errors that were really made: running quantiles of the error in units of
the client's own spread, moved after every settlement by how often they held (adaptive conformal inference, Gibbs, Candès 2021).
"""

from math import isfinite
from typing import Final

import numpy as np

from models.features import INDEX
from models.learners.expansion import WIDTH, Vector, expand
from models.learners.kalman import KalmanLinear

LEVELS: Final = (0.05, 0.5, 0.9, 0.95)
"""The days that are stored with a question: low end, middle, "by then with 90 %", high end of the 90 % range."""

_UNIT: Final = 15.0  # days per unit of the feature `median_days`
_FLATTEST: Final = 0.3  # errors below this share of the typical one count as equal: where the absolute loss is smoothed
_FORGETTING: Final = 0.9997
_PACE: Final = 0.01  # of the typical error
_STEP: Final = 0.06  # of the error quantiles, in units of scale
_START: Final = (-1.4, 0.0, 1.3, 1.7)
_MEDIAN: Final = INDEX["median_days"]
_SPREAD: Final = INDEX["spread_days"]


def scale_of(features: tuple[float, ...]) -> float:
    """Return the days by which the middle is typically off for such a client: their own spread, at least four days."""
    return 4.0 + 5.0 * features[_SPREAD]


class DaysLearner:
    """Middle and range of the days late at one landmark."""

    def __init__(self) -> None:
        """Start from the client's median and a wide range."""
        variances = np.full(WIDTH, 0.1)
        variances[0] = 1.0
        self.line = KalmanLinear(variances, forgetting=_FORGETTING)
        self.typical = 5.0
        self.quantiles: Vector = np.array(_START)
        self.pace = 1.0

    def middle(self, features: tuple[float, ...], wide: Vector) -> float:
        """Return the expected days late before the range is put around it."""
        return _UNIT * (features[_MEDIAN] + self.line.value(wide))

    def learn(self, features: tuple[float, ...], *, days_late: int) -> None:
        """Learn one settlement."""
        wide = expand(features, days=5)
        middle = self.middle(features, wide)
        days = float(min(max(days_late, -60), 120))
        error = days - middle
        if not isfinite(error):
            return
        held = error / scale_of(features)
        step = max(_STEP, 1.0 / (self.line.seen + 4)) * self.pace
        self.quantiles += step * (np.array(LEVELS) - (held <= self.quantiles))
        self.quantiles.sort()
        self.typical += max(_PACE, 1.0 / (self.line.seen + 20)) * (abs(error) - self.typical)
        weight = 1.0 / max(abs(error) / self.typical, _FLATTEST)
        self.line.learn_number(wide, error=error / _UNIT, noise=1.5 * (self.typical / _UNIT) ** 2 / weight)

    def dump(self) -> tuple[bytes, bytes, int, float, bytes]:
        """Return what `load` continues from."""
        return (*self.line.dump(), self.typical, self.quantiles.tobytes())

    def load(self, mean: bytes, packed: bytes, seen: int, typical: float, quantiles: bytes) -> None:
        """Continue from what `dump` gave."""
        self.line.load(mean, packed, seen)
        self.typical = typical
        self.quantiles = np.frombuffer(quantiles).copy()

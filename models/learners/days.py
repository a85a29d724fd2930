"""How many days after due an invoice will be paid: the client's usual delay, corrected by a regression, with an honest range.

The middle is learned by a Kalman regression reweighted toward the absolute error (iteratively reweighted least squares), on top
of the client's shrunk median. The range comes from the errors that were really made: running quantiles of the error in units of
the client's own spread, moved after every settlement by how often they held (adaptive conformal inference, Gibbs, Candès 2021),
for four groups of clients apart. What is promised is whole days, so whole days are what has to hold; and an invoice that is
still open after thirty days counts against each promise that has passed, or the range would be learned from the paid ones only.
"""

from math import isfinite
from typing import Final

import numpy as np

from models.features import INDEX, LATE_DAYS
from models.learners.bins import WIDTH
from models.learners.expansion import Vector, expand
from models.learners.kalman import KalmanLinear, refuse_infinite
from models.learners.pay_range import GROUPS, LEVELS, group_of, scale_of

_LEVELS: Final = np.array(LEVELS)
_LOW: Final = np.array(LEVELS) < 0.5  # noqa: PLR2004 - the low end holds from its day on, the others until theirs
_UNIT: Final = 15.0  # days per unit of the feature `median_days`
_FLATTEST: Final = 0.5  # errors below this share of the typical one count as equal: where the absolute loss is smoothed
_FORGETTING: Final = 0.9997
_PACE: Final = 0.01  # of the typical error
_STEP: Final = 0.06  # of the error quantiles, in units of scale
_START: Final = (-1.4, 0.0, 1.3, 1.7)
_MEDIAN: Final = INDEX["median_days"]
_PRIOR: Final = 0.01
_SHARED: Final = 40  # answers of a group until which it also learns from the others
_OPEN: Final = LATE_DAYS[-1]


class DaysLearner:
    """Middle and range of the days late at one landmark."""

    def __init__(self) -> None:
        """Start from the client's median and a wide range."""
        variances = np.full(WIDTH, _PRIOR)
        variances[0] = 1.0
        self.line = KalmanLinear(variances, forgetting=_FORGETTING)
        self.typical = 5.0
        self.quantiles: Vector = np.tile(np.array(_START), (len(GROUPS), 1))
        self.counts: Vector = np.zeros(len(GROUPS))

    def middle(self, features: tuple[float, ...], wide: Vector) -> float:
        """Return the expected days late before the range is put around it."""
        return _UNIT * (features[_MEDIAN] + self.line.value(wide))

    def learn(self, features: tuple[float, ...], *, days_late: int) -> None:
        """Learn one settlement. Raises DivergedError for numbers that are not finite; nothing is changed then."""
        wide = expand(features, days=LATE_DAYS[0])
        refuse_infinite(wide)
        middle = self.middle(features, wide)
        days = float(min(max(days_late, -60), 120))
        error = days - middle
        if not isfinite(error):
            return
        # Promises that had passed after thirty days were judged then.
        self._hold(features, middle, days, after=_OPEN if days_late > _OPEN else None)
        self.typical += max(_PACE, 1.0 / (self.line.seen + 20)) * (abs(error) - self.typical)
        weight = 1.0 / max(abs(error) / self.typical, _FLATTEST)
        self.line.learn_number(wide, error=error / _UNIT, noise=1.5 * (self.typical / _UNIT) ** 2 / weight)

    def learn_open(self, features: tuple[float, ...]) -> None:
        """Learn that an invoice is still open after thirty days: a promise of an earlier day has not held."""
        wide = expand(features, days=LATE_DAYS[0])
        refuse_infinite(wide)
        self._hold(features, self.middle(features, wide), float(_OPEN) + 1, until=_OPEN)

    def _hold(
        self, features: tuple[float, ...], middle: float, days: float, *, until: float | None = None, after: float | None = None
    ) -> None:
        """Move the quantiles by whether they held; only those that promise a day up to `until`, or later than `after`."""
        own, scale = group_of(features), scale_of(features)
        self.counts[own] += 1
        for group in range(len(GROUPS)):
            if group != own and self.counts[group] >= _SHARED:
                continue
            promised = middle + self.quantiles[group] * scale
            held = np.where(_LOW, days < np.floor(promised), days <= np.ceil(promised))
            step = max(_STEP, 1.0 / (self.counts[group] + 4))
            moved = step * (_LEVELS - held)
            if until is not None:
                moved[promised > until] = 0.0
            if after is not None:
                moved[promised <= after] = 0.0
            self.quantiles[group] = np.sort(self.quantiles[group] + moved)

    def dump(self) -> tuple[bytes, bytes, int, float, bytes]:
        """Return what `load` continues from."""
        return (*self.line.dump(), self.typical, self.quantiles.tobytes() + self.counts.tobytes())

    def load(self, mean: bytes, packed: bytes, seen: int, typical: float, quantiles: bytes) -> None:
        """Continue from what `dump` gave."""
        self.line.load(mean, packed, seen)
        self.typical = typical
        numbers = np.frombuffer(quantiles)
        self.quantiles = numbers[: -len(GROUPS)].reshape(len(GROUPS), len(LEVELS)).copy()
        self.counts = numbers[-len(GROUPS) :].copy()

"""How many days after due an invoice will be paid: the client's usual delay, corrected by a regression, with an honest range.

The middle is an average of opinions, each weighed by how far off it was lately (`opinions`): a Kalman regression reweighted
toward the absolute error (iteratively reweighted least squares) on top of the client's shrunk median, that median itself, the
delays moved to the weekdays on which the client pays, the payment run that is expected, and the first with each of the others.
All are lines, and so is what is published. The range comes from the errors that were really made, in units of the client's own
spread, for four groups of clients apart (`errors`): split conformal prediction on a fading window. An invoice that is still open
after thirty days counts as an error of at least that many, or the range would be learned from the paid ones only.
"""

from math import isfinite
from typing import Final

import numpy as np

from models.features import INDEX, LATE_DAYS
from models.learners.bins import WIDTH
from models.learners.errors import Errors
from models.learners.expansion import Vector, expand
from models.learners.kalman import KalmanLinear, refuse_infinite
from models.learners.opinions import Opinions
from models.learners.pay_range import group_of, scale_of

_UNIT: Final = 15.0  # days per unit of the feature `median_days`
_FLATTEST: Final = 0.5  # errors below this share of the typical one count as equal: where the absolute loss is smoothed
_FORGETTING: Final = 0.9997
_PACE: Final = 0.01  # of the typical error
_MEDIAN: Final = INDEX["median_days"]
_PAYDAY: Final = INDEX["payday_days"]
_RUN: Final = INDEX["run_days"]
_OPINIONS: Final = 7
_PRIOR: Final = 0.01
_OPEN: Final = LATE_DAYS[-1]
_STILL_OPEN: Final = _OPEN + 1.0


class DaysLearner:
    """Middle and range of the days late at one landmark."""

    def __init__(self) -> None:
        """Start from the client's median and a wide range."""
        variances = np.full(WIDTH, _PRIOR)
        variances[0] = 1.0
        self.line = KalmanLinear(variances, forgetting=_FORGETTING)
        self.typical = 5.0
        self.errors = Errors()
        self.opinions = Opinions(_OPINIONS)

    def middle(self, features: tuple[float, ...], wide: Vector) -> float:
        """Return the expected days late before the range is put around it."""
        own, paydays, runs = self._shares()
        usual = features[_MEDIAN]
        moved = paydays * (features[_PAYDAY] - usual) + runs * (features[_RUN] - usual)
        return _UNIT * (usual + own * self.line.value(wide) + moved)

    def weights(self) -> Vector:
        """Return the expanded weights of the middle on top of the client's median: all opinions as one line."""
        own, paydays, runs = self._shares()
        found: Vector = own * self.line.mean
        found[_PAYDAY + 1] += paydays
        found[_RUN + 1] += runs
        found[_MEDIAN + 1] -= paydays + runs
        return found

    def _shares(self) -> tuple[float, float, float]:
        """Return what the regression, the client's weekdays and its runs weigh; the rest is the median's."""
        own, paydays, runs, _, with_paydays, with_runs, with_median = self.opinions.weights
        return own + (with_paydays + with_runs + with_median) / 2, paydays + with_paydays / 2, runs + with_runs / 2

    def learn(self, features: tuple[float, ...], *, days_late: int) -> None:
        """Learn one settlement. Raises DivergedError for numbers that are not finite; nothing is changed then."""
        wide = expand(features, days=LATE_DAYS[0])
        refuse_infinite(wide)
        middle = self.middle(features, wide)
        days = float(min(max(days_late, -60), 120))
        error = days - middle
        if not isfinite(error):
            return
        usual, paydays, runs = _UNIT * features[_MEDIAN], _UNIT * features[_PAYDAY], _UNIT * features[_RUN]
        own = usual + _UNIT * self.line.value(wide)
        scale = scale_of(features)
        open_after = (_STILL_OPEN - middle) / scale if days_late > _OPEN else None
        self.errors.see(group_of(features), error / scale, open_after=open_after)
        said = (own, paydays, runs, usual, (own + paydays) / 2, (own + runs) / 2, (own + usual) / 2)
        self.opinions.see([days - opinion for opinion in said], typical=max(self.typical, 1.0))
        error = days - own
        self.typical += max(_PACE, 1.0 / (self.line.seen + 20)) * (abs(error) - self.typical)
        weight = 1.0 / max(abs(error) / self.typical, _FLATTEST)
        self.line.learn_number(wide, error=error / _UNIT, noise=1.5 * (self.typical / _UNIT) ** 2 / weight)

    def learn_open(self, features: tuple[float, ...]) -> None:
        """Learn that an invoice is still open after thirty days: its error is at least that large."""
        wide = expand(features, days=LATE_DAYS[0])
        refuse_infinite(wide)
        self.errors.see_open(group_of(features), (_STILL_OPEN - self.middle(features, wide)) / scale_of(features))

    def dump(self) -> tuple[bytes, bytes, int, float, bytes]:
        """Return what `load` continues from."""
        return (*self.line.dump(), self.typical, self.errors.dump() + self.opinions.dump())

    def load(self, mean: bytes, packed: bytes, seen: int, typical: float, errors: bytes) -> None:
        """Continue from what `dump` gave."""
        self.line.load(mean, packed, seen)
        self.typical = typical
        if len(errors) == len(self.errors.dump()) + self.opinions.size:  # else of an older release: they begin anew
            self.errors.load(errors[: -self.opinions.size])
            self.opinions.load(errors[-self.opinions.size :])

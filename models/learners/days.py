"""How many days after due an invoice will be paid: the client's usual delay, corrected by a regression, with an honest range.

The middle is an average of opinions, each weighed by how far off it was lately (`opinions`): a Kalman regression reweighted
toward the absolute error (iteratively reweighted least squares) on top of the client's shrunk median, that median itself, the
delays moved to the weekdays on which the client pays, the payment run that is expected, trees grown for the days on the mean of
median and run, and the first with each of the others. What is published is a line with its share of the trees. The range comes
from the errors that were really made, in units of the client's own spread, for four groups of clients apart (`errors`): split
conformal prediction on a fading window. An invoice that is still open five, fifteen and thirty days after due counts as an error
of at least that many, or the range would be learned from the paid ones only, and in a firm's first weeks from the prompt ones.
"""

from math import isfinite
from typing import Final

import numpy as np

from models.features import INDEX, LATE_DAYS
from models.learners.errors import Errors
from models.learners.expansion import Vector, expand
from models.learners.kalman import A_DAY, FORGETTING, KalmanLinear, refuse_infinite
from models.learners.opinions import Opinions
from models.learners.pay_range import DAYS_UNIT, group_of, scale_of
from models.learners.prior import days_variances
from models.learners.trees import TreesLearner

_FLATTEST: Final = 0.5  # errors below this share of the typical one count as equal: where the absolute loss is smoothed
_PACE: Final = 0.01  # of the typical error
_MEDIAN: Final = INDEX["median_days"]
_PAYDAY: Final = INDEX["payday_days"]
_RUN: Final = INDEX["run_days"]
_LOSSES: Final = (20.0, 20.0, 20.0, 8.0, 20.0, 14.0, 14.0, 14.0, 14.0)
"""Of each opinion before any settlement, as `_said` gives them: the client's median has a lead, its halves half of that."""


class DaysLearner:
    """Middle and range of the days late at one landmark."""

    def __init__(self, trees: TreesLearner, prior: Vector) -> None:
        """Start near the client's median, from the `prior` weights and a wide range; `trees` are those of the landmark."""
        self.line = KalmanLinear(days_variances(), mean=prior, forgetting=FORGETTING, a_day=A_DAY)
        self.typical = 5.0
        self.errors = Errors()
        self.opinions = Opinions(_LOSSES)
        self._trees = trees

    def middle(self, features: tuple[float, ...], wide: Vector) -> float:
        """Return the expected days late before the range is put around it."""
        return float(np.dot(self.opinions.weights, self._said(features, wide)))

    def _said(self, features: tuple[float, ...], wide: Vector) -> list[float]:
        """Return the opinions: the regression, the others, and halves of it and each of them."""
        usual, paydays, runs = DAYS_UNIT * features[_MEDIAN], DAYS_UNIT * features[_PAYDAY], DAYS_UNIT * features[_RUN]
        own = usual + DAYS_UNIT * self.line.value(wide)
        others = (paydays, runs, usual, (usual + runs) / 2 + DAYS_UNIT * self._trees.days(features))
        return [own, *others, *[(own + other) / 2 for other in others]]

    def weights(self) -> Vector:
        """Return the expanded weights of the middle on top of the client's median: all opinions as one line but for the trees."""
        own, paydays, runs, _ = self._shares()
        found: Vector = own * self.line.mean
        found[_PAYDAY + 1] += paydays
        found[_RUN + 1] += runs
        found[_MEDIAN + 1] -= paydays + runs
        return found

    @property
    def leaned(self) -> float:
        """How often the trees are added to that line."""
        return self._shares()[-1]

    def _shares(self) -> tuple[float, float, float, float]:
        """Return what the regression, the client's weekdays, its runs and the trees weigh; the rest is the median's.

        Under the trees lie median and run in equal parts, so half of what they weigh is the run's.
        """
        own, paydays, runs, _, trees, with_paydays, with_runs, with_median, with_trees = self.opinions.weights
        leaned = trees + with_trees / 2
        own += (with_paydays + with_runs + with_median + with_trees) / 2
        return own, paydays + with_paydays / 2, runs + with_runs / 2 + leaned / 2, leaned

    def turn(self) -> None:
        """Begin a new day of settlements."""
        self.line.turn()
        self.errors.turn()
        self.opinions.turn()

    def learn(self, features: tuple[float, ...], *, days_late: int, open_days: int | None = None) -> None:
        """Learn one settlement; `open_days`: the days past due at which the invoice was last learned to be open.

        Raises DivergedError for numbers that are not finite; nothing is changed then.
        """
        wide = expand(features, days=LATE_DAYS[0])
        refuse_infinite(wide)
        said = self._said(features, wide)
        middle = float(np.dot(self.opinions.weights, said))
        days = float(min(max(days_late, -60), 120))
        error = days - middle
        if not isfinite(error):
            return
        scale = scale_of(features)
        open_after = None if open_days is None else (open_days - middle) / scale
        self.errors.see(group_of(features), error / scale, open_after=open_after)
        self.opinions.see([days - opinion for opinion in said], typical=max(self.typical, 1.0))
        error = days - said[0]
        self.typical += max(_PACE, 1.0 / (self.line.seen + 20)) * (abs(error) - self.typical)
        weight = 1.0 / max(abs(error) / self.typical, _FLATTEST)
        self.line.learn_number(wide, error=error / DAYS_UNIT, noise=1.5 * (self.typical / DAYS_UNIT) ** 2 / weight)

    def learn_open(self, features: tuple[float, ...], *, open_days: int, before: int | None = None) -> None:
        """Learn that an invoice is still open `open_days` past due; `before`: those at which that was learned last."""
        wide = expand(features, days=LATE_DAYS[0])
        refuse_infinite(wide)
        middle, scale = self.middle(features, wide), scale_of(features)
        open_after = None if before is None else (before - middle) / scale
        self.errors.see_open(group_of(features), (open_days - middle) / scale, open_after=open_after)

    def dump(self) -> tuple[bytes, bytes, int, float, bytes]:
        """Return what `load` continues from."""
        return (*self.line.dump(), self.typical, self.errors.dump() + self.opinions.dump())

    def load(self, mean: bytes, packed: bytes, seen: int, typical: float, errors: bytes) -> None:
        """Continue from what `dump` gave."""
        self.line.load(mean, packed, seen)
        self.typical = typical
        size = len(self.errors.dump())
        if len(errors) >= size:  # else of an older release: they begin anew, as opinions do of a release with fewer of them
            self.errors.load(errors[:size])
        if len(errors) == size + self.opinions.size:
            self.opinions.load(errors[size:])

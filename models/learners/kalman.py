"""Bayesian linear learners, updated one example at a time by an extended Kalman filter.

The filter keeps a mean and a full covariance of the weights; each example moves the mean by what the covariance says is still
uncertain. It needs no learning rate, is good from few labels, and forgets at a set pace. Source of the equations: the measurement
update of the extended Kalman filter (Jazwinski 1970, section 8.3) with the logistic function as measurement.
"""

from math import isfinite
from sys import maxsize
from typing import Final

import numpy as np
from scipy.linalg.blas import dspmv, dspr

from models.learners.chance import sigmoid
from models.learners.daily import Daily
from models.learners.expansion import Vector

_LEAST_VARIANCE: Final = 1e-4  # of a Bernoulli outcome: a certain miss must not throw the weights
_WIDEST: Final = 4.0  # no weight gets more uncertain than this while it is being forgotten
_CLAMP_EVERY: Final = 16  # examples; between two looks forgetting widens a weight by half a percent
_SCALE_LIMIT: Final = 1e3

FORGETTING: Final = 0.9997
"""At what pace the lines of lateness and of days late forget, per answer."""
A_DAY: Final = 17
"""How many answers of a day do: 0.995 of what was known stays, however many come (docs/decisions/0062)."""


class DivergedError(ArithmeticError):
    """A learner met a number that is not finite; its last snapshot is the state to go back to."""


def refuse_infinite(wide: Vector) -> None:
    """Raise DivergedError for a vector with a number that is not finite, before anything is computed from it."""
    if not np.isfinite(wide).all():
        message = "an example holds a number that is not finite; features are bounded, so its bytes were damaged"
        raise DivergedError(message)


class KalmanLinear:
    """Mean and covariance of linear weights; `forgetting` 0.9997 halves old evidence in about 2,300 examples.

    With `a_day`, at most so many examples forget until `turn` begins the next day: what is known grows old by days, not by how
    busy they are, so that a firm of many invoices remembers most of a year and not some weeks.

    The covariance is kept as `scale` times a packed triangle (column by column), and forgetting only moves the scale: an example
    costs one packed product and one packed rank-one update, which are less than full matrices would cost.
    """

    def __init__(self, variances: Vector, *, mean: Vector | None = None, forgetting: float = 1.0, a_day: int = maxsize) -> None:
        """Start from weights of the given prior `mean` (0 where none is given) and `variances`."""
        size = len(variances)
        self.mean: Vector = np.zeros(size) if mean is None else mean.copy()
        self._diagonal = np.arange(size) * (np.arange(size) + 3) // 2
        self._columns, self._rows = np.tril_indices(size)
        self._packed: Vector = np.zeros(size * (size + 1) // 2)
        self._packed[self._diagonal] = variances
        self._scale = 1.0
        self.forgetting = forgetting
        self.seen = 0
        self._daily = Daily(a_day)

    @property
    def variances(self) -> Vector:
        """How uncertain each weight is."""
        found: Vector = self._packed[self._diagonal] * self._scale
        return found

    def turn(self) -> None:
        """Begin a new day."""
        self._daily.turn()

    def value(self, wide: Vector) -> float:
        """Return the linear prediction for an expanded vector."""
        return float(self.mean @ wide)

    def learn_label(self, wide: Vector, *, label: bool) -> None:
        """Learn a yes or no. Raises DivergedError for numbers that are not finite; nothing is changed then."""
        refuse_infinite(wide)
        chance = sigmoid(self.value(wide))
        curvature = max(chance * (1.0 - chance), _LEAST_VARIANCE)
        self._update(wide, gradient=float(label) - chance, curvature=curvature)

    def learn_number(self, wide: Vector, *, error: float, noise: float) -> None:
        """Learn a number: `error` is target less prediction, `noise` the variance of a single target. Raises as `learn_label`."""
        refuse_infinite(wide)
        self._update(wide, gradient=error / noise, curvature=1.0 / noise)

    def _update(self, wide: Vector, *, gradient: float, curvature: float) -> None:
        reach = dspmv(len(wide), 1.0, self._packed, wide)
        spread = 1.0 + curvature * self._scale * float(wide @ reach)
        if not (isfinite(spread) and isfinite(gradient)):
            message = "the prediction for an example is not finite; go back to the last checkpoint"
            raise DivergedError(message)
        self.mean += reach * (self._scale * gradient / spread)
        self._packed = dspr(len(wide), -self._scale * curvature / spread, reach, self._packed, overwrite_ap=1)
        self.seen += 1
        if self.forgetting < 1.0:
            self._forget()

    def _forget(self) -> None:
        if self._daily.ages():
            self._scale /= self.forgetting
        if self.seen % _CLAMP_EVERY:
            return
        wide = self.variances
        if wide.max() > _WIDEST:
            # Rows and columns together, or the matrix would be no covariance any more and the weights would run away.
            shrink = np.sqrt(_WIDEST / np.maximum(wide, _WIDEST))
            self._packed *= shrink[self._rows] * shrink[self._columns]
        if self._scale > _SCALE_LIMIT:
            self._packed *= self._scale
            self._scale = 1.0

    def dump(self) -> tuple[bytes, bytes, int]:
        """Return the mean, the packed triangle of the covariance followed by its scale, and the count of examples."""
        return self.mean.tobytes(), self._packed.tobytes() + np.float64(self._scale).tobytes(), self.seen

    def load(self, mean: bytes, packed: bytes, seen: int) -> None:
        """Continue from what `dump` gave. Raises DivergedError when it does not fit or is not finite."""
        size = len(self.mean)
        weights, triangle = np.frombuffer(mean), np.frombuffer(packed)
        if len(weights) != size or len(triangle) != len(self._packed) + 1:
            message = f"weights of {len(weights)} numbers do not fit a learner of {size}"
            raise DivergedError(message)
        if not (np.isfinite(weights).all() and np.isfinite(triangle).all()):
            message = "the stored weights hold a number that is not finite"
            raise DivergedError(message)
        self.mean = weights.copy()
        self._packed, self._scale = triangle[:-1].copy(), float(triangle[-1])
        self.seen = seen

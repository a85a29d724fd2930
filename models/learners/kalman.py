"""Bayesian linear learners, updated one example at a time by an extended Kalman filter.

The filter keeps a mean and a full covariance of the weights; each example moves the mean by what the covariance says is still
uncertain. It needs no learning rate, is good from few labels, and forgets at a set pace. Source of the equations: the measurement
update of the extended Kalman filter (Jazwinski 1970, section 8.3) with the logistic function as measurement.
"""

from math import exp, isfinite
from typing import Final

import numpy as np

from models.learners.expansion import Vector

_STEEPEST: Final = 30.0  # a logit beyond this is certainty in double precision
_LEAST_VARIANCE: Final = 1e-4  # of a Bernoulli outcome: a certain miss must not throw the weights
_WIDEST: Final = 4.0  # no weight gets more uncertain than this while it is being forgotten


class DivergedError(ArithmeticError):
    """A learner met a number that is not finite; its last snapshot is the state to go back to."""


def sigmoid(logit: float) -> float:
    """Return the probability of a logit."""
    return 1.0 / (1.0 + exp(-min(max(logit, -_STEEPEST), _STEEPEST)))


class KalmanLinear:
    """Mean and covariance of linear weights; `forgetting` 0.9997 halves old evidence in about 2,300 examples."""

    def __init__(self, variances: Vector, *, forgetting: float = 1.0) -> None:
        """Start from weights of mean 0 with the given prior `variances`."""
        self.mean: Vector = np.zeros(len(variances))
        self.covariance = np.diag(np.asarray(variances, dtype=np.float64))
        self.forgetting = forgetting
        self.seen = 0

    def value(self, wide: Vector) -> float:
        """Return the linear prediction for an expanded vector."""
        return float(self.mean @ wide)

    def learn_label(self, wide: Vector, *, label: bool) -> None:
        """Learn a yes or no. Raises DivergedError for numbers that are not finite; nothing is changed then."""
        chance = sigmoid(self.value(wide))
        curvature = max(chance * (1.0 - chance), _LEAST_VARIANCE)
        self._update(wide, gradient=float(label) - chance, curvature=curvature)

    def learn_number(self, wide: Vector, *, error: float, noise: float) -> None:
        """Learn a number: `error` is target less prediction, `noise` the variance of a single target."""
        self._update(wide, gradient=error / noise, curvature=1.0 / noise)

    def _update(self, wide: Vector, *, gradient: float, curvature: float) -> None:
        reach = self.covariance @ wide
        spread = 1.0 + curvature * float(wide @ reach)
        if not (isfinite(spread) and isfinite(gradient)):
            message = "an example holds a number that is not finite; features are bounded, so its bytes were damaged"
            raise DivergedError(message)
        self.mean += reach * (gradient / spread)
        # The product of two reaches first: it is the same either way round, so the covariance stays symmetric to the last bit.
        self.covariance -= np.outer(reach, reach) * (curvature / spread)
        if self.forgetting < 1.0:
            self.covariance *= 1.0 / self.forgetting
            diagonal = np.einsum("ii->i", self.covariance)
            np.minimum(diagonal, _WIDEST, out=diagonal)
        self.seen += 1

    def dump(self) -> tuple[bytes, bytes, int]:
        """Return mean, upper triangle of the covariance and the count of examples."""
        upper = self.covariance[np.triu_indices(len(self.mean))]
        return self.mean.tobytes(), upper.tobytes(), self.seen

    def load(self, mean: bytes, upper: bytes, seen: int) -> None:
        """Continue from what `dump` gave. Raises DivergedError when it does not fit or is not finite."""
        size = len(self.mean)
        weights, triangle = np.frombuffer(mean), np.frombuffer(upper)
        if len(weights) != size or len(triangle) != size * (size + 1) // 2:
            message = f"weights of {len(weights)} numbers do not fit a learner of {size}"
            raise DivergedError(message)
        if not (np.isfinite(weights).all() and np.isfinite(triangle).all()):
            message = "the stored weights hold a number that is not finite"
            raise DivergedError(message)
        self.mean = weights.copy()
        full = np.zeros((size, size))
        full[np.triu_indices(size)] = triangle
        self.covariance = full + np.triu(full, 1).T
        self.seen = seen

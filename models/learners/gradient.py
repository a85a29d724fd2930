"""Stochastic gradient descent with river's loss and schedule: the second opinion beside the Kalman filter.

It forgets faster and is wrong in other places, so that the average of the two is better than either
(docs/learning-trials.md). river's own pipeline keeps weights in dictionaries; with features that are bounded already, its loss
and its schedule on one array do the same arithmetic faster (a tenth of the time, measured once by hand).
"""

from typing import Final

import numpy as np
from river.optim.losses import Log
from river.optim.schedulers import InverseScaling

from models.learners.expansion import Vector
from models.learners.kalman import DivergedError, refuse_infinite

_RATE: Final = 0.05
_POWER: Final = 0.4
_STEEPEST_GRADIENT: Final = 4.0


class GradientLogistic:
    """Logistic regression by SGD on bounded features, InverseScaling(.05, .4), gradients clipped."""

    def __init__(self, weights: Vector, *, seen: int = 0) -> None:
        """Start from `weights` that are worth `seen` answers: steps are as small as after so many."""
        self.weights: Vector = weights.copy()
        self.seen = seen
        self._loss = Log()
        self._schedule = InverseScaling(_RATE, power=_POWER)

    def value(self, wide: Vector) -> float:
        """Return the logit for an expanded vector."""
        return float(self.weights @ wide)

    def learn_label(self, wide: Vector, *, label: bool) -> None:
        """Learn a yes or no. Raises DivergedError for numbers that are not finite; nothing is changed then."""
        refuse_infinite(wide)
        slope = float(self._loss.gradient(label, self.value(wide)))
        self.seen += 1
        rate = float(self._schedule.get(self.seen))
        self.weights -= rate * min(max(slope, -_STEEPEST_GRADIENT), _STEEPEST_GRADIENT) * wide

    def dump(self) -> tuple[bytes, int]:
        """Return the weights and the count of examples."""
        return self.weights.tobytes(), self.seen

    def load(self, weights: bytes, seen: int) -> None:
        """Continue from what `dump` gave. Raises DivergedError when it does not fit or is not finite."""
        found = np.frombuffer(weights)
        if len(found) != len(self.weights) or not np.isfinite(found).all():
            message = "the stored weights do not fit this learner or are not finite"
            raise DivergedError(message)
        self.weights, self.seen = found.copy(), seen

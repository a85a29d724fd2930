"""Online recalibration that must earn its place.

A line a·logit + b is fitted to the probabilities as they were given at question time, by the same Kalman update as the learners
(Platt's two parameters, Newton steps). Fitting it costs ranking when there is nothing to mend, so it is used only while its own
running log loss beats that of the plain probabilities by a margin.
"""

import numpy as np

from models.learners.chance import log_loss, sigmoid
from models.learners.kalman import KalmanLinear

_PACE = 0.005  # of the running losses: about the last 200 answers
_MARGIN = 0.002  # log loss; below it the difference is noise
_RANDOM_WALK = 1e-5  # how far the line may move between two answers
_LEAST = 200  # answers before it may be used at all


class Recalibration:
    """Slope and intercept on the logit, and whether they are in use."""

    def __init__(self) -> None:
        """Start from the identity."""
        self._line = KalmanLinear(np.array([0.02, 0.1]))
        self._line.mean[:] = (1.0, 0.0)
        self.plain_loss = 0.0
        self.mended_loss = 0.0

    @property
    def in_use(self) -> bool:
        """Whether the line has been better than no line lately."""
        return self._line.seen >= _LEAST and self.mended_loss < self.plain_loss - _MARGIN

    @property
    def slope_and_shift(self) -> tuple[float, float]:
        """The line in use: (1, 0) while it has not earned its place."""
        return (float(self._line.mean[0]), float(self._line.mean[1])) if self.in_use else (1.0, 0.0)

    def learn(self, plain: float, *, label: bool, pace: float = 1.0) -> None:
        """Learn from a plain logit given at question time and its answer; `pace` above 1 moves faster (after a drift)."""
        wide = np.array([plain, 1.0])
        rate = max(_PACE, 1.0 / (self._line.seen + 1))
        self.plain_loss += rate * (log_loss(sigmoid(plain), label=label) - self.plain_loss)
        self.mended_loss += rate * (log_loss(sigmoid(self._line.value(wide)), label=label) - self.mended_loss)
        self._line.learn_label(wide, label=label)
        self._line.widen(0, _RANDOM_WALK * pace / 10)
        self._line.widen(1, _RANDOM_WALK * pace)

    def dump(self) -> tuple[bytes, bytes, int, float, float]:
        """Return what `load` continues from."""
        return (*self._line.dump(), self.plain_loss, self.mended_loss)

    def load(self, mean: bytes, packed: bytes, seen: int, plain_loss: float, mended_loss: float) -> None:
        """Continue from what `dump` gave."""
        self._line.load(mean, packed, seen)
        self.plain_loss, self.mended_loss = plain_loss, mended_loss

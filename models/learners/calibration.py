"""Online recalibration that must earn its place.

A line a·logit + b is fitted to the probabilities as they were given at question time, by the same Kalman update as the learners
(Platt's two parameters, Newton steps). Fitting it costs ranking when there is nothing to mend, so it is used only while its own
running log loss beats that of the plain probabilities by a margin.
"""

import struct
from math import isfinite

from models.learners.chance import log_loss, sigmoid
from models.learners.kalman import DivergedError

_PACE = 0.005  # of the running losses: about the last 200 answers
_MARGIN = 0.002  # log loss; below it the difference is noise
_RANDOM_WALK = 1e-5  # how far the line may move between two answers
_LEAST = 200  # answers before it may be used at all


_LEAST_VARIANCE = 1e-4  # of an answer: a certain miss must not throw the line
_MEAN = struct.Struct("2d")
_SPREAD = struct.Struct("4d")  # the triangle of the covariance column by column, and its scale


class Recalibration:
    """Slope and intercept on the logit, and whether they are in use. Plain numbers: two weights need no array library."""

    def __init__(self) -> None:
        """Start from the identity."""
        self._slope, self._shift = 1.0, 0.0
        self._slope_variance, self._covariance, self._shift_variance = 0.02, 0.0, 0.1
        self._seen = 0
        self.plain_loss = 0.0
        self.mended_loss = 0.0

    @property
    def in_use(self) -> bool:
        """Whether the line has been better than no line lately."""
        return self._seen >= _LEAST and self.mended_loss < self.plain_loss - _MARGIN

    @property
    def slope_and_shift(self) -> tuple[float, float]:
        """The line in use: (1, 0) while it has not earned its place."""
        return (self._slope, self._shift) if self.in_use else (1.0, 0.0)

    def learn(self, plain: float, *, label: bool, pace: float = 1.0) -> None:
        """Learn from a plain logit given at question time and its answer; `pace` above 1 moves faster (after a drift).

        Raises DivergedError for a logit that is not finite; nothing is changed then.
        """
        if not isfinite(plain):
            message = "the logit of an example is not finite; go back to the last checkpoint"
            raise DivergedError(message)
        rate = max(_PACE, 1.0 / (self._seen + 1))
        chance = sigmoid(self._slope * plain + self._shift)
        self.plain_loss += rate * (log_loss(sigmoid(plain), label=label) - self.plain_loss)
        self.mended_loss += rate * (log_loss(chance, label=label) - self.mended_loss)
        curvature = max(chance * (1.0 - chance), _LEAST_VARIANCE)
        slopes = self._slope_variance * plain + self._covariance
        shifts = self._covariance * plain + self._shift_variance
        spread = 1.0 + curvature * (plain * slopes + shifts)
        step, shrink = (label - chance) / spread, curvature / spread
        self._slope += step * slopes
        self._shift += step * shifts
        self._slope_variance += _RANDOM_WALK * pace / 10 - shrink * slopes * slopes
        self._covariance -= shrink * slopes * shifts
        self._shift_variance += _RANDOM_WALK * pace - shrink * shifts * shifts
        self._seen += 1

    def dump(self) -> tuple[bytes, bytes, int, float, float]:
        """Return what `load` continues from."""
        mean = _MEAN.pack(self._slope, self._shift)
        spread = _SPREAD.pack(self._slope_variance, self._covariance, self._shift_variance, 1.0)
        return mean, spread, self._seen, self.plain_loss, self.mended_loss

    def load(self, mean: bytes, packed: bytes, seen: int, plain_loss: float, mended_loss: float) -> None:
        """Continue from what `dump` gave."""
        self._slope, self._shift = _MEAN.unpack(mean)
        *triangle, scale = _SPREAD.unpack(packed)
        self._slope_variance, self._covariance, self._shift_variance = (part * scale for part in triangle)
        self._seen = seen
        self.plain_loss, self.mended_loss = plain_loss, mended_loss

"""How much the learners are trusted beside the plain conditional shares: three weights, learned online, drawn to the learners.

On a firm whose payers keep to rules the learners are too timid; where payers change, the client's own shares (of the invoices
still open this long, how many passed the limit) are sooner right. The weights come from a Kalman logistic regression of three
inputs, in plain numbers: the logit of the learners, and how far each share stands from it. There is no intercept on purpose: one
that moves costs ranking and calibration (docs/learning-trials.md).
"""

from typing import Final

from models.learners.chance import sigmoid

BLENDED: Final = ("still_open", "run_open")
"""The shares beside the learners, one of each per meaning of "late"."""

_FROM: Final = 60  # answers before which the learners' logit means too little to be weighed
_SLOPE_VARIANCE: Final = 0.0015
_SHARE_VARIANCE: Final = 0.005
_LEAST_CURVATURE: Final = 1e-3

Three = tuple[float, float, float]


class Blend:
    """Weights of the learners' logit and of two shares' distances from it."""

    def __init__(self) -> None:
        """Start by trusting the learners."""
        self.mean: Three = (1.0, 0.0, 0.0)
        self._rows: tuple[Three, Three, Three] = (
            (_SLOPE_VARIANCE, 0.0, 0.0),
            (0.0, _SHARE_VARIANCE, 0.0),
            (0.0, 0.0, _SHARE_VARIANCE),
        )

    @property
    def weights(self) -> Three:
        """The weights of the learners' logit and of the two shares themselves; the logit is their sum."""
        slope, one, two = self.mean
        return slope - one - two, one, two

    def value(self, logit: float, shares: tuple[float, float]) -> float:
        """Return the blended logit."""
        slope, one, two = self.weights
        return slope * logit + one * shares[0] + two * shares[1]

    def learn(self, logit: float, shares: tuple[float, float], *, label: bool, seen: int) -> None:
        """Learn from what the learners and the shares said before the answer was known; `seen` answers had been learned."""
        if seen < _FROM:
            return
        inputs = (logit, shares[0] - logit, shares[1] - logit)
        chance = sigmoid(_dot(self.mean, inputs))
        curvature = max(chance * (1.0 - chance), _LEAST_CURVATURE)
        reach = (_dot(self._rows[0], inputs), _dot(self._rows[1], inputs), _dot(self._rows[2], inputs))
        spread = 1.0 + curvature * _dot(reach, inputs)
        step, shrink = (label - chance) / spread, curvature / spread
        self.mean = (self.mean[0] + step * reach[0], self.mean[1] + step * reach[1], self.mean[2] + step * reach[2])
        one, two, three = self._rows
        self._rows = (
            _less(one, reach, shrink * reach[0]),
            _less(two, reach, shrink * reach[1]),
            _less(three, reach, shrink * reach[2]),
        )

    def dump(self) -> tuple[float, ...]:
        """Return what `load` continues from."""
        return (*self.mean, *self._rows[0], *self._rows[1], *self._rows[2])

    def load(self, numbers: tuple[float, ...]) -> None:
        """Continue from what `dump` gave; nothing (a checkpoint of an older release) begins anew."""
        if numbers:
            one, two, three, *rest = numbers
            self.mean = (one, two, three)
            self._rows = ((rest[0], rest[1], rest[2]), (rest[3], rest[4], rest[5]), (rest[6], rest[7], rest[8]))


def _dot(one: Three, two: Three) -> float:
    return one[0] * two[0] + one[1] * two[1] + one[2] * two[2]


def _less(row: Three, reach: Three, times: float) -> Three:
    return row[0] - times * reach[0], row[1] - times * reach[1], row[2] - times * reach[2]

"""One question of the trainer: the learners of one landmark and one meaning of "late", and the line that says what they say."""

from typing import Final

from models.features import INDEX, LATE_DAYS, Landmark
from models.learners.bins import BIN_VALUE, CUTS, LINES
from models.learners.blend import BLENDED, Blend
from models.learners.calibration import Recalibration
from models.learners.chance import sigmoid
from models.learners.expansion import Vector, expand
from models.learners.firsts import Firsts
from models.learners.forest import SHARE, UNDER
from models.learners.gradient import GradientLogistic
from models.learners.kalman import A_DAY, FORGETTING, KalmanLinear
from models.learners.prior import WORTH, prior_variances
from models.learners.snapshot import Line
from models.learners.trees import Leaning, TreesLearner

KALMAN_SHARE: Final = 2 / 3  # in the logit; the rest is the gradient learner's (docs/learning-trials.md says what else was tried)


class Head:
    """Two learners of one question, averaged in the logit, blended with the client's shares, and the recalibration of that.

    That is a line; it leans toward the trees of its landmark as far as they have been right, and about a first invoice from there
    toward those of first invoices.
    """

    def __init__(
        self, landmark: Landmark, days: int, trees: TreesLearner, *, prior: Vector, firsts: Firsts | None = None
    ) -> None:
        """Start from the `prior` weights; `trees` are shared by the heads of a landmark. `firsts`: of the heads at issue."""
        self.landmark = landmark
        self.days = days
        self.kalman = KalmanLinear(prior_variances(), mean=prior, forgetting=FORGETTING, a_day=A_DAY)
        self.gradient = GradientLogistic(prior, seen=WORTH)
        self.blend = Blend()
        self.recalibration = Recalibration()
        self.leaning = Leaning()
        self.firsts = firsts
        self._trees = trees
        self._shares = tuple(INDEX[f"{name}_{days}"] for name in BLENDED)
        self._under = tuple(INDEX[f"{name}_{days}"] for name in UNDER)

    def turn(self) -> None:
        """Begin a new day of answers."""
        self.kalman.turn()

    def learn(self, features: tuple[float, ...], *, late: bool, pace: float = 1.0) -> float:
        """Learn one answered question; blend and recalibration first, from what the learners would say before they learn it.

        Returns the probability that they would have said.
        """
        wide = expand(features, days=self.days)
        first, second = self._shares
        logit, shares = float(self._mixed() @ wide), (features[first], features[second])
        plain = self.blend.value(logit, shares)
        slope, shift = self.recalibration.slope_and_shift
        line, trees, seen = slope * plain + shift, self._trees.value(features, days=self.days), self.kalman.seen
        said = self._leaned(line, trees)
        self.recalibration.learn(plain, label=late, pace=pace)
        self.blend.learn(logit, shares, label=late, seen=self.kalman.seen)
        self.kalman.learn_label(wide, label=late)
        self.gradient.learn_label(wide, label=late)
        if trees is not None:
            self.leaning.learn(line, trees, label=late, seen=seen)
        if self.firsts is None:
            return sigmoid(said)
        whole = self.firsts.said(features, days=self.days, otherwise=said)
        self.firsts.learn(features, days=self.days, otherwise=said, late=late)
        return sigmoid(whole)

    def chance(self, features: tuple[float, ...]) -> float:
        """Return the probability of being late, recalibration and trees included."""
        wide = expand(features, days=self.days)
        slope, shift = self.recalibration.slope_and_shift
        line = slope * float(self._blended() @ wide) + shift
        said = self._leaned(line, self._trees.value(features, days=self.days))
        return sigmoid(said if self.firsts is None else self.firsts.said(features, days=self.days, otherwise=said))

    def line(self) -> Line:
        """Return the scoring line: learners, shares and recalibration are linear in the logit, so one line is exact.

        What lies under the trees is linear too and part of it; the trees themselves are added as often as the line says. What is
        said of first invoices besides is published once for all heads.
        """
        slope, shift = self.recalibration.slope_and_shift
        weights = slope * self._blended()
        weights[0] += shift
        forest, leaned = self._trees.forest, 0.0
        if forest is not None:
            leaned = self.leaning.share(self.kalman.seen)
            weights *= 1.0 - leaned
            weights[0] += leaned * forest.intercepts[LATE_DAYS.index(self.days)]
            for place in self._under:
                weights[place + 1] += leaned * SHARE
        # What the prior is worth is among what the gradient has seen, so a line that began from it is ripe from the start.
        return to_line(weights, landmark=self.landmark, days=self.days, seen=self.gradient.seen, trees=leaned)

    def _leaned(self, line: float, trees: float | None) -> float:
        return line if trees is None else line + self.leaning.share(self.kalman.seen) * (trees - line)

    def _blended(self) -> Vector:
        learners, *shares = self.blend.weights
        found = learners * self._mixed()
        for place, weight in zip(self._shares, shares, strict=True):
            found[place + 1] += weight
        return found

    def _mixed(self) -> Vector:
        return KALMAN_SHARE * self.kalman.mean + (1.0 - KALMAN_SHARE) * self.gradient.weights


def to_line(weights: Vector, *, landmark: Landmark, days: int, seen: int, trees: float) -> Line:
    """Return expanded weights as a line to which the trees are added `trees` times; bin weights are multiplied out."""
    numbers = weights[:LINES].tolist()
    binned = (weights[LINES:] * BIN_VALUE).tolist()
    bins = tuple(tuple(binned[cut.start - LINES : cut.start - LINES + len(cut.points) + 1]) for cut in CUTS[days])
    return Line(int(landmark), days, seen, numbers[0], tuple(numbers[1:]), bins, trees)

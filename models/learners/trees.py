"""The third opinion beside the Kalman filter and the gradient: trees, half of them grown anew now and then.

The linear learners cannot say that a thing matters only together with two others. Trees can; they do not follow day by day, so
they speak beside the lines, by a share that is learned from who was right (`Leaning`).
"""

from typing import Final

from models.features import INDEX, LATE_DAYS, Landmark
from models.learners.boosting import grow
from models.learners.chance import sigmoid
from models.learners.forest import NO_TREES, SHARE, UNDER, Forest, Trees, opened
from models.learners.window import Window

_FIRST: Final = 150  # answered questions before the first trees
_MORE: Final = 0.4  # of what had been seen, before trees are grown anew
_MOST: Final = 500  # but not more than so many questions,
_PART: Final = 0.2  # or a fifth of those that are kept, as growing from more of them costs more,
OF_MANY: Final = 3_000
"""Questions answered before trees are grown anew, at most: from the largest windows."""

_PLACES: Final = {days: tuple(INDEX[f"{name}_{days}"] for name in UNDER) for days in LATE_DAYS}

_SHARE: Final = 0.3
_LEAST: Final = 0.2
_VARIANCE: Final = 0.03
_WIDEST: Final = 0.12
_FORGETTING: Final = 0.998  # of what is known about the share: who was right a thousand answers ago says little
_RIPE: Final = 300.0  # answers after which half the share is given


class TreesLearner:
    """Trees of one landmark, and the window they are grown from."""

    def __init__(self, landmark: Landmark) -> None:
        """Start without trees."""
        self.landmark = landmark
        self.window = Window()
        self.forest: Forest | None = None
        self._grown_at = 0
        self._trees: tuple[Trees, ...] = ()

    def grow_if_due(self) -> None:
        """Grow the trees anew when enough questions were answered since."""
        most = max(_MOST, min(int(_PART * len(self.window.rows)), OF_MANY))
        wanted = min(most, int(_MORE * self._grown_at)) if self._grown_at else _FIRST
        if self.window.seen - self._grown_at < wanted or not self.window.rows:
            return
        self._grown_at = self.window.seen
        self._stand(grow(self.landmark, *self.window.arrays(), standing=self.forest, under=self.window.under()))

    def value(self, features: tuple[float, ...], *, days: int) -> float | None:
        """Return the logit of more than `days` days late, None while there are no trees."""
        if self.forest is None:
            return None
        meaning = LATE_DAYS.index(days)
        trees = self._trees[meaning]
        under = SHARE * sum([features[place] for place in _PLACES[days]])
        return self.forest.intercepts[meaning] + under + trees.value(trees.walk(features))

    def days(self, features: tuple[float, ...]) -> float:
        """Return the days late, in units of 15, by which the trees move what lies under them; 0 while there are none."""
        trees = self._trees[-1] if self._trees else NO_TREES
        return trees.value(trees.walk(features))

    def dump(self) -> tuple[bytes, int, int, Forest | None]:
        """Return what `load` continues from."""
        return self.window.dump(), self.window.seen, self._grown_at, self.forest

    def load(self, window: bytes, seen: int, grown_at: int, forest: Forest | None) -> None:
        """Continue from what `dump` gave."""
        self.window.load(window, seen)
        self._grown_at = grown_at
        if forest is not None:
            self._stand(forest)

    def _stand(self, forest: Forest) -> None:
        self.forest, self._trees = forest, opened(forest)


class Leaning:
    """How far a head leans from its line toward the trees: one weight between 0 and 1, by a Kalman update in the logit."""

    def __init__(self) -> None:
        """Start with a share that has done no harm anywhere."""
        self.weight = _SHARE
        self._variance = _VARIANCE

    def share(self, seen: int) -> float:
        """Return the share of the trees in a head that has learned `seen` answers: young trees know little.

        Never less than a fifth: when an answer comes, lines have learned its neighbours, so what is weighed then flatters them.
        """
        return max(self.weight, _LEAST) * seen / (seen + _RIPE)

    def learn(self, line: float, trees: float, *, label: bool, seen: int) -> None:
        """Learn from what the line and the trees said before the answer was known."""
        gap = (trees - line) * seen / (seen + _RIPE)
        chance = sigmoid(line + self.weight * gap)
        curvature = chance * (1.0 - chance)
        step = self._variance * gap / (1.0 + curvature * self._variance * gap * gap)
        self.weight = min(max(self.weight + step * (label - chance), 0.0), 1.0)
        self._variance = min((1.0 - step * curvature * gap) * self._variance / _FORGETTING, _WIDEST)

    def dump(self) -> tuple[float, ...]:
        """Return what `load` continues from."""
        return self.weight, self._variance

    def load(self, numbers: tuple[float, ...]) -> None:
        """Continue from what `dump` gave; nothing (a checkpoint of an older release) begins anew."""
        if numbers:
            self.weight, self._variance = numbers

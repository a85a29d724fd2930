"""First invoices: trees of their own, for clients of whom no outcome is known yet.

Of such a client all that says much is 0, and what is left (terms, amount, the book, the firm's own figures) stands in a few
rows of a window that mostly holds clients who are known. So their questions at issue have a window to themselves.
"""

from models.features import is_first
from models.learners.trees import Leaning, TreesLearner


class Firsts:
    """How far one head leans, about a first invoice, from what it says otherwise toward the trees of first invoices."""

    def __init__(self, trees: TreesLearner) -> None:
        """Start without an answer; `trees` are shared by the heads at issue."""
        self.trees = trees
        self._leaning = Leaning()
        self._seen = 0

    @property
    def share(self) -> float:
        """The share of these trees, 0 while there are none."""
        return 0.0 if self.trees.forest is None else self._leaning.share(self._seen)

    def said(self, features: tuple[float, ...], *, days: int, otherwise: float) -> float:
        """Return the logit of more than `days` days late, where the head says `otherwise` without these trees."""
        value = self.trees.value(features, days=days) if is_first(features) else None
        return otherwise if value is None else otherwise + self.share * (value - otherwise)

    def learn(self, features: tuple[float, ...], *, days: int, otherwise: float, late: bool) -> None:
        """Learn one answer from what both would have said; an invoice that is no first one teaches nothing."""
        if not is_first(features):
            return
        value = self.trees.value(features, days=days)
        if value is not None:
            self._leaning.learn(otherwise, value, label=late, seen=self._seen)
        self._seen += 1

    def dump(self) -> tuple[float, ...]:
        """Return what `load` continues from."""
        return *self._leaning.dump(), float(self._seen)

    def load(self, numbers: tuple[float, ...]) -> None:
        """Continue from what `dump` gave; nothing (a checkpoint of an older release) begins anew."""
        if numbers:
            *leaning, seen = numbers
            self._leaning.load(tuple(leaning))
            self._seen = int(seen)

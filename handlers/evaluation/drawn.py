"""Leads and ranges: the same clients drawn again for every predictor, so that what two of them have in common cancels out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from handlers.evaluation.metrics import Floats

FEW_CLIENTS: Final = 15
"""Below so many clients, or clients with the rarer outcome, nothing is called ahead: of eight drawn again, one equal pair in five
would be told apart, of two every other one."""

_DRAWS: Final = 400
_FEWEST: Final = 40
_DRAWN: Final = 20_000_000  # rows drawn in all draws together; beyond it there are fewer draws, as each says more
_BLOCK: Final = 1_000_000  # numbers held at once
_SEED: Final = 20_260_101


class Drawn:
    """Draws of as many clients as there are (seeded), with all their questions, as invoices of a client are not independent.

    In which order the questions stand is of no meaning. Of one client alone its questions are drawn: too narrow, but more than
    the point that drawing it again would give.
    """

    def __init__(self, clients: Sequence[str]) -> None:
        """Draw for questions whose clients these are, one a question."""
        names, codes = np.unique(np.array(clients), return_inverse=True)
        self.clients = len(names)
        self._codes: NDArray[np.intp] = codes if len(names) > 1 else np.arange(len(clients))
        self._size = int(self._codes.max(initial=0)) + 1
        dice = np.random.default_rng(_SEED)
        draws = max(_FEWEST, min(_DRAWS, _DRAWN // max(1, len(clients))))
        self._times = np.empty((draws, self._size), np.int16)
        for row in self._times:
            row[:] = np.bincount(dice.integers(0, self._size, self._size), minlength=self._size)

    def _blocks(self) -> Iterator[Floats]:
        """Yield how often each client was drawn, some draws (rows) at a time."""
        step = max(1, _BLOCK // max(1, len(self._codes)))
        for start in range(0, len(self._times), step):
            yield self._times[start : start + step].astype(np.float64)

    def means(self, losses: Floats) -> Floats:
        """Return the mean of `losses` (one a question) in each draw."""
        sums = np.bincount(self._codes, losses, minlength=self._size)
        counts = np.bincount(self._codes, minlength=self._size)
        return np.concatenate([(times @ sums) / (times @ counts) for times in self._blocks()])

    def telling(self, labels: Floats) -> int:
        """Return how many clients have a question of the rarer outcome: on so many a difference in ranking or loss rests."""
        return min(self.clients, *(len(np.unique(self._codes[rows])) for rows in (labels > 0, labels <= 0)))

    def aucs(self, chances: Floats, labels: Floats) -> Floats:
        """Return the AUC in each draw (ties count half), nan where all drawn labels are alike."""
        late, prompt = (rows[np.argsort(chances[rows])] for rows in (np.flatnonzero(labels > 0), np.flatnonzero(labels <= 0)))
        lower, upto = (np.searchsorted(chances[prompt], chances[late], side) for side in ("left", "right"))
        late_of, prompt_of = self._codes[late], self._codes[prompt]
        found = []
        for times in self._blocks():
            below = np.zeros((len(times), len(prompt) + 1))
            np.cumsum(times[:, prompt_of], axis=1, out=below[:, 1:])
            drawn = times[:, late_of]
            won = (drawn * (below[:, lower] + below[:, upto])).sum(axis=1) / 2
            pairs = drawn.sum(axis=1) * below[:, -1]
            found.append(np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))
        return np.concatenate(found)


def ninety(values: Floats) -> tuple[float, float]:
    """Return between what the middle 90 % of `values` lie, those that are no number left out; nan where none is one."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.05, 0.95])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Lead:
    """By how much Rapport is better than another predictor on the same questions (below 0: worse), with its 90 % range.

    The range says what other clients of the kind would have changed; not what other months would have, nor a learner's own dice.
    On so many `clients` it rests.
    """

    by: float
    low: float
    high: float
    clients: int

    @property
    def word(self) -> Literal["ahead", "behind", "not told apart", "too few clients"]:
        """What may be said of Rapport; of ten predictors that are as good, about one is called ahead or behind all the same."""
        if self.clients < FEW_CLIENTS:
            return "too few clients"
        if self.low > 0:
            return "ahead"
        return "behind" if self.high < 0 else "not told apart"


def lead_of(by: float, differences: Floats, *, clients: int) -> Lead:
    """Return the lead `by` with the range of its `differences`, one a draw, that rests on so many `clients`."""
    return Lead(by, *ninety(differences), clients)


def signed(value: float, digits: int) -> str:
    """Return `value` with its sign and without a nought before the point: +.012."""
    return ("-" if value < 0 else "+") + bare(value, digits)


def bare(value: float, digits: int) -> str:
    """Return how much `value` is without its sign: .012."""
    return f"{abs(value):.{digits}f}".removeprefix("0")

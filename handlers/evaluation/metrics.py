"""How good probabilities and ranges were: AUC, log loss, calibration error, coverage; intervals by resampling clients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Halves: TypeAlias = NDArray[np.float16]

BINS: Final = 10
_EDGE: Final = 1e-3
_RESAMPLES: Final = 200
_DRAWN: Final = 2_000_000  # rows drawn in all resamples together; beyond it fewer resamples do, as each says more
_FEWEST: Final = 40
_SEED: Final = 20_260_101


def auc(chances: Floats, labels: Floats) -> float:
    """Return the probability that a late one got the higher chance (ties count half); nan when all labels are alike."""
    positives = labels.sum()
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(chances, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(chances: Floats, labels: Floats) -> float:
    """Return the mean logarithmic loss in nats; chances are bounded to [.001, .999]."""
    bounded = np.clip(chances, _EDGE, 1 - _EDGE)
    return float(-(labels * np.log(bounded) + (1 - labels) * np.log(1 - bounded)).mean())


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of one tenth of the scale: mean chance, share that came true, how many."""

    chance: float
    share: float
    count: int


def reliability(chances: Floats, labels: Floats) -> list[Bin]:
    """Return the non-empty tenths of the probability scale."""
    places = np.minimum((chances * BINS).astype(int), BINS - 1)
    return [
        Bin(float(chances[places == place].mean()), float(labels[places == place].mean()), int((places == place).sum()))
        for place in range(BINS)
        if (places == place).any()
    ]


def calibration_error(chances: Floats, labels: Floats) -> float:
    """Return the expected calibration error over tenths: the mean distance of a chance from what came true."""
    return sum(row.count * abs(row.chance - row.share) for row in reliability(chances, labels)) / len(chances)


def adaptive_error(chances: Floats, labels: Floats) -> float:
    """Return the calibration error over ten bins of equal count: no bin is too small to mean anything."""
    order = np.argsort(chances, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    return float(sum(len(rows) * abs(chances[rows].mean() - labels[rows].mean()) for rows in bins) / len(chances))


def noise_floor(chances: Floats, error: Callable[[Floats, Floats], float] = adaptive_error) -> tuple[float, float]:
    """Return mean and 95 % point of the calibration `error` that perfectly calibrated chances of this size and shape would show.

    Outcomes are drawn with exactly the given chances (seeded): what a calibration error must exceed to mean anything.
    """
    dice = np.random.default_rng(_SEED)
    found = [error(chances, (dice.random(len(chances)) < chances).astype(np.float64)) for _ in range(_resamples(len(chances)))]
    return float(np.mean(found)), float(np.quantile(found, 0.95))


def interval(measure: Callable[[NDArray[np.intp]], float], clients: Sequence[str]) -> tuple[float, float]:
    """Return a 90 % bootstrap interval of `measure(rows)`, whole clients resampled, for their invoices are not independent.

    Of one client alone its invoices are resampled: too narrow, but more than the point that drawing it again would give.
    """
    names, codes = np.unique(np.array(clients), return_inverse=True)
    if len(names) == 1:
        names, codes = np.array(clients), np.arange(len(clients))
    order = np.argsort(codes, kind="stable")
    rows_of = np.split(order, np.searchsorted(codes[order], np.arange(1, len(names))))
    dice = np.random.default_rng(_SEED)
    found = []
    for _ in range(_resamples(len(clients))):
        rows = np.concatenate([rows_of[code] for code in dice.integers(0, len(names), len(names))])
        value = measure(rows)
        if np.isfinite(value):
            found.append(value)
    if not found:
        return float("nan"), float("nan")
    low, high = np.quantile(found, [0.05, 0.95])
    return float(low), float(high)


def _resamples(rows: int) -> int:
    return max(_FEWEST, min(_RESAMPLES, _DRAWN // max(1, rows)))

"""How good probabilities were: AUC, log loss, calibration error, and what chance alone does to the last."""

from collections.abc import Callable
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
    return float(log_losses(chances, labels).mean())


def log_losses(chances: Floats, labels: Floats) -> Floats:
    """Return the logarithmic loss of each chance in nats; chances are bounded to [.001, .999]."""
    bounded = np.clip(chances, _EDGE, 1 - _EDGE)
    losses: Floats = -(labels * np.log(bounded) + (1 - labels) * np.log(1 - bounded))
    return losses


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


def _resamples(rows: int) -> int:
    return max(_FEWEST, min(_RESAMPLES, _DRAWN // max(1, rows)))

"""How contracts are renewed after so many renewals, as a smooth curve that goes on beyond what was seen.

The shifted beta-geometric model (Fader and Hardie 2007, "How to project customer retention"): every contract has a chance of its
own to end at a renewal, Beta(a, b) distributed over contracts. The share renewed then rises with age, since who is likely to end
ends early: after t renewals it is (b + t) / (a + b + t).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Final

from models.learners.renewal_snapshot import Ages

_POOLED: Final = 20.0  # periods of the firm that weigh with a group's own
_USUAL: Final = (0.8, 0.1)  # share renewed at first and its spread parameter, before anything is known
_USUAL_WEIGHT: Final = 2.0
_STEPS: Final = 24
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Renewing:
    """The curve of one group: Beta(a, b) of the chance to end; `known` periods behind it."""

    a: float
    b: float
    known: float

    def share(self, age: int) -> float:
        """Return the share renewed after `age` renewals."""
        return (self.b + age) / (self.a + self.b + age)

    def spread(self, age: int) -> float:
        """Return the standard error of the logit of that share, from the number of periods known and a floor."""
        share = self.share(age)
        return sqrt(1.0 / (max(self.known, 1.0) * share * (1.0 - share)) + _FLOOR)


_FLOOR: Final = 0.02  # what the shape of the curve may be wrong by, however much is known


def pooled(group: Ages | None, firm: Ages | None) -> tuple[list[float], list[float]]:
    """Return known and renewed periods by age: a group's own, with a share of the firm's worth `_POOLED` periods at most."""
    size = max((len(row.known) for row in (group, firm) if row), default=0)
    known, renewed = [0.0] * size, [0.0] * size
    _add(group, known, renewed, 1.0)
    if firm is not None and firm is not group:
        _add(firm, known, renewed, min(1.0, _POOLED / max(1, sum(firm.known))))
    return known, renewed


def _add(row: Ages | None, known: list[float], renewed: list[float], weight: float) -> None:
    if row is not None:
        for age, count in enumerate(row.known):
            known[age] += weight * count
            renewed[age] += weight * (row.renewed[age] if age < len(row.renewed) else 0)


def fit(known: Sequence[float], renewed: Sequence[float]) -> Renewing:
    """Return the most likely curve (with a weak prior), by a grid that narrows around its best point; always the same one."""
    low, high = (-4.0, -5.0), (2.0, 3.0)  # logit of the mean chance to end, log of the inverse of its spread
    best = (0.0, 0.0)
    for _ in range(_ROUNDS):
        steps = [(high[axis] - low[axis]) / (_STEPS - 1) for axis in (0, 1)]
        points = [
            (low[0] + steps[0] * one, low[1] + steps[1] * two) for one in range(_STEPS) for two in range(_STEPS)
        ]  # fmt: skip
        best = max(points, key=lambda point: _likelihood(point, known, renewed))
        low = (best[0] - 2 * steps[0], best[1] - 2 * steps[1])
        high = (best[0] + 2 * steps[0], best[1] + 2 * steps[1])
    a, b = _beta(best)
    return Renewing(a, b, sum(known))


def _beta(point: tuple[float, float]) -> tuple[float, float]:
    mean, size = 1 / (1 + exp(-point[0])), exp(-point[1])
    return mean * size + 1e-3, (1 - mean) * size + 1e-3


def _likelihood(point: tuple[float, float], known: Sequence[float], renewed: Sequence[float]) -> float:
    a, b = _beta(point)
    total = 0.0
    for age, count in enumerate(known):
        share = (b + age) / (a + b + age)
        total += renewed[age] * log(share) + (count - renewed[age]) * log(1 - share)
    usual, spread = _USUAL
    share = b / (a + b)
    prior = _USUAL_WEIGHT * (usual * log(share) + (1 - usual) * log(1 - share))
    return total + prior - 0.5 * (1 / (a + b + 1) - spread) ** 2 / 0.04

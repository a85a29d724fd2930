"""How much better an arm is than another, with an interval that holds however often one looks, and the alarm of a bad draw.

The difference is the mean of one number per company: its outcome less what was expected of it, weighted by the chance of its draw
(augmented inverse probability weighting). What is expected comes from the companies before it alone: the mean of its stratum,
moved by what the company did before it was exposed (regression adjustment as in CUPED). So each number is unbiased by the draw
itself, whatever the expectation is worth; it only narrows the interval.

The interval is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Time-uniform central limit
theory and asymptotic confidence sequences), from Robbins' normal mixture: it covers at all times at once, so looking every day
and stopping when it is clear is allowed. The alarm of the draw is the sequential multinomial test of Lindon and Malek
(Anytime-valid inference for multinomial count data).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, inf, lgamma, log, sqrt
from typing import Final

LEAST: Final = 20
"""Companies in each of two arms before anything is said: fewer are no crowd, and the limit theorem says nothing of them."""

BURN_IN: Final = 10
"""Companies that only teach what to expect."""

ALARM: Final = 1_000.0
"""Odds against the draw from which on it is not believed: by chance it is reached in one experiment of a thousand, ever."""

NEAR: Final = 20.0
"""A broken draw is expected near the shares it should have."""

ANYWHERE: Final = 2.0
"""Harm may be any share: with two groups, each as likely as the other."""

_SHRINK: Final = 4.0  # a stratum counts by itself once it holds more companies than this
_DOUBT: Final = 10.0  # likewise for what was before
_FAR: Final = 10**9


@dataclass(frozen=True, slots=True)
class Unit:
    """One company: in which arm, with what chance, and its outcome. `before`: the same figure before it was exposed."""

    treated: bool
    chance: float
    stratum: str
    outcome: float
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """The difference, treated less others, and the range that holds it at all times with the asked probability."""

    estimate: float
    low: float
    high: float
    units: int


@dataclass(slots=True)
class _Stratum:
    count: int = 0
    outcome: float = 0.0
    known: int = 0
    before: float = 0.0


@dataclass(slots=True)
class RunningLift:
    """Takes companies in the order in which they were exposed; constant memory per stratum. `planned`: where it is narrowest."""

    planned: int = 200
    alpha: float = 0.05
    arms: list[int] = field(default_factory=lambda: [0, 0])
    _all: _Stratum = field(default_factory=_Stratum)
    _strata: dict[str, _Stratum] = field(default_factory=dict)
    _sxx: float = 0.0
    _sxy: float = 0.0
    _count: int = 0
    _mean: float = 0.0
    _squares: float = 0.0

    def add(self, unit: Unit) -> None:
        """Take one company. Raises ValueError for a chance that is none."""
        if not 0 < unit.chance < 1:
            message = f"a company has a chance between 0 and 1 of each of two arms, got {unit.chance}"
            raise ValueError(message)
        stratum = self._strata.setdefault(unit.stratum, _Stratum())
        residual = unit.outcome - self._expected(unit, stratum)
        if self._all.count >= BURN_IN:
            weight = 1 / unit.chance if unit.treated else -1 / (1 - unit.chance)
            self._take(weight * residual)
        self.arms[unit.treated] += 1
        self._learn(unit, stratum)

    def interval(self) -> Interval | None:
        """Return the difference as far as it can be told, None while there are too few companies."""
        if min(self.arms) < LEAST:
            return None
        half = self._sigma() * _width(self._count, planned=self.planned, alpha=self.alpha)
        return Interval(self._mean, self._mean - half, self._mean + half, self._count)

    def needed(self, least: float) -> int | None:
        """Return how many companies in all would tell a difference of `least`, by what is known of the spread; None: unknown."""
        if min(self.arms) < LEAST or least <= 0:
            return None
        sigma, count = self._sigma(), 1
        while count < _FAR and sigma * _width(count, planned=self.planned, alpha=self.alpha) > least:
            count = count * 5 // 4 + 1
        return count + BURN_IN if count < _FAR else None

    def _sigma(self) -> float:
        return sqrt(self._squares / (self._count - 1)) if self._count > 1 else inf

    def _take(self, value: float) -> None:
        self._count += 1
        step = value - self._mean
        self._mean += step / self._count
        self._squares += step * (value - self._mean)

    def _expected(self, unit: Unit, stratum: _Stratum) -> float:
        base = self._all.outcome / self._all.count if self._all.count else 0.0
        expected = (stratum.outcome + _SHRINK * base) / (stratum.count + _SHRINK)
        if unit.before is None or not stratum.known:
            return expected
        slope = self._sxy / self._sxx if self._sxx else 0.0
        doubt = self._all.count / (self._all.count + _DOUBT)
        return expected + doubt * slope * (unit.before - stratum.before / stratum.known)

    def _learn(self, unit: Unit, stratum: _Stratum) -> None:
        if unit.before is not None:
            if stratum.known:
                share = stratum.known / (stratum.known + 1)
                apart = unit.before - stratum.before / stratum.known
                self._sxx += share * apart * apart
                self._sxy += share * apart * (unit.outcome - stratum.outcome / stratum.count)
            stratum.known += 1
            stratum.before += unit.before
        for row in (stratum, self._all):
            row.count += 1
            row.outcome += unit.outcome


def _width(count: int, *, planned: int, alpha: float) -> float:
    """Return half the width of the confidence sequence after `count` numbers of spread one (theorem 2.2 of the source)."""
    if not count:
        return inf
    rho2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned
    reach = count * rho2 + 1
    return sqrt(2 * reach / (count * count * rho2) * log(sqrt(reach) / alpha))


def odds_against(counts: Sequence[int], shares: Sequence[float], *, spread: float = NEAR) -> float:
    """Return the odds that `counts` were not drawn with `shares`; if they were, `x` is ever reached with a chance of 1/x.

    `spread`: how near to the shares a wrong draw is expected to lie; the smaller, the sooner a gross difference is seen.
    """
    total = sum(shares)
    expected = [share / total for share in shares]
    found = lgamma(spread) - lgamma(spread + sum(counts))
    for count, share in zip(counts, expected, strict=True):
        found += lgamma(spread * share + count) - lgamma(spread * share) - count * log(share)
    return exp(min(found, 200.0))

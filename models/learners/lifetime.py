"""What a contract is still worth: survival of its renewals x price, as an expected sum and a range that nine of ten stay within.

The renewals ahead have the chances that the learner gives them, or, while it abstains, those of the curve of the contract's type.
The range mixes what chance does (how often it is renewed) with what is
not known: how far the chances are off, and how prices change. Money is integer minor units of one currency; nothing is converted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import exp, log
from types import MappingProxyType
from typing import Final

from models.learners.chance import bounded, sigmoid
from models.learners.renewal_snapshot import Ages
from models.learners.survival import Renewing
from models.money import exponent
from models.state.renewals import Period
from models.workdays import DAY_MS

LEVELS: Final = (0.05, 0.95)
"""The ends of the range."""

_NODES: Final = ((-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6))  # Gauss-Hermite: exact for moments up to the fifth
_USUAL_CHANGE: Final = 0.02  # of the logarithm of the price, per renewal, and its spread; weighs like five renewals
_USUAL_SPREAD: Final = 0.1
_USUAL_WEIGHT: Final = 5.0
_YEAR_DAYS: Final = 365.25
_MONTH_DAYS: Final = _YEAR_DAYS / 12
_NEWTON: Final = 3  # steps: the mean is met to a millionth for every doubt that occurs
_MOST: Final = 240  # renewals looked ahead


@dataclass(frozen=True, slots=True)
class ValueTerms:
    """How the firm counts value. Amounts are whole units of the contract's currency.

    `margin` is the share of the price that remains, `servicing_units` what a contract costs a month, `discount_rate` per year.
    `acquisition_units` is what winning a client costs; `acquisition_of` names groups (`segment:slow`, `type:retainer`) that
    differ; `most_shift` is the share of a group's budget of care that may be moved in a quarter.
    """

    margin: float = 1.0
    servicing_units: int = 0
    discount_rate: float = 0.0
    horizon_years: float = 5.0
    acquisition_units: int = 0
    acquisition_of: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    most_shift: float = 0.1

    def cost_of(self, groups: Iterable[str], currency: str) -> int:
        """Return what winning a client cost, in minor units: the first group named, else what it costs in general."""
        units = next((self.acquisition_of[group] for group in groups if group in self.acquisition_of), self.acquisition_units)
        return units * _minor_units(currency)

    def left_of(self, minor: float, months: float, currency: str) -> float:
        """Return what remains of a price for so many months of service, in minor units."""
        return minor * self.margin - self.servicing_units * _minor_units(currency) * months


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What the renewals ahead are worth in minor units: expected, and the range that nine of ten stay within."""

    currency: str
    expected: int
    low: int
    high: int
    renewals: float
    horizon_years: float


@dataclass(frozen=True, slots=True)
class Change:
    """How the logarithm of a price changes at a renewal: mean and spread; `first` is the mean of first ones, none: like all.

    A first price often stands for longer than later ones, so that first renewals say little of the others.
    """

    mean: float = _USUAL_CHANGE
    spread: float = _USUAL_SPREAD
    first: float | None = None

    @classmethod
    def of(cls, ages: Ages | None) -> "Change":
        """Return the change of one group, drawn toward what is usual while few are known."""
        if ages is None or not ages.changes:
            return cls()
        mean = _drawn(ages.change - ages.first_change, ages.changes - ages.first_changes, _USUAL_CHANGE)
        first = _drawn(ages.first_change, ages.first_changes, mean)
        weight = ages.changes + _USUAL_WEIGHT
        middle = (ages.change + _USUAL_WEIGHT * _USUAL_CHANGE) / weight
        square = (ages.change_square + _USUAL_WEIGHT * (_USUAL_SPREAD**2 + _USUAL_CHANGE**2)) / weight
        return cls(mean, max(square - middle * middle, 1e-6) ** 0.5, first)

    def until(self, place: int, *, age: int) -> float:
        """Return the mean of all changes up to and with the renewal at `place` (0: the next) after `age` renewals."""
        return self.mean * (place + 1) + (0.0 if age or self.first is None else self.first - self.mean)


def _drawn(total: float, count: int, usual: float) -> float:
    return (total + _USUAL_WEIGHT * usual) / (count + _USUAL_WEIGHT)


def curve_path(curve: Renewing, *, age: int, count: int) -> list[float]:
    """Return the chances of the next `count` renewals as the curve of a group has them."""
    return [curve.share(age + place) for place in range(count)]


def renewals_ahead(period: Period, *, now_ms: int, terms: ValueTerms) -> int:
    """Return how many renewals fall within the horizon."""
    ahead = (now_ms + terms.horizon_years * _YEAR_DAYS * DAY_MS - period.renews_ms) / DAY_MS
    return min(_MOST, int(ahead // period.days) + 1) if ahead >= 0 else 0


def lifetime(
    period: Period, *, minor: int, path: Sequence[float], doubt: float, change: Change, now_ms: int, terms: ValueTerms
) -> Lifetime:
    """Return what the renewals of `period`'s contract are worth, at a present price of `minor` a period.

    `path` are the chances of the renewals ahead, `doubt` the standard error of their logits taken together.
    """
    count = len(path)
    steady = [_around(given, doubt) for given in path]
    months = period.days / _MONTH_DAYS
    wait = max(0.0, (period.renews_ms - now_ms) / DAY_MS / _YEAR_DAYS)
    fades = [(1 + terms.discount_rate) ** -(wait + place * period.days / _YEAR_DAYS) for place in range(count)]
    outcomes: list[tuple[float, float]] = []
    renewals = 0.0
    for (one, first), (two, second) in product(_NODES, _NODES):
        weight, alive, value = first * second, 1.0, 0.0
        for place, middle in enumerate(steady):
            share = sigmoid(middle + one * doubt)
            outcomes.append((value, weight * alive * (1 - share)))
            alive *= share
            renewals += weight * alive
            price = minor * exp(change.until(place, age=period.age) + two * change.spread * (place + 1) ** 0.5)
            value += terms.left_of(price, months, period.currency) * fades[place]
        outcomes.append((value, weight * alive))
    low, high = quantiles(outcomes, LEVELS)
    expected = sum(value * weight for value, weight in outcomes)
    return Lifetime(period.currency, round(expected), round(low), round(high), renewals, terms.horizon_years)


def together(parts: Iterable[Lifetime]) -> list[Lifetime]:
    """Return the sums per currency. Contracts of one client end together more often than not: low adds to low, high to high."""
    found: dict[str, Lifetime] = {}
    for row in parts:
        base = found.get(row.currency)
        found[row.currency] = (
            row
            if base is None
            else Lifetime(
                row.currency,
                base.expected + row.expected,
                base.low + row.low,
                base.high + row.high,
                base.renewals + row.renewals,
                max(base.horizon_years, row.horizon_years),
            )
        )
    return [found[code] for code in sorted(found)]


def quantiles(outcomes: Iterable[tuple[float, float]], levels: Iterable[float]) -> list[float]:
    """Return the values below which the given shares of the weight lie; `outcomes` are (value, weight)."""
    ordered = sorted(outcomes)
    total = sum(weight for _, weight in ordered)
    found = []
    for level in levels:
        running = 0.0
        for value, weight in ordered:
            running += weight
            if running >= level * total:
                found.append(value)
                break
        else:
            found.append(ordered[-1][0])
    return found


def _minor_units(currency: str) -> int:
    found: int = 10 ** exponent(currency)
    return found


def _around(chance: float, doubt: float) -> float:
    """Return the logit in the middle of the doubt such that the mean over the doubt is `chance`.

    Around the logit of the chance itself, what the doubt takes from high chances would be more than what it gives.
    """
    wanted = bounded(chance)
    middle = _logit(wanted)
    for _ in range(_NEWTON):
        shares = [(sigmoid(middle + node * doubt), weight) for node, weight in _NODES]
        slope = sum(weight * share * (1 - share) for share, weight in shares)
        middle += (wanted - sum(weight * share for share, weight in shares)) / max(slope, 1e-9)
    return middle


def _logit(share: float) -> float:
    return log(share / (1 - share))

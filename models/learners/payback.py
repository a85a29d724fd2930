"""In how many months a won client has paid back what winning them cost, per group, with a range.

A life table by month of contract life: of the contracts in a month, which share ended with it; what was billed for it. What
is left after margin and service adds up month by month, for those that are still there; it pays back when the sum reaches the
cost. A group of which little is known leans on the firm. The range is of the group's average, not of a single client.
"""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

from models.learners.lifetime import ValueTerms
from models.learners.renewal_snapshot import Months, Published
from models.learners.retention import FIRM, MONTHS

_POOLED: Final = 10.0  # contracts of the firm that weigh with a group's own in every month
_TAIL: Final = 24  # months at the end of what was seen, from which is taken how it goes on
_LEVEL: Final = 1.645  # standard errors to either side: nine of ten


@dataclass(frozen=True, slots=True)
class Payback:
    """Months until the cost is paid back on average; none: not within five years. `earned` are minor units after a year."""

    group: str
    currency: str
    cost: int
    contracts: int
    months: int | None
    low: int | None
    high: int | None
    earned: int
    staying: float

    @property
    def words(self) -> str:
        """The result for people."""
        if self.months is None:
            return "over 60 months" if self.low is None else f"over 60 months ({self.low} at best)"
        return f"{self.months} months ({self.low} to {self.high or 'over 60'})"


def paybacks(retention: Published, terms: ValueTerms) -> list[Payback]:
    """Return the payback of every group that was seen, the firm first."""
    rows = sorted(retention.months, key=lambda row: (row.currency, row.group != FIRM, row.group))
    return [payback(row, retention.months_of(FIRM, row.currency), terms) for row in rows]


def payback(group: Months, firm: Months | None, terms: ValueTerms) -> Payback:
    """Return when one group pays back its cost."""
    # What was told with the contracts goes before what the policy says of such clients in general.
    cost = round(group.cost / group.costs) if group.costs else terms.cost_of((group.group,), group.currency)
    staying, earned = _life(group, firm if firm is not group else None, terms)
    errors = _errors(group, firm)
    sums = {
        side: _running([each * exp(side * _LEVEL * error) for each, error in zip(earned, errors, strict=True)])
        for side in (-1, 0, 1)
    }
    return Payback(
        group.group,
        group.currency,
        cost,
        _contracts(group),
        _reached(sums[0], cost),
        _reached(sums[1], cost),
        _reached(sums[-1], cost),
        round(sums[0][11]),
        staying[12],
    )


@dataclass(frozen=True, slots=True)
class Left:
    """What a won contract leaves on average within a horizon, after margin and service and before the cost of winning it."""

    expected: int
    low: int
    high: int
    months_served: float


def left_within(group: Months, firm: Months | None, terms: ValueTerms, *, months: int) -> Left:
    """Return what the first `months` of a contract's life leave, and how many of them it is served on average."""
    other = firm if firm is not group else None
    staying, earned = _life(group, other, terms)
    errors = _errors(group, firm)
    sums = [
        sum(each * exp(side * _LEVEL * error) for each, error in zip(earned[:months], errors, strict=False))
        for side in (-1, 0, 1)
    ]
    low, expected, high = sorted(map(round, sums))
    return Left(expected, low, high, sum(staying[:months]))


def _life(group: Months, firm: Months | None, terms: ValueTerms) -> tuple[list[float], list[float]]:
    """Return the share still there at the beginning of each month, and what the month leaves per contract won."""
    alive, staying, earned = 1.0, [], []
    mean = _price(group, firm)
    ending = _tail(group, firm)
    for month in range(MONTHS):
        exposed, ended, billed = (_at(row, month) for row in (group.exposed, group.ended, group.billed))
        if firm is not None and _at(firm.exposed, month):
            weight = _POOLED / _at(firm.exposed, month)
            scale = mean * firm.prices / firm.price if firm.price else 1.0  # the firm's ups and downs at this group's prices
            exposed, ended = exposed + _POOLED, ended + weight * _at(firm.ended, month)
            billed += weight * _at(firm.billed, month) * scale
        staying.append(alive)
        price = billed / exposed if exposed else mean
        earned.append(alive * terms.left_of(price, 1.0, group.currency))
        alive *= 1.0 - (min(1.0, ended / exposed) if exposed else ending)
    return staying, earned


def _contracts(group: Months) -> int:
    """Return how many contracts were seen in the month in which most were: periods of one contract are not independent."""
    return max(group.exposed, default=0)


def _tail(group: Months, firm: Months | None) -> float:
    rows = [row for row in (group, firm) if row is not None]
    exposed = sum(sum(row.exposed[-_TAIL:]) for row in rows)
    return sum(sum(row.ended[max(0, len(row.exposed) - _TAIL) :]) for row in rows) / exposed if exposed else 0.0


def _price(group: Months, firm: Months | None) -> float:
    """Return the price of a month on average."""
    usual = firm.price / firm.prices if firm is not None and firm.prices else 0.0
    weight = _POOLED if usual else 0.0
    count = group.prices + weight
    return (group.price + weight * usual) / count if count else 0.0


def _errors(group: Months, firm: Months | None) -> list[float]:
    """Return the relative standard error of what has been earned, month by month: Greenwood's for survival, plus the price's."""
    count, contracts = max(1, group.prices), max(1, _contracts(group))
    found, survival, mean = [], 0.0, group.price / count
    price = max(0.0, group.price_square / count - mean * mean) / (mean * mean) / contracts if mean else 1.0
    for month in range(MONTHS):
        exposed, ended = _at(group.exposed, month), _at(group.ended, month)
        if firm is not None and firm is not group and _at(firm.exposed, month):
            exposed, ended = exposed + _POOLED, ended + _POOLED * _at(firm.ended, month) / _at(firm.exposed, month)
        survival += ended / (exposed * max(exposed - ended, 0.5)) if exposed else 0.02
        found.append(sqrt(price + survival))
    return found


def _running(parts: list[float]) -> list[float]:
    total, found = 0.0, []
    for part in parts:
        total += part
        found.append(total)
    return found


def _reached(sums: list[float], cost: int) -> int | None:
    return next((month + 1 for month, total in enumerate(sums) if total >= cost), None)


def _at(row: tuple[int, ...], place: int) -> float:
    return float(row[place]) if place < len(row) else 0.0

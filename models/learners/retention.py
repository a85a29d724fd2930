"""How long contracts last and what they bring: tallies of answered periods, by renewal and by month, for lifetime and payback.

Two tables, both of constant size. By **age**: of the periods after so many renewals, how many were renewed, and at what ratio of
prices. By **month** of a contract's life: how many contracts were under contract then, how many ended, what they were billed. A
period counts when it is answered, whichever way it ended, so that neither the lasting nor the lost are seen first.
"""

from collections.abc import Iterable
from math import log
from typing import Final

import msgspec

from models.triggers import RenewalExample

AGES: Final = 12
"""Renewals that are told apart; what was renewed more often is counted with the last."""

MONTHS: Final = 60
"""Months of a contract's life that are told apart."""

GROUPS: Final = 24
"""Groups (the firm, contract types, segments) that are tallied; a further one counts for the firm alone."""

SHRINKAGE: Final = 4.0
"""Answers that a wider share weighs in a narrower one: the firm's in a type's, the usual one in the firm's."""

FIRM: Final = "firm"
_MONTH_DAYS: Final = 365.25 / 12
_WIDEST_CHANGE: Final = 1.0  # of the logarithm of a price ratio: beyond e it is another contract


class AgeTally(msgspec.Struct):
    """Of the periods after so many renewals: known, renewed, raised; and the log ratio of prices, first renewals also apart."""

    known: list[int] = msgspec.field(default_factory=lambda: [0] * AGES)
    renewed: list[int] = msgspec.field(default_factory=lambda: [0] * AGES)
    changes: int = 0
    change: float = 0.0
    change_square: float = 0.0
    raised: list[int] = msgspec.field(default_factory=lambda: [0] * AGES)
    first_changes: int = 0
    first_change: float = 0.0

    def see(self, example: RenewalExample) -> None:
        """Count one answered period."""
        place = min(example.age, AGES - 1)
        self.raised[place] += example.raised
        self.known[place] += 1
        self.renewed[place] += example.renewed
        if example.renewed and example.minor > 0 and example.after > 0:
            ratio = min(max(log(example.after / example.minor), -_WIDEST_CHANGE), _WIDEST_CHANGE)
            if not example.age:
                self.first_changes += 1
                self.first_change += ratio
            self.changes += 1
            self.change += ratio
            self.change_square += ratio * ratio


class MonthTally(msgspec.Struct):
    """Of each month of contract life, in one currency: contracts in it, contracts that ended with it, minor units billed for it.

    `prices` counts the periods, `price` and `price_square` sum their price per month; `costs` counts the contracts that told what
    winning the client cost, `cost` sums it, each with its first period.
    """

    exposed: list[int] = msgspec.field(default_factory=lambda: [0] * MONTHS)
    ended: list[int] = msgspec.field(default_factory=lambda: [0] * MONTHS)
    billed: list[int] = msgspec.field(default_factory=lambda: [0] * MONTHS)
    prices: int = 0
    price: float = 0.0
    price_square: float = 0.0
    costs: int = 0
    cost: float = 0.0

    def see(self, example: RenewalExample) -> None:
        """Count one answered period."""
        first, end = months_of(example)
        each = example.minor / (end - first)
        self.prices += 1
        self.price += each
        self.price_square += each * each
        if example.cost and not example.age:
            self.costs += 1
            self.cost += example.cost
        for month in range(first, min(end, MONTHS)):
            self.exposed[month] += 1
            self.billed[month] += round(each)
        if not example.renewed and end <= MONTHS:
            self.ended[end - 1] += 1


def months_of(example: RenewalExample) -> tuple[int, int]:
    """Return the first month of contract life in an answered period, and the one after its last."""
    first = round(example.tenure_days / _MONTH_DAYS)
    days = max(1, example.renews_day - example.began_day)
    return first, first + max(1, round(days / _MONTH_DAYS))


def groups_of(example: RenewalExample) -> tuple[str, ...]:
    """Return the groups a period counts for: the firm, its contract type, the client's segment."""
    return FIRM, type_group(example.contract_type), f"segment:{example.segment}"


def type_group(contract_type: str) -> str:
    """Return the group of a contract type."""
    return f"type:{contract_type}"


class Retention(msgspec.Struct):
    """All groups of one firm. Months are kept per group and currency (`group|EUR`), ages per group."""

    ages: dict[str, AgeTally] = msgspec.field(default_factory=dict)
    months: dict[str, MonthTally] = msgspec.field(default_factory=dict)

    def see(self, example: RenewalExample, groups: Iterable[str] = ()) -> None:
        """Count one answered period for its groups, or for those given."""
        for group in groups or groups_of(example):
            if group in self.ages or len(self.ages) < GROUPS:
                self.ages.setdefault(group, AgeTally()).see(example)
            place = f"{group}|{example.currency}"
            if example.currency and (place in self.months or len(self.months) < GROUPS):
                self.months.setdefault(place, MonthTally()).see(example)

"""A firm whose truth is known: contracts, bills, payments and disputes from a seed, and the chance behind every renewal.

The chance of a renewal is a logistic function of what can be seen a month before: how often the contract was renewed, late
payments, disputes, a price rise, more or less work, the type of contract. What a client is like inside shows in these only.
So the best possible predictor is known, and so is what every contract brings in the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import exp, log, log1p
from typing import Final

import numpy as np

from models.workdays import DAY_MS

FIRST_DAY: Final = 18_993
"""2022-01-01, the day on which the firm opens."""

_MONTH: Final = 30
_LEAD: Final = 30


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of contract: days of a period, usual price of a month in minor units, and what it adds to the logit."""

    name: str
    days: int
    price: int
    logit: float


KINDS: Final = (
    Kind("retainer", 182, 250_000, 1.5),
    Kind("advisory", 364, 120_000, 1.1),
    Kind("subscription", 91, 40_000, 1.9),
    Kind("project support", 182, 180_000, 0.5),
)


@dataclass(frozen=True, slots=True)
class Bill:
    """One invoice as it came about: days since 1970, minor units; `disputed` 0: never."""

    invoice_id: str
    contract_id: str
    issued: int
    due: int
    paid: int
    minor: int
    disputed: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """One period of a contract with the truth about its end. `price` is the whole period's, `offered` that of the next one."""

    contract_id: str
    kind: Kind
    age: int
    began: int
    renews: int
    price: int
    offered: int
    chance: float
    raise_chance: float
    renewed: bool
    raised: bool
    after: int
    told: int


@dataclass(slots=True)
class Life:
    """Everything of one client."""

    client_id: str
    stretches: list[Stretch] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)


class World:
    """Lives from a seed; the same seed always gives the same lives, whatever else is asked."""

    def __init__(self, seed: int, *, clients: int, years: float = 4.0, opens: float = 3.0) -> None:
        """Describe a firm of so many clients over so many years; clients begin within the first `opens` years."""
        self.seed = seed
        self.clients = clients
        self.last_day = FIRST_DAY + round(years * 365)
        self.opens = round(opens * 365)

    def lives(self) -> Iterator[Life]:
        """Yield every client's life up to the last day."""
        for number in range(self.clients):
            yield self._life(number)

    def _life(self, number: int) -> Life:
        dice = np.random.default_rng((self.seed, number))
        life = Life(f"client-{number:05}")
        begin = FIRST_DAY + int(dice.integers(0, self.opens))
        nature = float(dice.normal())
        for count in range(2 if dice.random() < 0.3 else 1):  # noqa: PLR2004 - three in ten clients have two contracts
            kind = KINDS[int(dice.integers(0, len(KINDS)))]
            course = _Course(life, f"{life.client_id}-k{count}", kind, nature, dice)
            course.run(begin + 45 * count, self.last_day)
        return life


@dataclass(slots=True)
class _Course:
    """One contract on its way. `nature` is what the client is like inside, `work` the logarithm of how much there is to do."""

    life: Life
    contract_id: str
    kind: Kind
    nature: float
    dice: np.random.Generator
    work: float = 0.0

    def run(self, begin: int, last_day: int) -> None:
        """Live period by period until the contract ends or the world does."""
        dice, kind, life = self.dice, self.kind, self.life
        price, age = round(kind.price * kind.days / _MONTH * exp(0.4 * dice.normal())), 0
        while begin < last_day:
            renews = begin + kind.days
            self._bill(begin, price)
            rise = float(dice.uniform(0.03, 0.09)) if age and dice.random() < 0.4 else 0.0  # noqa: PLR2004 - two of five
            seen = renews - _LEAD
            chance = 1 / (1 + exp(-_logit_of(life, kind, age=age, rise=rise, seen=seen)))
            raise_chance = 1 / (1 + exp(2.2 - 1.5 * _trend(life, seen)))
            renewed = bool(dice.random() < chance)
            raised = renewed and bool(dice.random() < raise_chance)
            offered = round(price * (1 + rise))
            after = round(offered * float(dice.uniform(1.15, 1.4))) if raised else offered
            told = renews + (int(dice.integers(-10, 6)) if renewed else -int(dice.choice((0, 0, 0, 45))))
            life.stretches.append(
                Stretch(
                    self.contract_id, kind, age, begin, renews, price, offered, chance, chance * raise_chance, renewed, raised,
                    after if renewed else 0, told,
                )
            )  # fmt: skip
            if not renewed:
                return
            begin, price, age = renews, after, age + 1

    def _bill(self, begin: int, price: int) -> None:
        """Bill every month of a period by the work done in it."""
        dice, days = self.dice, self.kind.days
        for month in range(days // _MONTH):
            self.work = 0.85 * self.work + 0.25 * float(dice.normal())
            issued = begin + month * _MONTH + 5
            late = dice.random() < 1 / (1 + exp(1.0 + 1.1 * self.nature))
            delay = int(dice.integers(8, 40)) if late else int(dice.integers(-5, 4))
            disputed = issued + 10 if dice.random() < 1 / (1 + exp(3.6 + 0.9 * self.nature)) else 0
            minor = max(1_000, round(price / days * _MONTH * exp(self.work)))
            name = f"{self.contract_id}-{begin + month}"
            self.life.bills.append(Bill(name, self.contract_id, issued, issued + 21, issued + 21 + delay, minor, disputed))


def _logit_of(life: Life, kind: Kind, *, age: int, rise: float, seen: int) -> float:
    known = [row for row in life.bills if row.due + 6 <= seen]
    late = sum(row.paid > row.due + 5 for row in known[-12:])
    share = (late + 0.9) / (len(known[-12:]) + 3)
    disputes = sum(seen - 365 <= row.disputed <= seen for row in life.bills if row.disputed)
    overdue = sum(row.issued <= seen and row.due < seen <= row.paid for row in life.bills)
    return (
        kind.logit
        + 0.7 * log1p(age)
        - 3.2 * (share - 0.3)
        - 0.9 * log1p(disputes)
        - 0.7 * log1p(overdue)
        - 14.0 * log1p(rise)
        + 1.3 * _trend(life, seen)
    )


def _trend(life: Life, seen: int) -> float:
    """Return the logarithm of all work billed in the 90 days before `seen` against the 90 before these."""
    late = [row.minor for row in life.bills if seen - 90 < row.issued <= seen]
    early = [row.minor for row in life.bills if seen - 180 < row.issued <= seen - 90]
    if not late or not early:
        return 0.0
    usual = (sum(late) + sum(early)) / (len(late) + len(early))
    return min(max(log((sum(late) + usual) / (sum(early) + usual)), -2.0), 2.0)


def day_ms(day: int, hour: int = 9) -> int:
    """Return epoch milliseconds of an hour of a day since 1970-01-01 UTC."""
    return day * DAY_MS + hour * 3_600_000

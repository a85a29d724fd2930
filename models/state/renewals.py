"""What is remembered of a client's contracts for learning: periods whose renewal is waited for, and how earlier ones ended.

A period runs from one renewal of a contract to the next. Everything here follows from the contract records by comparing them
before and after an event, so a correction corrects this too. Constant memory: at most `WATCHED` periods, counts for the rest.
"""

from enum import IntEnum
from typing import Final

import msgspec

WATCHED: Final = 24  # sixteen contracts are kept, each with the period that runs and perhaps the one just answered


class Fate(IntEnum):
    """How a period stands: nothing said yet, renewed, or known to end."""

    OPEN = 0
    RENEWED = 1
    ENDING = 2


class RenewalAsked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A question as it was put. `chances` are P(renewed), P(renewed for more), P(client leaves) in ten-thousandths.

    `features` are half-precision floats in the order of the renewal table; -1 is a chance that was not given. `is_leaned`: the
    learner was trusted less when it was put, because renewals lately went differently than before.
    """

    landmark: int
    at_ms: int
    features: bytes
    chances: tuple[int, ...] = ()
    version: str = ""
    is_leaned: bool = False


class Period(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One period of a contract. `minor` is its price, `before` the price of the period before it (0: none known).

    `age` counts the renewals before it, `earned` the minor units of the finished periods, `stage` the steps of the schedule done,
    `after` the price agreed for the next period, `lost_ms` when its end became known.
    """

    contract_id: str
    began_ms: int
    renews_ms: int
    minor: int
    currency: str
    contract_type: str
    age: int = 0
    before: int = 0
    earned: int = 0
    stage: int = 0
    fate: int = 0
    after: int = 0
    lost_ms: int = 0
    asked: tuple[RenewalAsked, ...] = ()

    @property
    def days(self) -> int:
        """Length in days, at least one."""
        return max(1, (self.renews_ms - self.began_ms) // 86_400_000)


class Renewals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Open periods in the order of first sight, and counts of the answered ones."""

    periods: tuple[Period, ...] = ()
    known: int = 0
    renewed: int = 0
    raised: int = 0
    unwatched: int = 0


def with_period(renewals: Renewals, old: Period | None, new: Period | None) -> Renewals:
    """Replace `old` by `new`; without `old` add, without `new` drop. Beyond `WATCHED` a new one is counted instead."""
    rows = renewals.periods
    if old is not None:
        kept = tuple(new if row is old else row for row in rows)
        return msgspec.structs.replace(renewals, periods=tuple(row for row in kept if row is not None))
    if new is None:
        return renewals
    if len(rows) >= WATCHED:
        return msgspec.structs.replace(renewals, unwatched=renewals.unwatched + 1)
    return msgspec.structs.replace(renewals, periods=(*rows, new))


def latest_period(renewals: Renewals, contract_id: str) -> Period | None:
    """Return the period of a contract that renews last, None when none is watched."""
    rows = [row for row in renewals.periods if row.contract_id == contract_id]
    return max(rows, key=lambda row: row.renews_ms, default=None)

"""A large invented wholesaler: a thousand clients of very unequal size in sixteen months, each with a way of its own.

37,000 bills is the size that its figures were taken at (docs/learning-trials.md).
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tests.histories.firms import FIRST, Bill, issues, start, workday

_DAYS: Final = 487
_GROUPS: Final = 14
_LARGE: Final = 0.8  # standard deviations above what the client usually buys
_FIXED: Final = ((10, 25), (1, 15), (28,), (5, 20))
_AHEAD: Final = np.array([4.5, 10.0, 6.5, 1.5])
"""Days by which clients look ahead who pay by weekday, on fixed days of the month, in bundles, or as bills come."""


class Clients:
    """What is drawn of every client once."""

    def __init__(self, dice: Generator, count: int) -> None:
        """Draw them: a group with its own usual delay, spread and drift, and their own on top."""
        group = dice.integers(0, _GROUPS, count)
        of_group = dice.normal(0, 2.0, _GROUPS)
        group_spread, group_drift = dice.uniform(1.0, 3.0, _GROUPS), dice.normal(0, 3.0, _GROUPS)
        self.kind = dice.choice(4, count, p=[0.35, 0.15, 0.15, 0.35])
        self.usual: NDArray[np.float64] = 0.5 + of_group[group] + dice.normal(0, 2.5, count)
        slow = dice.random(count) < 0.10
        self.usual[slow] += dice.gamma(2, 5, slow.sum())
        self.usual -= _AHEAD[self.kind]
        self.spread = group_spread[group] * np.exp(dice.normal(0, 0.5, count))
        self.drift = group_drift[group] + dice.normal(0, 3.0, count)
        self.changes_on = np.where(dice.random(count) < 0.15, dice.integers(60, _DAYS, count), 10**6)
        self.change = dice.normal(0, 8, count)
        self.weekday = dice.integers(0, 5, count)
        self.fixed = [_FIXED[place] for place in dice.integers(0, len(_FIXED), count)]
        self.rhythm, self.phase = dice.choice([7, 10, 14], count), dice.integers(0, 14, count)
        self.terms = dice.choice([15, 30, 10, 60], count, p=[0.82, 0.08, 0.06, 0.04])
        self.size = dice.normal(9.5, 1.2, count)
        self.checks = np.where(dice.random(count) < 0.4, dice.gamma(2, 3, count), 0.0)
        self.disputes = dice.beta(1, 25, count)
        self.dresses = dice.random(count) < 0.25

    def run(self, client: int, ready: date) -> date:
        """Return the first day from `ready` on, on which the client pays."""
        kind, later = self.kind[client], ready
        if kind == 0:
            later += timedelta(days=int((self.weekday[client] - ready.weekday()) % 7))
        elif kind == 1:
            while later.day not in self.fixed[client]:
                later += timedelta(days=1)
        elif kind == 2:
            phase, rhythm = self.phase[client], self.rhythm[client]
            later = FIRST + timedelta(days=int(phase + np.ceil(((ready - FIRST).days - phase) / rhythm) * rhythm))
        return workday(later)


def wholesale(seed: int, count: int) -> list[Bill]:
    """Most on 15 days, most paid within a few days of due. Clients belong to groups and drift; one in seven changes for good.

    A third pay on a weekday, some on fixed days of the month or in bundles. Four in ten look longer at large bills, some dispute
    now and then, and a quarter hold back over the end of a quarter what would be paid in its last days.
    """
    draw = start(seed, _DAYS)
    dice = draw.dice
    clients = max(20, count // 37)
    drawn = Clients(dice, clients)
    moods: dict[tuple[int, int], float] = {}
    for client, issued in issues(draw, count, clients=clients, days=_DAYS, heavy=1.6):
        terms = int(drawn.terms[client]) if dice.random() < 0.93 else int(dice.choice([15, 30]))
        amount = dice.normal(0, 0.8)
        day = (issued - FIRST).days
        if (client, day // 45) not in moods:
            moods[client, day // 45] = dice.normal(0, 1.5)
        wanted = drawn.usual[client] + drawn.drift[client] * day / _DAYS + moods[client, day // 45]
        wanted += (drawn.change[client] if day > drawn.changes_on[client] else 0) + drawn.spread[client] * dice.standard_t(4)
        wanted += drawn.checks[client] if amount > _LARGE else 0
        if dice.random() < drawn.disputes[client] * (2 if amount > _LARGE else 1):
            wanted += 5 + dice.exponential(18)
        if dice.random() < 0.02:
            wanted -= dice.integers(5, 15)
        due = issued + timedelta(days=terms)
        ready = max(issued + timedelta(days=1), due + timedelta(days=round(wanted)))
        if drawn.dresses[client] and ready.month % 3 == 0 and ready.day > 21:
            ready = (ready.replace(day=28) + timedelta(days=4)).replace(day=1) + timedelta(days=int(dice.integers(0, 4)))
        delay = float((drawn.run(client, ready) - due).days)
        draw.bill(client, issued, terms=terms, delay=delay, cents=np.exp(drawn.size[client] + amount))
    return draw.bills

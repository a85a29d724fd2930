"""More invented firms, from which the prior is learned (`tests.models.prior_means`) and on which it is judged.

As in `firms`, a seed draws the bills and each docstring says what there is to learn.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tests.histories.firms import FIRST, Bill, Firm, issues, start, workday

_WEEK: Final = 7


def by_date(seed: int, count: int) -> list[Bill]:
    """Each client pays in runs of its own: at month ends, on Fridays, or on the 10th."""
    draw = start(seed, 1000)
    dice, clients = draw.dice, max(6, count // 40)
    kind, grace = dice.integers(0, 3, clients), dice.integers(-3, 12, clients)
    for client, issued in issues(draw, count, clients=clients, days=1000, heavy=0.7):
        terms = int(dice.choice([14, 30]))
        due = issued + timedelta(days=terms)
        ready = due + timedelta(days=int(grace[client] + dice.normal(0, 1.5)))
        run = (_month_end, _friday, _tenth)[kind[client]](ready)
        draw.bill(client, issued, terms=terms, delay=float((run - due).days), cents=np.exp(dice.normal(11, 1)))
    return draw.bills


def alone(seed: int, count: int) -> list[Bill]:
    """One client, which pays on Thursdays and takes nine days more for large bills on short terms."""
    draw = start(seed, 1200)
    dice = draw.dice
    for client, issued in issues(draw, count, clients=1, days=1200):
        terms, size = int(dice.choice([14, 30])), dice.normal(0, 1)
        due = issued + timedelta(days=terms)
        ready = due + timedelta(days=int(dice.normal(-2, 2) + (9 if size > 0.5 and terms == 14 else 0)))
        run = ready + timedelta(days=(3 - ready.weekday()) % _WEEK)
        draw.bill(client, issued, terms=terms, delay=float((run - due).days), cents=np.exp(10 + size))
    return draw.bills


def handful(seed: int, count: int) -> list[Bill]:
    """Twenty-five clients with few bills each; a usual delay and its spread are all there is to know of them."""
    draw = start(seed, 700)
    dice = draw.dice
    usual, spread = dice.normal(1, 7, 25), dice.gamma(2, 2, 25)
    for client, issued in issues(draw, count, clients=25, days=700):
        terms, delay = int(dice.choice([14, 30])), float(usual[client] + dice.normal(0, spread[client] + 1))
        draw.bill(client, issued, terms=terms, delay=delay, cents=np.exp(dice.normal(10, 1)))
    return draw.bills


def mixed(seed: int, count: int) -> list[Bill]:
    """A firm drawn by lot: how many clients and bills, which terms, and which ways its clients have (`_WAYS`), each its own.

    Amount, terms and weekday move everybody by what the firm drew, troubled clients pay weeks later now and then.
    """
    lot = np.random.default_rng(10_000 + seed)
    days = int(lot.integers(500, 1500))
    draw = start(seed, days)
    firm = _drawn(lot, draw.dice, int(max(3, count / np.exp(lot.uniform(np.log(3), np.log(80))))), days)
    for client, issued in issues(draw, count, clients=len(firm.way), days=days, heavy=float(lot.uniform(0.2, 1.4))):
        terms = int(firm.own_terms[client]) if lot.random() < 0.7 else int(draw.dice.choice(firm.terms))
        size, due = float(draw.dice.normal(0, 1)), issued + timedelta(days=terms)
        passed = (issued - FIRST).days / days
        base = firm.usual[client] + firm.by_size * size + firm.by_terms * (30 - terms) + firm.by_weekday[due.weekday()]
        delay = _WAYS[firm.way[client]](firm, draw.dice, _Asked(client, due, float(base + firm.drift[client] * passed), size))
        if firm.troubled[client] and draw.dice.random() < 0.3:
            delay += draw.dice.exponential(25)
        draw.bill(client, issued, terms=terms, delay=float(delay), cents=np.exp(10 + 1.2 * size))
    return draw.bills


Row = NDArray[np.floating]
Whole = NDArray[np.integer]


@dataclass(slots=True)
class _Asked:
    """A bill of a mixed firm: whose, when due, how late it is but for its client's way, and the logarithm of its size."""

    client: int
    due: date
    base: float
    size: float


@dataclass(slots=True)
class _Firm:
    terms: list[int]
    own_terms: Whole
    way: Whole
    usual: Row
    spread: Row
    weekday: Whole
    rhythm: Whole
    phase: Whole
    mood: Whole
    troubled: NDArray[np.bool_]
    drift: Row
    free: list[date]
    by_size: float
    by_terms: float
    by_weekday: Row
    large: float
    slowed: float


def _drawn(lot: Generator, dice: Generator, clients: int, days: int) -> _Firm:
    terms = [int(one) for one in lot.choice([7, 10, 14, 15, 21, 30, 45, 60], int(lot.integers(1, 4)), replace=False)]
    return _Firm(
        terms=terms,
        own_terms=dice.choice(terms, clients),
        way=dice.choice(len(_WAYS), clients, p=lot.dirichlet([1.2, 0.5, 0.5, 0.4, 0.5, 0.5, 0.3])),
        usual=dice.normal(lot.normal(0, 5), lot.uniform(2, 9), clients),
        spread=dice.gamma(2, lot.uniform(0.5, 3), clients) + 0.5,
        weekday=dice.integers(0, 5, clients),
        rhythm=dice.choice([5, 7, 10, 14, 21, 30], clients),
        phase=dice.integers(0, 30, clients),
        mood=dice.choice(3, clients, p=[0.6, 0.3, 0.1]),
        troubled=dice.random(clients) < lot.uniform(0, 0.15),
        drift=dice.normal(0, lot.uniform(0, 8), clients),
        free=[FIRST - timedelta(days=days)] * clients,
        by_size=lot.normal(0, 2.5),
        by_terms=lot.normal(0, 0.06),
        by_weekday=lot.normal(0, 1, _WEEK) * lot.integers(0, 2),
        large=lot.uniform(0.3, 1.5),
        slowed=lot.gamma(1.5, 6) * lot.integers(0, 2),
    )


def _plain(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    return bill.base + float(dice.normal(0, firm.spread[bill.client]))


def _weekly(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    ready = bill.due + timedelta(days=int(bill.base + dice.normal(0, 1)))
    return float((ready - bill.due).days + (firm.weekday[bill.client] - ready.weekday()) % _WEEK)


def _monthly(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    del firm
    run = _month_end(bill.due + timedelta(days=int(min(bill.base, 5))))
    return float((run - bill.due).days + (30 if dice.random() < 0.1 else 0))


def _in_bundles(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    del dice
    ready, rhythm, phase = (bill.due - FIRST).days + bill.base, int(firm.rhythm[bill.client]), int(firm.phase[bill.client])
    run = phase + int(np.ceil((ready - phase) / rhythm)) * rhythm
    return float((workday(FIRST + timedelta(days=run)) - bill.due).days)


def _by_mood(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    if dice.random() < 0.06:
        firm.mood[bill.client] = dice.choice(3)
    mood = firm.mood[bill.client]
    return bill.base + (-3, 8, 28)[mood] + float(dice.normal(0, (2, 5, 15)[mood]))


def _checked(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    return bill.base + (firm.slowed if bill.size > firm.large else 0.0) + float(dice.normal(0, firm.spread[bill.client]))


def _in_turn(firm: _Firm, dice: Generator, bill: _Asked) -> float:
    firm.free[bill.client] = max(firm.free[bill.client], bill.due - timedelta(days=4)) + timedelta(days=int(dice.exponential(10)))
    return float((firm.free[bill.client] - bill.due).days)


_WAYS: Final = (_plain, _weekly, _monthly, _in_bundles, _by_mood, _checked, _in_turn)
"""A usual delay; a weekday; month ends; bundles; moods; large bills checked; one bill after the other."""


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _friday(day: date) -> date:
    return day + timedelta(days=(4 - day.weekday()) % _WEEK)


def _tenth(day: date) -> date:
    return day.replace(day=10) if day.day <= 10 else (day.replace(day=28) + timedelta(days=4)).replace(day=10)


WAYS: Final[dict[str, Firm]] = {row.__name__: row for row in (by_date, alone, handful, mixed)}

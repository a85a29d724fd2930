"""On which days a client pays: its weekdays, its time of the month, its payment runs; and what that means for one due date.

Firms pay in runs. Where the run is known, the day on which an invoice falls due says more than any average of past delays.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import atan2, ceil, exp, floor, log, pi, sqrt
from typing import Final

from models.state.habits import MONTH_DAYS, Habits, month_phase, weekday

REACH: Final = 3
"""A payment moves by at most so many days to the weekday on which the client pays."""

_EVEN: Final = 0.4  # weight of each weekday before a client has paid on it
_EARLIEST: Final = -30  # a delay before it or after the latest is an accident, not a habit
_LATEST: Final = 60
_FEW: Final = 3
_SLACK: Final = 2  # days by which a run at equal gaps may come before its day
_EARLY: Final = 1  # days by which a run of the month may
_CHANCE: Final = 0.45  # mean direction that nine days of the month have by accident
_PLAINER: Final = 0.1  # by how much more a client must keep to two times of the month than to one
_DOUBT: Final = (3.0, 2.0, 3.0)  # against runs at equal gaps, once and twice a month, in nats
_ANYWHERE: Final = 60.0  # days over which a delay is spread that a rule does not explain
_CREDIT: Final = 0.5  # of a nat of evidence, for each day of payment: days of one client are not independent
_NEGLIGIBLE: Final = 0.02
_MISSED: Final = (0.01, 0.015)  # an invoice is open although its run has passed: added to what is beyond a limit, and to all

Move = tuple[tuple[float, ...], float]


@lru_cache(maxsize=4096)
def moves_of(counts: tuple[int, ...]) -> tuple[Move, ...]:
    """Return for each weekday where a payment planned for it is really made: tails over -3 to 3 days, and the mean move.

    `counts` are payments by weekday, Monday first. A near weekday is likelier than a far one, one on which the client pays
    likelier than one on which it does not.
    """
    found = []
    for planned in range(7):
        steps = range(-REACH, REACH + 1)
        weights = [(REACH + 1 - abs(step)) * (counts[(planned + step) % 7] + _EVEN) for step in steps]
        total = sum(weights)
        tails = tuple(sum(weights[place:]) / total for place in range(len(weights)))
        found.append((tails, sum(step * weight for step, weight in zip(steps, weights, strict=True)) / total))
    return tuple(found)


def payday(habits: Habits, due: int, limits: Sequence[int]) -> tuple[list[float], float, int]:
    """Return what the recent delays, each moved to the client's weekdays, say about an invoice that falls due on `due`.

    That is how many would go over each of `limits` days, and the sum and the count of those that are no accidents.
    """
    recent, counts = habits.recent_days, habits.pay_weekdays
    if not recent:
        return [0.0] * len(limits), 0.0, 0
    falls = weekday(due)
    total, count = _usual(recent, counts, falls)
    return [_beyond(recent, counts, falls, limit) for limit in limits], total, count


# Asked for the same client and weekday at each landmark of each invoice, most of them within one wake-up.
@lru_cache(maxsize=8192)
def _beyond(recent: tuple[int, ...], counts: tuple[int, ...], falls: int, limit: int) -> float:
    moves = moves_of(counts)
    sure = bisect_right(recent, limit + REACH)
    beyond = float(len(recent) - sure)
    for delay in recent[bisect_right(recent, limit - REACH) : sure]:
        beyond += moves[(falls + delay) % 7][0][limit - delay + REACH + 1]
    return beyond


@lru_cache(maxsize=4096)
def _usual(recent: tuple[int, ...], counts: tuple[int, ...], falls: int) -> tuple[float, int]:
    moves = moves_of(counts)
    usual = [delay + moves[(falls + delay) % 7][1] for delay in recent if _EARLIEST < delay < _LATEST]
    return sum(usual), len(usual)


def next_run(habits: Habits, due: int, today: int) -> tuple[float, float]:
    """Return when the next run at equal gaps would pay an invoice, in days after `due`, and how even the gaps are (0 to 1).

    A run pays what has been due for the client's shortest usual delay. An invoice open today is paid by no run of the past.
    """
    gap = habits.run_gap
    if not gap or len(habits.endings) < _FEW:
        return 0.0, 0.0
    ready, slack = due + min(max(habits.recent_days[0], _EARLIEST), _LATEST), min(_SLACK, gap // 4)
    if ready <= today:
        ready, slack = today, 0
    run = ready + (habits.endings[-1].day - ready + slack) % gap - slack
    return run - due, max(0.0, 1.0 - habits.run_spread / gap)


@dataclass(frozen=True, slots=True)
class Rule:
    """A way in which a client may choose its days of payment, and how much of the belief it has earned (`weight`, 0 to 1).

    Its runs are `period` days apart: `turns` in a month, around the angle `phase`, or (`turns` 0) from the last payment on. A run
    pays what has been due for `grace` days; payments miss it by `scale` days on average, and the share `skipped` of the invoices
    is left for the run after it.
    """

    weight: float
    turns: int
    period: float
    phase: float
    grace: int
    scale: float
    skipped: float

    def day(self, last: int, due: int, today: int) -> float:
        """Return the day of the run that pays an invoice due on `due` and open on `today`; `last`: the latest day of payment."""
        start = max(due + self.grace, today)
        if not self.turns:
            return start + (last - start) % self.period
        if start > today:
            start -= _EARLY
        return start + (self.phase - _angle_of(start, self.turns)) / (2 * pi) % 1.0 * self.period

    def beyond(self, days: float) -> float:
        """Return the share of the invoices paid more than `days` after their run."""
        plain = _tail(days / self.scale)
        return plain + self.skipped * (_tail((days - self.period) / self.scale) - plain) if self.skipped else plain


def by_runs(
    habits: Habits, due: int, today: int, limits: Sequence[int], usual: tuple[list[float], float]
) -> tuple[list[float], float]:
    """Return the chances that an invoice open on `today` goes over each of `limits` days after `due`, and its expected day.

    `usual` is what the past delays alone say to both. Each rule says it by its next run; all are weighed by how well they
    explain those delays.
    """
    rules = rules_of(habits)
    if not rules:
        return usual
    left = 1.0 - sum([rule.weight for rule in rules])
    chances, days = [left * chance for chance in usual[0]], left * usual[1]
    little, all_of_it = _MISSED
    for rule in rules:
        run = rule.day(habits.endings[-1].day, due, today) - due
        still = rule.weight / (rule.beyond(today - due - 0.5 - run) + all_of_it)
        days += rule.weight * min(run, _LATEST)
        for place, limit in enumerate(limits):
            chances[place] += min(rule.weight, still * (rule.beyond(limit + 0.5 - run) + little))
    return chances, days


def rules_of(habits: Habits) -> tuple[Rule, ...]:
    """Return the rules that explain the days on which a client paid, those left out that explain next to nothing."""
    if len(habits.runs) < _FEW:
        return ()
    month, half = (habits.month_sine, habits.month_cosine), (habits.half_sine, habits.half_cosine)
    return _rules(habits.recent_days, habits.runs, month, half)


# The answer is the same at each landmark of each invoice until the client pays again.
@lru_cache(maxsize=4096)
def _rules(recent: tuple[int, ...], runs: tuple[int, ...], month: tuple[int, int], half: tuple[int, int]) -> tuple[Rule, ...]:
    chance = min(0.9, _CHANCE * sqrt(9 / len(runs)))
    monthly, month_phase_ = _habit_of(*month, chance)
    halves, half_phase = _habit_of(*half, chance)
    found: list[tuple[int, float, float, float]] = []
    gap, scatter = _beat(runs)
    if gap:
        found.append((0, gap, 0.0, scatter))
    if monthly:
        found.append((1, MONTH_DAYS, month_phase_, _scatter(monthly, MONTH_DAYS)))
    if halves > monthly + _PLAINER:
        found.append((2, MONTH_DAYS / 2, half_phase, _scatter(halves, MONTH_DAYS / 2)))
    if not found:
        return ()
    count = len(recent)
    median = recent[count // 2]
    apart = sum([min(abs(delay - median), 30) for delay in recent]) / count + 0.5
    credit = _CREDIT * len(runs) / count
    beliefs = [-credit * count * log(2 * apart)]
    windows = [_explained(recent, period, scale if turns else 0.0) for turns, period, _, scale in found]
    for (turns, _, _, scale), (many, _, _) in zip(found, windows, strict=True):
        beliefs.append(-credit * (many * log(2 * scale) + (count - many) * log(_ANYWHERE)) - _CREDIT * _DOUBT[turns])
    top = max(beliefs)
    shares = [exp(belief - top) for belief in beliefs]
    total = sum(shares)
    return tuple(
        Rule(share / total, turns, period, phase, grace, scale, later / (count + _FEW))
        for share, (turns, period, phase, scale), (_, grace, later) in zip(shares[1:], found, windows, strict=True)
        if share > _NEGLIGIBLE * total
    )


def _beat(runs: tuple[int, ...]) -> tuple[int, float]:
    """Return the days between payment runs and by how many days they miss that, zeros where too little is known.

    A run may take two days, and one that had nothing to pay leaves a gap of twice the length.
    """
    days = [day for day, later in zip(runs, (*runs[1:], runs[-1] + 2), strict=True) if later - day > 1]
    gaps = sorted([later - earlier for earlier, later in pairwise(days)])
    if len(gaps) < _FEW:
        return 0, 0.0
    gap = gaps[len(gaps) // 2]
    return gap, sum([abs(one - gap * max(1, round(one / gap))) for one in gaps]) / len(gaps) + 0.7


def _explained(recent: tuple[int, ...], period: float, slack: float) -> tuple[int, int, int]:
    """Return how many delays runs `period` days apart explain, the days due before a run pays, and how many were paid later.

    An invoice due for `grace` days waits less than a period, so delays fill a window of that width (and `slack` on either side).
    Of the graces that fit its edges, the one nearest to none is taken.
    """
    many = grace = later = 0
    end = 0
    for place, first in enumerate(recent):
        while end < len(recent) and recent[end] < first + period + 2 * slack:
            end += 1
        if end - place > many:
            many, later = end - place, len(recent) - end
            grace = min(max(0, ceil(recent[end - 1] - period - slack + 1)), floor(first + slack))
    return many, grace, later


def _scatter(habit: float, period: float) -> float:
    """Return by how many days payments miss a time to which they keep with the strength `habit`."""
    return period / (2 * pi) * sqrt(-2 * log(min(habit, 1.0))) + 0.8


def _tail(distance: float) -> float:
    """Return the share of a Laplace distribution beyond `distance` scales."""
    if distance < 0:
        return 1.0 - 0.5 * exp(distance)
    return 0.5 * exp(-distance)


@lru_cache(maxsize=4096)
def _habit_of(sine: int, cosine: int, chance: float) -> tuple[float, float]:
    """Return how much a client keeps to its time of the month beyond `chance` (0 to 1), and which that is, as an angle."""
    return max(0.0, sqrt(sine * sine + cosine * cosine) / 100 - chance) / (1 - chance), atan2(sine, cosine)


@lru_cache(maxsize=4096)
def _angle_of(day: int, turns: int) -> float:
    return atan2(*month_phase(day, turns))

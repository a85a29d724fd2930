"""On which days a client pays: its weekdays, its time of the month, its payment runs; and what that means for one due date.

Firms pay in runs. Where the run is known, the day on which an invoice falls due says more than any average of past delays.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import atan2, pi, sqrt
from typing import Final

import msgspec

from models.state.habits import MONTH_DAYS, Habits, month_phase, weekday

REACH: Final = 3
"""A payment moves by at most so many days to the weekday on which the client pays."""

_EVEN: Final = 0.4  # weight of each weekday before a client has paid on it
_EARLIEST: Final = -30  # a delay before it or after the latest is an accident, not a habit
_LATEST: Final = 60
_FEW: Final = 3
_SLACK: Final = 2  # days by which a run may come before its day
_CHANCE: Final = 0.35  # mean direction that a dozen days of the month have by accident

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


class Runs(msgspec.Struct, frozen=True, gc=False):
    """Days after due on which the next payment run would pay, and how much the client keeps to such runs (0 to 1).

    At one time of the month, at two, and at equal gaps.
    """

    monthly: float = 0.0
    monthly_habit: float = 0.0
    half_monthly: float = 0.0
    half_habit: float = 0.0
    regular: float = 0.0
    regular_habit: float = 0.0


NO_RUNS: Final = Runs()


def next_runs(habits: Habits, due: int, today: int) -> Runs:
    """Return when the next payment run would pay an invoice due on `due`.

    A run pays what has been due for the client's shortest usual delay. An invoice open today is paid by no run of the past.
    """
    if len(habits.endings) < _FEW:
        return NO_RUNS
    ready, slack = due + min(max(habits.recent_days[0], _EARLIEST), _LATEST), _SLACK
    if ready <= today:
        ready, slack = today, 0
    start = ready - slack
    month, month_habit = _of_month((habits.month_sine, habits.month_cosine), start, 1)
    half, half_habit = _of_month((habits.half_sine, habits.half_cosine), start, 2)
    gap = habits.run_gap
    if not gap:
        return Runs(month - due, month_habit, half - due, half_habit)
    slack = min(slack, gap // 4)
    run = ready + (habits.endings[-1].day - ready + slack) % gap - slack
    return Runs(month - due, month_habit, half - due, half_habit, run - due, max(0.0, 1.0 - habits.run_spread / gap))


def _of_month(direction: tuple[int, int], start: int, turns: int) -> tuple[float, float]:
    """Return the first day from `start` at the client's time of the month, and how much it keeps to that."""
    habit, angle = _habit_of(*direction)
    turn = (angle - _angle_of(start, turns)) / (2 * pi) % 1.0
    return start + turn * MONTH_DAYS / turns, habit


@lru_cache(maxsize=4096)
def _habit_of(sine: int, cosine: int) -> tuple[float, float]:
    """Return how much a client keeps to its time of the month, and which that is, as an angle."""
    return max(0.0, sqrt(sine * sine + cosine * cosine) / 100 - _CHANCE) / (1 - _CHANCE), atan2(sine, cosine)


@lru_cache(maxsize=4096)
def _angle_of(day: int, turns: int) -> float:
    return atan2(*month_phase(day, turns))

"""Whether a source of events is late: how often it was heard in each hour of the week, and how unlikely its silence is. Pure.

An hour counts as heard or not heard, however much came in it, so a batch is no reason to expect another. The share of weeks in
which an hour was heard fades by a fifth a week; with Laplace's rule no hour is certain. A silence is late when hearing nothing
over its hours would be as unlikely as `LATE_BELOW`; nights and weekends in which a source never speaks count for nothing.
"""

from math import exp, log1p
from typing import Final

from models.workdays import HOUR_MS

WEEK_HOURS: Final = 168
FADES: Final = 0.8
LATE_BELOW: Final = 0.001  # with ten feeds and a judgement an hour, a false alarm a month at most
LEAST_WEEKS: Final = 1.0  # before a whole week was heard, nobody knows what is usual
_MONDAY: Final = 72  # 1970-01-01 began on a Thursday: hours from then to the Monday before are added


class Arrivals:
    """What was heard of one source, and when last. Times are epoch ms, in any order; hours are of UTC."""

    __slots__ = ("_heard", "_now", "_week", "_weeks", "first_ms", "last_ms")

    def __init__(self, first_ms: int) -> None:
        """Begin to listen with an arrival at `first_ms`."""
        self.first_ms = self.last_ms = first_ms
        self._week = _week_of(first_ms)
        self._now: set[int] = set()
        self._heard = [0.0] * WEEK_HOURS
        self._weeks = 0.0
        self.heard(first_ms)

    def heard(self, at_ms: int) -> None:
        """Note that something came at `at_ms`; what is older than the present week changes only `first_ms`."""
        self.first_ms = min(self.first_ms, at_ms)
        self._turn(_week_of(at_ms))
        if _week_of(at_ms) == self._week:
            self._now.add(_hour_of(at_ms))
        self.last_ms = max(self.last_ms, at_ms)

    def likelihood_of_silence(self, now_ms: int) -> float:
        """Return how likely it is to hear nothing from the last arrival until `now_ms`; 1 while nothing is known."""
        if self._weeks < LEAST_WEEKS:
            return 1.0
        total, at = 0.0, self.last_ms
        while at < now_ms:
            until = min((at // HOUR_MS + 1) * HOUR_MS, now_ms)
            share = self._heard[_hour_of(at)] / (self._weeks + 1)
            total -= log1p(-share) * (until - at) / HOUR_MS
            at = until
        return exp(-total)

    def is_late(self, now_ms: int) -> bool:
        """Say whether the silence up to `now_ms` is too unlikely to be one of the source's own."""
        return self.likelihood_of_silence(now_ms) < LATE_BELOW

    def _turn(self, week: int) -> None:
        """Enter the week just heard into the shares when a new one begins; weeks without a sound count as such."""
        while self._week < week:
            self._heard = [FADES * known + (hour in self._now) for hour, known in enumerate(self._heard)]
            self._weeks = FADES * self._weeks + 1
            self._now.clear()
            self._week += 1


def _week_of(ms: int) -> int:
    return (ms // HOUR_MS + _MONDAY) // WEEK_HOURS


def _hour_of(ms: int) -> int:
    return (ms // HOUR_MS + _MONDAY) % WEEK_HOURS

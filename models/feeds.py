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
WEEKS_KEPT: Final = 52  # what is older has faded to nothing
_MONDAY: Final = 72  # 1970-01-01 began on a Thursday: hours from then to the Monday before are added


class Arrivals:
    """What was heard of one source, and when last. Times are epoch ms, in any order; hours are of UTC.

    The order in which arrivals are told changes nothing: who reads the topics anew reads one partition after the other.
    """

    __slots__ = ("_weeks", "first_ms", "last_ms")

    def __init__(self, first_ms: int) -> None:
        """Begin to listen with an arrival at `first_ms`."""
        self.first_ms = self.last_ms = first_ms
        self._weeks: dict[int, int] = {}  # by week, a bit for each hour in which something was heard
        self.heard(first_ms)

    def heard(self, at_ms: int) -> None:
        """Note that something came at `at_ms`."""
        self.first_ms, self.last_ms = min(self.first_ms, at_ms), max(self.last_ms, at_ms)
        week, oldest = _week_of(at_ms), _week_of(self.last_ms) - WEEKS_KEPT
        if week >= oldest:
            self._weeks[week] = self._weeks.get(week, 0) | 1 << _hour_of(at_ms)
        if len(self._weeks) > WEEKS_KEPT + 1:
            self._weeks = {known: hours for known, hours in self._weeks.items() if known >= oldest}

    def likelihood_of_silence(self, now_ms: int) -> float:
        """Return how likely it is to hear nothing from the last arrival until `now_ms`; 1 while nothing is known."""
        present = _week_of(self.last_ms)
        past = range(max(_week_of(self.first_ms), present - WEEKS_KEPT), present)
        weights = {week: FADES ** (present - 1 - week) for week in past}
        known = sum(weights.values())
        if known < LEAST_WEEKS:
            return 1.0
        heard = [(weight, self._weeks.get(week, 0)) for week, weight in weights.items()]
        shares = [sum(weight for weight, hours in heard if hours >> hour & 1) / (known + 1) for hour in range(WEEK_HOURS)]
        total, at = 0.0, self.last_ms
        while at < now_ms:
            until = min((at // HOUR_MS + 1) * HOUR_MS, now_ms)
            total -= log1p(-shares[_hour_of(at)]) * (until - at) / HOUR_MS
            at = until
        return exp(-total)

    def is_late(self, now_ms: int) -> bool:
        """Say whether the silence up to `now_ms` is too unlikely to be one of the source's own."""
        return self.likelihood_of_silence(now_ms) < LATE_BELOW


def _week_of(ms: int) -> int:
    return (ms // HOUR_MS + _MONDAY) // WEEK_HOURS


def _hour_of(ms: int) -> int:
    return (ms // HOUR_MS + _MONDAY) % WEEK_HOURS

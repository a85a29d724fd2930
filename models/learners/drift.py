"""Notices that clients pay differently than before, and says how far the learners are to be trusted meanwhile.

ADWIN (Bifet and Gavaldà 2007, by river) watches the signed residual, label less probability, one value a day: what is answered on
one day was paid in the same runs and fell due together, so sixty answers are hardly more evidence than six (docs/decisions/0064).
The residual is signed because a learner that is wrong in one direction is out of date; its log loss hides that. How many are late
is not watched by itself: it swings with the month, and where it changes and the learners follow, they are not to be doubted.
"""

import struct
from array import array
from typing import Final

from models.learners.daily import Daily

_DELTA: Final = 0.0002
_UNIT: Final = 0.125  # ADWIN reckons with values that vary by about one; means of a day vary by about an eighth
_LATEST: Final = 10  # days with answers in which it must show, two weeks where every workday has some
_MATTERS: Final = 0.05  # mean residual of these days: less moves no decision, however sure it is
_RECOVERY: Final = 400  # answers after which a learner that keeps learning has seen the new world
_A_DAY: Final = 17  # of a day's answers count as such at most: learners grow young again by days, as they grow old (0062)
_LOWEST_TRUST: Final = 0.5  # rules get at most half the weight back
_FASTER: Final = 20.0  # the recalibration's pace right after a drift
_REMEMBERED: Final = 1024  # days with answers, four years of workdays; twice as many are never held

_COUNTS: Final = struct.Struct("<2q")
_MARK: Final = b"\xff" * 8  # before the days; releases before 0064 wrote two chances here, which never look like this


class DriftWatch:
    """Watches answered questions; `trust` falls on drift and comes back over the next answers. Never resets a learner."""

    def __init__(self) -> None:
        """Start trusting."""
        self.since = _RECOVERY
        self.alarms = 0
        self._daily = Daily(_A_DAY)
        self._off, self._answers = 0.0, 0
        self._begin()

    @property
    def trust(self) -> float:
        """Weight of the learners against the rules, from 0.5 right after a drift to 1."""
        return _LOWEST_TRUST + (1.0 - _LOWEST_TRUST) * min(1.0, self.since / _RECOVERY)

    @property
    def pace(self) -> float:
        """How much faster than usual recalibration moves: 20 right after a drift, then falling to 1."""
        return 1.0 + (_FASTER - 1.0) * max(0.0, 1.0 - self.since / _RECOVERY)

    def see(self, chance: float, *, label: bool) -> None:
        """See one answer and the probability given for it."""
        self.since += self._daily.ages()
        self._off += float(label) - chance
        self._answers += 1

    def turn(self) -> None:
        """End the day: judge what was answered on it. A day without answers is none."""
        self._daily.turn()
        if not self._answers:
            return
        if self._feed(self._off, self._answers):
            self.since = 0
            self.alarms += 1
        self._off, self._answers = 0.0, 0

    def _begin(self) -> None:
        # All of river's drift package comes with it, and pandas: whoever only reads what learners told does not wait for that.
        from river.drift import ADWIN

        self._window = ADWIN(delta=_DELTA, clock=1)
        self._days = array("d")  # of each day in the window: sum of residuals, answers

    def _feed(self, off: float, answers: int) -> bool:
        before = self._window.estimation * _UNIT
        self._days.extend((off, answers))
        self._window.update(off / answers / _UNIT)
        if self._window.drift_detected:
            latest = self._days[-2 * _LATEST :]
            now = abs(sum(latest[::2]) / sum(latest[1::2]))
            self._begin()
            # Learners that have come nearer to the truth are a change, too: nobody needs to hear of that.
            return now >= _MATTERS and now > abs(before)
        if len(self._days) >= 2 * 2 * _REMEMBERED:
            self._relive(self._days[-2 * _REMEMBERED :])
        return False

    def _relive(self, days: "array[float]") -> None:
        self._begin()
        for off, answers in zip(days[::2], days[1::2], strict=True):
            self._feed(off, int(answers))

    def dump(self) -> bytes:
        """Return what `load` goes on from at a turn of the day: the two counts, and the days in the window."""
        return _COUNTS.pack(self.since, self.alarms) + _MARK + self._days.tobytes()

    @classmethod
    def load(cls, raw: bytes) -> "DriftWatch":
        """Return the watch that `dump` told of; it alarms on the day on which that one would.

        What releases before 0064 wrote holds answers without their days: counts are taken over, the window begins anew.
        """
        watch = cls()
        rest = raw[_COUNTS.size :]
        if rest.startswith(_MARK):
            days = array("d")
            days.frombytes(rest[len(_MARK) :])
            watch._relive(days)
        watch.since, watch.alarms = _COUNTS.unpack_from(raw)
        return watch

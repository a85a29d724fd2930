"""Notices that clients pay differently than before, and says how far the learners are to be trusted meanwhile.

ADWIN (Bifet and Gavaldà 2007, by river) watches the signed residual, label less probability, and the share of labels that are
true, one value a day each: what is answered on one day was paid in the same runs and fell due together, so sixty answers are
hardly more evidence than six (docs/decisions/0064). The residual is signed because a learner that is wrong in one direction is
out of date; its log loss hides that. The share swings with the month, and where it changes and the learners follow, they are
not to be doubted: it counts where they are off in the direction in which it went, and then tells sooner (docs/decisions/0069).
"""

import struct
from array import array
from itertools import chain, repeat
from operator import truediv
from typing import Final

from models.learners.daily import Daily

_OF_RESIDUALS: Final = 0.0002  # what ADWIN may be wrong by (its delta)
_OF_SHARES: Final = 0.0005  # needs less evidence of its own: the residual has to agree with it
_UNIT: Final = 0.125  # ADWIN reckons with values that vary by about one; means of a day vary by about an eighth
_LATEST: Final = 10  # days with answers in which it must show, two weeks where every workday has some
_MATTERS: Final = 0.05  # mean residual of these days: less moves no decision, however sure it is
_RECOVERY: Final = 400  # answers after which a learner that keeps learning has seen the new world
_A_DAY: Final = 17  # of a day's answers count as such at most: learners grow young again by days, as they grow old (0062)
_LOWEST_TRUST: Final = 0.5  # rules get at most half the weight back
_FASTER: Final = 20.0  # the recalibration's pace right after a drift
_REMEMBERED: Final = 1024  # days with answers, four years of workdays; twice as many are never held

_TWO: Final = struct.Struct("<2q")  # the counts, and how many days are in each window
_PAIRS: Final = b"\xff" * 8  # releases before 0069 wrote this, then sum of residuals and answers of each day
_MARK: Final = b"\xff" * 7 + b"\xfe"  # before the lengths and days; releases before 0064 wrote two chances here, never alike


class _Window:
    """The days since what was watched last changed, as ADWIN sees them: one value a day, the mean of that day's answers."""

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self.begin()

    def begin(self) -> None:
        """Forget all days."""
        # All of river's drift package comes with it, and pandas: whoever only reads what learners told does not wait for that.
        from river.drift import ADWIN

        self._adwin = ADWIN(delta=self._delta, clock=1)
        self.means = array("d")

    def feed(self, mean: float) -> float | None:
        """See a day's mean; where it is sure that days became others, return what they were before and begin anew."""
        before = float(self._adwin.estimation) * _UNIT
        self.means.append(mean)
        self._adwin.update(mean / _UNIT)
        if self._adwin.drift_detected:
            self.begin()
            return before
        if len(self.means) >= 2 * _REMEMBERED:
            self.relive(self.means[-_REMEMBERED:])
        return None

    def relive(self, means: "array[float]") -> None:
        """Begin anew with these days."""
        self.begin()
        for mean in means:
            self.feed(mean)


class DriftWatch:
    """Watches answered questions; `trust` falls on drift and comes back over the next answers. Never resets a learner."""

    def __init__(self, *, of_residuals: float = _OF_RESIDUALS, of_shares: float = _OF_SHARES) -> None:
        """Start trusting; both are the delta of ADWIN, what it may be wrong by."""
        self.since = _RECOVERY
        self.alarms = 0
        self._daily = Daily(_A_DAY)
        self._today = array("d", (0.0, 0.0, 0.0))
        self._latest = array("d")  # of each of the last days: sum of residuals, labels that are true, answers
        self._residuals, self._shares = _Window(of_residuals), _Window(of_shares)

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
        self._today[0] += float(label) - chance
        self._today[1] += label
        self._today[2] += 1

    def turn(self) -> None:
        """End the day: judge what was answered on it. A day without answers is none."""
        self._daily.turn()
        if not self._today[2]:
            return
        self._latest = (self._latest + self._today)[-3 * _LATEST :]
        off, late, answers = self._today
        self._today = array("d", (0.0, 0.0, 0.0))
        if self._changed(self._residuals.feed(off / answers), self._shares.feed(late / answers)):
            self._residuals.begin()
            self._shares.begin()
            self.since = 0
            self.alarms += 1

    def _changed(self, residual_before: float | None, share_before: float | None) -> bool:
        off, late, answers = (sum(self._latest[place::3]) for place in range(3))
        now, share = off / answers, late / answers
        if abs(now) < _MATTERS:
            return False
        # Learners that have come nearer to the truth are a change, too: nobody needs to hear of that.
        if residual_before is not None and abs(now) > abs(residual_before):
            return True
        return share_before is not None and (share > share_before) == (now > 0)

    def dump(self) -> bytes:
        """Return what `load` goes on from at a turn of the day: the two counts, and the days in both windows."""
        days = self._residuals.means, self._shares.means
        lengths = _TWO.pack(*map(len, days))
        return _TWO.pack(self.since, self.alarms) + _MARK + lengths + b"".join(map(bytes, (*days, self._latest)))

    @classmethod
    def load(cls, raw: bytes) -> "DriftWatch":
        """Return the watch that `dump` told of; it alarms on the day on which that one would.

        Releases before 0069 did not watch the share: it begins anew. What releases before 0064 wrote holds answers without their
        days: counts are taken over, both windows begin anew.
        """
        watch = cls()
        mark, rest, days = raw[_TWO.size :][: len(_MARK)], raw[_TWO.size + len(_MARK) :], array("d")
        if mark == _MARK:
            residuals, shares = _TWO.unpack_from(rest)
            days.frombytes(rest[_TWO.size :])
            watch._residuals.relive(days[:residuals])
            watch._shares.relive(days[residuals : residuals + shares])
            watch._latest = days[residuals + shares :]
        elif mark == _PAIRS:
            days.frombytes(rest)
            watch._residuals.relive(array("d", map(truediv, days[::2], days[1::2])))
            # How many were late is not read before ten days have taken the place of these.
            recent = days[-2 * _LATEST :]
            watch._latest = array("d", chain.from_iterable(zip(recent[::2], repeat(0.0), recent[1::2])))
        watch.since, watch.alarms = _TWO.unpack_from(raw)
        return watch

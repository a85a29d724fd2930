"""Notices that clients pay differently than before, and says how far the learners are to be trusted meanwhile.

Two ADWIN windows (Bifet and Gavaldà 2007, by river) watch the signed residual, label less probability, and the rate of late
labels. The residual is signed because a learner that is wrong in one direction is out of date; its log loss hides that.
"""

from array import array
from typing import Final

_RESIDUAL_DELTA: Final = 0.0002
_RATE_DELTA: Final = 0.002
_RECOVERY: Final = 400  # answers after which a learner that keeps learning has seen the new world
_LOWEST_TRUST: Final = 0.5  # rules get at most half the weight back
_FASTER: Final = 20.0  # the recalibration's pace right after a drift
_REMEMBERED: Final = 2048  # answers from which the windows are built anew after a restart


class DriftWatch:
    """Watches answered questions; `trust` falls on drift and comes back over the next answers. Never resets a learner."""

    def __init__(self) -> None:
        """Start trusting."""
        # All of river's drift package comes with it, and pandas: whoever only reads what learners told does not wait for that.
        from river.drift import ADWIN

        self._residual = ADWIN(delta=_RESIDUAL_DELTA)
        self._rate = ADWIN(delta=_RATE_DELTA)
        self._recent = array("f")
        self.since = _RECOVERY
        self.alarms = 0

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
        self.since += 1
        # The sign carries the label, so that one array remembers both.
        self._recent.append(chance + 1.0 if label else chance)
        if len(self._recent) > 2 * _REMEMBERED:
            del self._recent[:-_REMEMBERED]
        if self._feed(chance, label=label):
            self.since = 0
            self.alarms += 1

    def _feed(self, chance: float, *, label: bool) -> bool:
        self._residual.update(float(label) - chance)
        self._rate.update(float(label))
        return bool(self._residual.drift_detected or self._rate.drift_detected)

    def dump(self) -> bytes:
        """Return what `load` builds the windows from: the latest answers, and the two counts."""
        head = array("q", (self.since, self.alarms)).tobytes()
        return head + self._recent[-_REMEMBERED:].tobytes()

    @classmethod
    def load(cls, raw: bytes) -> "DriftWatch":
        """Return a watch with windows fed the remembered answers; older evidence is gone, as ADWIN itself would forget it."""
        head, recent = array("q"), array("f")
        head.frombytes(raw[:16])
        recent.frombytes(raw[16:])
        watch = cls()
        watch._recent = recent
        for value in recent:
            watch._feed(value - 1.0 if value >= 1.0 else value, label=value >= 1.0)
        watch.since, watch.alarms = head
        return watch

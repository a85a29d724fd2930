"""Clock ticks: how time passing gets into a partition of the client log."""

from datetime import UTC, datetime
from typing import Final

from models.events.control import ClockTicked
from models.ids import derive
from streams.engine.fence import Slot

TICK_SLACK_MS: Final = 1_000
"""How far a tick is believed beyond the broker's time of its arrival: clocks of different machines differ a little."""

_TRUST_MS: Final = 600_000


def believed_ms(tick_ms: int, *, arrived_ms: int, watermark_ms: int) -> int:
    """Return the moment up to which a tick fires timers: its own, not ahead of the broker's, nor behind an earlier.

    `arrived_ms` is the record's LogAppendTime and thus a part of the log: every replay believes the same.
    """
    return max(min(tick_ms, arrived_ms + TICK_SLACK_MS), watermark_ms)


class BrokerTime:
    """A worker's idea of the broker's time: its own clock, corrected by what records showed it to be off.

    A worker whose clock is an hour ahead would else write ticks that fire nothing for an hour, as fast as it can; one whose
    clock is an hour behind would fire timers an hour late. A tick that was folded says how far the clock is ahead; a record that
    arrives from the future says by how much, at least, it is behind. What was learned is forgotten after ten minutes, and
    when the clock was set back: it is learned anew at once.
    """

    def __init__(self) -> None:
        """Trust the own clock."""
        self.ahead_ms = 0
        self._told: tuple[int, int] | None = None
        self._learned_ms = 0

    def now(self, own_ms: int) -> int:
        """Return the time when the own clock says `own_ms`."""
        if not self._learned_ms <= own_ms < self._learned_ms + _TRUST_MS:
            self.ahead_ms = 0
        return own_ms - self.ahead_ms

    def hear(self, arrived_ms: int, own_ms: int) -> None:
        """Note that a record stamped `arrived_ms` by the broker came when the own clock said `own_ms`."""
        if arrived_ms > self.now(own_ms):
            self.ahead_ms, self._learned_ms = own_ms - arrived_ms, own_ms

    def tell(self, now_ms: int, own_ms: int) -> None:
        """Note that a tick of `now_ms` was written when the own clock said `own_ms`."""
        self._told = (now_ms, own_ms)

    def folded(self, watermark_ms: int) -> int:
        """Learn from the tick that was folded, as far as `watermark_ms`; returns by how much the clock is newly found ahead."""
        if self._told is None:
            return 0
        (now_ms, own_ms), self._told = self._told, None
        found = max(now_ms - watermark_ms, 0)
        if found:
            self.ahead_ms, self._learned_ms = own_ms - watermark_ms, own_ms
        return found


def make_tick(slot: Slot, now_ms: int) -> ClockTicked:
    """Return the event that tells `slot` of the client log that it is `now_ms`."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    event_id = derive("tick", slot.topic, slot.partition, now_ms)
    return ClockTicked(event_id=event_id, source="rapport", occurred_at=moment, received_at=moment)

"""How a partition fares, from a window of readings of its position: without thresholds, as Burrow judges consumers.

A threshold of records or seconds is right for one topic and wrong for the next; whether the position moves and whether the lag
ever falls is the same question everywhere. The rules are Burrow's, save two. It looks at commits, we at the fence, where there is
no commit without a move: what it calls a stop is here a partition that nobody ever took. And a position that went back is told
first, for a Redis that was restored is news also where nothing waited before.
"""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from streams.engine.fence import Slot
from streams.engine.lag import PartitionLag

READINGS: Final = 20
"""How many are looked back at: five minutes where one is taken every 15 s."""


class Status(StrEnum):
    """How a partition fares."""

    OK = "ok"  # nothing waited at one moment at least, or what waits becomes less
    WARN = "warn"  # it moves, and never has less before it
    STALL = "stall"  # records wait and it does not move
    STOP = "stop"  # records wait, and nobody has ever taken it
    REWIND = "rewind"  # it went back


class Reading(NamedTuple):
    """Where the partition stood, none: never taken; and how many records waited."""

    position: int | None
    records: int


def status_of(readings: Sequence[Reading]) -> Status:
    """Return how the partition fares by `readings`, the oldest first; OK while there are too few to tell."""
    positions = [reading.position for reading in readings if reading.position is not None]
    if any(after < before for before, after in pairwise(positions)):
        return Status.REWIND
    if len(readings) < READINGS or any(reading.records == 0 for reading in readings):
        return Status.OK
    if not positions:
        return Status.STOP
    if len(positions) == len(readings) and positions[0] == positions[-1]:
        return Status.STALL
    records = [reading.records for reading in readings]
    falls = any(after < before for before, after in pairwise(records))
    return Status.OK if falls else Status.WARN


class Watched:
    """The window of readings of every partition."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: dict[Slot, deque[Reading]] = {}

    def see(self, lag: PartitionLag) -> Status:
        """Take in the next reading of a partition and return how it fares."""
        readings = self._seen.setdefault(lag.slot, deque(maxlen=READINGS))
        readings.append(Reading(lag.next_offset, lag.records))
        return status_of(readings)

    def forget(self) -> None:
        """Begin anew: what was read before an interruption says nothing of it."""
        self._seen.clear()

"""When the watch of feeds judges: every so often, and only with everything heard that stood on the topics by then."""

from collections.abc import Mapping

from aiokafka import TopicPartition


class Rounds:
    """The times to judge. A topic that never falls silent does not put it off: what counts is what stood there when due."""

    def __init__(self, every_seconds: float) -> None:
        """Judge every `every_seconds`, the first time at once."""
        self._every_seconds = every_seconds
        self._judged = float("-inf")
        self._ends: Mapping[TopicPartition, int] | None = None

    def is_due(self, now: float) -> bool:
        """Say whether it is time to ask where the topics end (`now` in monotonic seconds)."""
        return self._ends is None and now - self._judged >= self._every_seconds

    def aim(self, ends: Mapping[TopicPartition, int]) -> None:
        """Judge as soon as all is heard up to `ends`."""
        self._ends = ends

    @property
    def unheard(self) -> tuple[TopicPartition, ...]:
        """The partitions whose positions decide whether to judge now; none while no time has come."""
        return tuple(self._ends or ())

    def has_come(self, positions: Mapping[TopicPartition, int], now: float) -> bool:
        """Say whether to judge now, and if so begin to wait for the next time."""
        if self._ends is None or any(positions[part] < end for part, end in self._ends.items()):
            return False
        self._judged, self._ends = now, None
        return True

"""Spaces out attempts so that a provider sees at most so many per second."""


class Pace:
    """Hands out start times: `per_second` of them on average, and at most one second's worth at once after a quiet time."""

    def __init__(self, per_second: float) -> None:
        """Allow `per_second` starts, above zero."""
        self._gap = 1.0 / per_second
        self._slack = max(0.0, 1.0 - self._gap)
        self._reserved_upto = 0.0

    def reserve(self, *, at: float) -> float:
        """Take the next start and return how many seconds after `at` it lies."""
        upto = max(self._reserved_upto, at)
        self._reserved_upto = upto + self._gap
        return max(0.0, upto - self._slack - at)

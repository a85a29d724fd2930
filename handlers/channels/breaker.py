"""A breaker per provider: after a row of failures nothing is sent for a while, then one probe decides."""

from typing import Final

FAILURES_TO_OPEN: Final = 5
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0


class Breaker:
    """Counts failures in a row. Closed: everything passes. Open: nothing. Half-open, after the pause: one probe.

    Times are seconds of a clock that never jumps, given as arguments.
    """

    def __init__(self) -> None:
        """Start closed."""
        self._failures = 0
        self._pause = 0.0
        self._open_until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the provider is being spared; stays so until a probe succeeds."""
        return self._pause > 0

    def free(self, *, wanted: int, at: float) -> int:
        """Return how many of `wanted` attempts may start at `at`."""
        if not self.is_open:
            return wanted
        if self._probing or at < self._open_until:
            return 0
        return min(wanted, 1)

    def started(self) -> None:
        """Note that an attempt started; while open it is the probe."""
        self._probing = self.is_open

    def succeeded(self) -> None:
        """Note that the provider answered, whatever it thought of the message."""
        self._failures, self._pause, self._probing = 0, 0.0, False

    def failed(self, *, at: float) -> None:
        """Note that the provider did not answer, or said that it is not available."""
        self._failures += 1
        if self._probing or (self._failures >= FAILURES_TO_OPEN and not self.is_open):
            self._pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, self._pause * 2))
            self._open_until = at + self._pause
        self._probing = False

    def skipped(self) -> None:
        """Note that an attempt that had started never reached the provider."""
        self._probing = False

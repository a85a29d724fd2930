"""How a process lives and ends: an exit code that says why, and a thread that ends it when nothing else does."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog

from streams.runtime.clock import monotonic

log = structlog.get_logger(__name__)

EXIT_FAILED: Final = 70
"""Exit code of a process that stopped itself because going on was not safe (EX_SOFTWARE of sysexits.h)."""

_REQUESTS: Final = (signal.SIGTERM, signal.SIGINT)
_LOOK_SECONDS: Final = 0.25
_STDERR: Final = 2
# Clients that are read from Redis stay, and each time the collector looks it walks over all that came since: a firm whose clients
# do not fit into memory paid a seventh of its events for that with a tenth of this.
_YOUNG_OBJECTS: Final = 200_000


def spare_the_collector() -> None:
    """Let the collector of cycles look seldom and past what was there at the start: states are structs, which form none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)


@contextmanager
def ending_at_once_when_asked() -> Iterator[None]:
    """From here on SIGTERM and SIGINT end the process at once with 0: for as long as nothing is in hand that could be finished.

    Whoever works puts handlers of its own in their place. Those from before come back only where an error ends the body.
    """
    before = {number: signal.signal(number, lambda *_: os._exit(0)) for number in _REQUESTS}
    try:
        yield
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise


def ignore_requests() -> None:
    """Let SIGTERM and SIGINT change nothing any more: the process ends already, and its exit code is known."""
    for number in _REQUESTS:
        signal.signal(number, signal.SIG_IGN)


class ExitWatchdog:
    """A daemon thread that ends the process when it was told to and the process does not end by itself.

    `beat` proves that the event loop still turns; after `stall_seconds` without a beat the process ends as well. A blocked
    loop is invisible to Kafka, whose heartbeats come from another thread, and would keep its partitions for ever.
    """

    def __init__(self, *, exit_seconds: float, stall_seconds: float, kill: Callable[[int], None] = os._exit) -> None:
        """Wait `exit_seconds` after `arm`; `kill` ends the process with an exit code."""
        self._exit_seconds = exit_seconds
        self._stall_seconds = stall_seconds
        self._kill = kill
        self._deadline: float | None = None
        self._reason = ""
        self._beat: float | None = None
        self._over = threading.Event()
        self._code = EXIT_FAILED
        self.failed = False

    def start(self) -> None:
        """Start watching."""
        threading.Thread(target=self._watch, name="exit-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: the process ended by itself."""
        self._over.set()

    def beat(self) -> None:
        """Say that the event loop turns."""
        self._beat = monotonic()

    def arm(self, reason: str) -> None:
        """Start the countdown, once; `reason` is logged when it runs out."""
        if self._deadline is None:
            self._reason = reason
            self._deadline = monotonic() + self._exit_seconds

    def relax(self) -> None:
        """Let the countdown end with 0: all that was in hand is finished, and what still hangs are other people's connections."""
        self._code = 0

    def conclude(self, code: int) -> None:
        """Give the rest of the process its countdown, and `code` for its end: the loop is over, libraries' threads may not be."""
        self._code, self._beat = code, None
        self.arm("threads did not end in time")

    def fail(self, reason: str) -> None:
        """Begin to stop, with EXIT_FAILED in the end: as if a supervisor had sent SIGTERM, but with the countdown running."""
        if not self.failed:
            self.failed = True
            log.critical("stopping, going on is not safe", reason=reason)
            self.arm(reason)
            signal.raise_signal(signal.SIGTERM)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            now = monotonic()
            if self._deadline is not None and now > self._deadline:
                self._end(self._reason, EXIT_FAILED if self.failed else self._code)
            if (beat := self._beat) is not None and now - beat > self._stall_seconds:
                self._end("the event loop is blocked", EXIT_FAILED)

    def _end(self, reason: str, code: int) -> None:
        # The log may be what blocks, as a full pipe that nobody reads, and any lock may be in the hands of who is blocked.
        with suppress(OSError):
            os.set_blocking(_STDERR, False)
            os.write(_STDERR, f"rapport: hard exit: {reason}\n".encode())
        self._kill(code)

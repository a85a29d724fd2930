"""How a process lives and ends: an exit code that says why, and a thread that ends it when nothing else does."""

import gc
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from streams.runtime.clock import monotonic

log = structlog.get_logger(__name__)

EXIT_FAILED: Final = 70
"""Exit code of a process that stopped itself because going on was not safe (EX_SOFTWARE of sysexits.h)."""

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
                self._end(self._reason)
            if self._beat is not None and now - self._beat > self._stall_seconds:
                self._end("the event loop is blocked")

    def _end(self, reason: str) -> None:
        # The log may be what blocks, as a full pipe that nobody reads, and any lock may be in the hands of who is blocked.
        with suppress(OSError):
            os.set_blocking(_STDERR, False)
            os.write(_STDERR, f"rapport: hard exit: {reason}\n".encode())
        self._kill(EXIT_FAILED)

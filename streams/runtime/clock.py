"""The only module that reads the wall clock or draws random ids. Everything after the edge gets time as data."""

import mmap
import struct
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from streams.runtime.errors import UsageError

_MICROSECONDS = struct.Struct("<q")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is told; never runs backwards."""

    def __init__(self, start: datetime) -> None:
        """Start at `start`, which must carry a zone."""
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment last set."""
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move to `moment`; an earlier one changes nothing."""
        self._now = max(self._now, moment.astimezone(UTC))


class FileClock:
    """A clock that several processes of one machine share: eight bytes in a file, driven by `write`.

    It lets a year of a firm's life run in seconds: the demo drives it, gateway, workers and channel workers read it.
    """

    def __init__(self, path: Path) -> None:
        """Map the file at `path`, which `write` has made before."""
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), _MICROSECONDS.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            message = f"RAPPORT_CLOCK_FILE={path} is not a clock file ({error}); unset it to use the machine's clock"
            raise UsageError(message) from error

    def now(self) -> datetime:
        """Return the moment last written."""
        (micros,) = _MICROSECONDS.unpack(self._map[: _MICROSECONDS.size])
        return _EPOCH + timedelta(microseconds=micros)

    @staticmethod
    def write(path: Path, moment: datetime) -> None:
        """Set the clock at `path` to `moment`; makes the file the first time. All mapped readers see it at once."""
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.write(_MICROSECONDS.pack((moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)))


def make_clock(clock_file: Path | None) -> Clock:
    """Return the shared clock at `clock_file`, or the machine's clock without one."""
    return SystemClock() if clock_file is None else FileClock(clock_file)


def monotonic() -> float:
    """Return seconds of a clock that never jumps, for measuring durations and deadlines."""
    return time.monotonic()


def fresh_id() -> str:
    """Return a new random id: for process owners and version tokens, never for facts (those are derived)."""
    return uuid.uuid4().hex

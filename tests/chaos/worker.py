"""A real worker with extras for chaos, from the environment.

SIGALRM blocks its event loop, as a long computation would; SIGHUP makes it tell its tasks and where its memory is.
CHAOS_PROGRAM=clients folds with the real core instead of the counting one, which remembers CHAOS_RING ids per client.
CHAOS_SKEW_MS sets its clock wrong, and CHAOS_SWALLOW loses this share of all fetches before they reach a lane.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from streams.app import build_engine, run_engine
from streams.engine.fence import Slot
from streams.engine.fold import Program
from streams.engine.lanes import Lanes
from streams.engine.program import ClientProgram
from streams.runtime.clock import SystemClock
from streams.runtime.log import configure_log
from streams.runtime.settings import load_settings
from streams.wire.records import Record
from tests.chaos.memory import memory_told
from tests.streams.counting import WHOLE_RUN, CountingProgram

_BLOCK_SECONDS = 90.0


class SkewedClock:
    """The machine's clock, set wrong."""

    def __init__(self, skew_ms: int) -> None:
        """Be `skew_ms` ahead, or behind when negative."""
        self._skew = timedelta(milliseconds=skew_ms)
        self._right = SystemClock()

    def now(self) -> datetime:
        """Return the wrong time."""
        return self._right.now() + self._skew


class SwallowingLanes:
    """Lanes behind a client library that loses some of what it fetched, as stock Faust does when an agent fails."""

    def __init__(self, lanes: Lanes, *, share: float, dice: Random) -> None:
        """Lose `share` of all fetches, each from a random record on."""
        self._lanes = lanes
        self._share = share
        self._dice = dice

    def __getattr__(self, name: str) -> object:
        return getattr(self._lanes, name)

    def offer(self, slot: Slot, records: Sequence[Record]) -> int | None:
        """Hand on what is not lost: all, or what comes after a hole."""
        if self._dice.random() < self._share:
            first = self._dice.randrange(len(records))
            records = [*records[: self._dice.randint(0, first)], *records[first + 1 :]]
        return self._lanes.offer(slot, records) if records else None


def _block(_number: int, _frame: object) -> None:
    threading.Event().wait(_BLOCK_SECONDS)


def _tell_tasks(_number: int, _frame: object) -> None:
    sys.stderr.write(f"asyncio tasks: {len(asyncio.all_tasks(asyncio.get_running_loop()))}; {memory_told()}\n")
    sys.stderr.flush()


def main() -> int:
    """Run until told to stop."""
    signal.signal(signal.SIGALRM, _block)
    signal.signal(signal.SIGHUP, _tell_tasks)
    settings = load_settings()
    configure_log(settings)
    program: Program[Any] = CountingProgram(ring=int(os.environ.get("CHAOS_RING", WHOLE_RUN)))
    if os.environ.get("CHAOS_PROGRAM") == "clients":
        program = ClientProgram()
    engine = build_engine(settings, program, clock=SkewedClock(int(os.environ.get("CHAOS_SKEW_MS", "0"))))
    if share := float(os.environ.get("CHAOS_SWALLOW", "0")):
        lanes: Any = SwallowingLanes(engine.lanes, share=share, dice=Random(os.getpid()))
        engine = replace(engine, lanes=lanes)
    return run_engine(engine)


if __name__ == "__main__":
    sys.exit(main())

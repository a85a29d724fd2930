"""Drives the shared clock through the year, a day at a time, and posts what the processor delivered since."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from handlers.demo.backlog import Backlogs
from handlers.demo.crew import Crew
from handlers.demo.firm import YEAR_START, FirmYear
from handlers.demo.live import Scene
from handlers.demo.outage import Outage
from handlers.demo.posting import Poster
from models.events.envelope import epoch_ms
from streams.runtime.clock import FileClock

PATIENCE_SECONDS: Final = 60.0
"""How long the work of a day may take; only the one on which a worker is killed comes near it."""
_UNDER_WAY: Final = 20
"""Triggers and outcomes that may be on their way when the clock moves on."""

_TIMERS_MAY_WAIT_MS: Final = 24 * 3_600_000
"""How old a due timer may be when the clock moves on. Whenever it fires, it is decided at its due time."""


@dataclass(frozen=True, slots=True)
class Crash:
    """On which day which worker is killed, and which one is started instead."""

    day: int
    victim: str
    successor: str


@dataclass(slots=True)
class Drive:
    """Everything that is needed to let days pass."""

    clock: Path
    poster: Poster
    backlogs: Backlogs
    crew: Crew
    mails: Callable[[], int]
    show: Callable[[Scene], None]
    say: Callable[[str], None]
    outage: Outage
    posted: int = 0

    async def through(self, year: FirmYear, *, crash: Crash) -> datetime:
        """Live through `year`; return the moment at which the clock stands then, with nothing left to do.

        The clock moves on when everything that arrived is folded, so that no timer overtakes a payment. Ticks and mails may
        still be under way then, as in life: waiting for each of them would double the time.
        """
        now, crashed = YEAR_START, False
        for now, webhooks in year.moments():
            FileClock.write(self.clock, now)
            day = (now - YEAR_START).days
            passed = await self.outage.passing(webhooks, now=now, is_last=day == year.length)
            await self.poster.post(passed, at=now)
            await self.outage.over()
            self.posted += len(passed)
            if not crashed and day >= crash.day and webhooks:
                self._crash(crash)
                crashed = True
            self.crew.raise_if_dead()
            await self.backlogs.settle(
                now_ms=epoch_ms(now) - _TIMERS_MAY_WAIT_MS,
                enough=lambda left: not left.lag and not left.timers and left.delivering <= _UNDER_WAY,
                patience_seconds=PATIENCE_SECONDS,
            )
            workers = sum(name.startswith("worker") for name in self.crew.alive())
            scene = Scene(day=now, done=day, days=year.length, posted=self.posted, mails=self.mails(), workers=workers)
            self.show(scene)
        await self.backlogs.settle(now_ms=epoch_ms(now), patience_seconds=PATIENCE_SECONDS)
        return now

    def _crash(self, crash: Crash) -> None:
        pid = self.crew.kill(crash.victim)
        self.say(f"kill -9 {crash.victim} (process {pid}) with the day's webhooks in flight; {crash.successor} takes over")
        self.crew.start(crash.successor, "worker")

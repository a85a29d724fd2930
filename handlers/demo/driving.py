"""Drives the shared clock through the year, a day at a time, and posts what the processor delivered that day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from handlers.demo.backlog import Backlogs
from handlers.demo.crew import Crew
from handlers.demo.firm import FirmYear
from handlers.demo.live import Scene
from handlers.demo.posting import Poster
from streams.runtime.clock import FileClock

_EVENING: Final = timedelta(hours=23, minutes=59)
"""The moment of each day at which its webhooks are posted: all of them have happened by then."""

PATIENCE_SECONDS: Final = 60.0
"""How long one day's work may take; only the day on which a worker is killed comes near it."""


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
    posted: int = 0

    async def through(self, year: FirmYear, *, crash: Crash) -> datetime:
        """Live through `year`; return the moment at which the clock stands then.

        A day ends when nothing is left to do: every record folded, every timer fired, every mail that is due sent.
        """
        days = list(year.days())
        now = days[0][0]
        for number, (day, webhooks) in enumerate(days):
            now = day + _EVENING
            FileClock.write(self.clock, now)
            await self.poster.post(webhooks, at=now)
            self.posted += len(webhooks)
            if number == crash.day:
                self._crash(crash)
            self.crew.raise_if_dead()
            await self.backlogs.settle(now_ms=round(now.timestamp() * 1000), patience_seconds=PATIENCE_SECONDS)
            workers = sum(name.startswith("worker") for name in self.crew.alive())
            self.show(Scene(day=day, done=number + 1, days=len(days), posted=self.posted, mails=self.mails(), workers=workers))
        return now

    def _crash(self, crash: Crash) -> None:
        pid = self.crew.kill(crash.victim)
        self.say(f"kill -9 {crash.victim} (process {pid}) with the day's webhooks in flight; {crash.successor} takes over")
        self.crew.start(crash.successor, "worker")

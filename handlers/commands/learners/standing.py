"""The check of stored features that the standing trainer makes by itself, at a pace that leaves the learning its time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from handlers.commands.learners.checking import check
from models.learners.consistency import ExamplesChecked
from streams.engine.lag import lag_now, total
from streams.runtime.clock import Clock, make_clock, monotonic
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.topics import CLIENT_EVENTS

log = structlog.get_logger(__name__)

AUTHOR: Final = "trainer"
DAYS: Final = 30
SETTLE_MINUTES: Final = 15.0
"""What was answered so lately may still be on its way, also while workers are a little behind."""

_HOUR_MS: Final = 3_600_000
_REST_SECONDS: Final = 60.0
_SPARED: Final = 9.0  # times as long as a check took: it has a tenth of the time at most, however often one is due


@dataclass(frozen=True, slots=True)
class StandingCheck:
    """Checks once in `hours` of the clock; 0: never.

    `last_ms` says when the latest check was made, by whomever; none while nobody knows. `look` makes one and returns None where
    it has to wait, because the workers have not told everything yet.
    """

    look: Callable[[], Awaitable[ExamplesChecked | None]]
    last_ms: Callable[[], int | None]
    clock: Clock
    hours: float
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Go on until cancelled. A server that is away only delays."""
        seconds = _REST_SECONDS
        while self.hours:
            await self.rest(seconds)
            seconds = _REST_SECONDS
            last = self.last_ms()
            if last is None or self.clock.now().timestamp() * 1000 - last < self.hours * _HOUR_MS:
                continue
            began = monotonic()
            try:
                found = await self.look()
            except RetryError as error:
                log.warning("stored features could not be checked, trying again", reason=str(error))
            else:
                _tell(found)
            seconds = max(_REST_SECONDS, _SPARED * (monotonic() - began))


def _tell(found: ExamplesChecked | None) -> None:
    if found is None:
        log.info("stored features are not checked while workers are behind")
    elif not found.says_something:
        log.info("stored features were not compared, for nothing was answered lately")
    elif found.passed:
        log.info("stored features are what the log gives", questions=found.questions, clients=found.clients)
    else:
        log.error("stored features differ from a replay of the log, no version goes in force", first=found.first)


async def look(settings: Settings) -> ExamplesChecked | None:
    """Check a sample of clients and tell the trainer; None where workers are so far behind that answers lack for that alone."""
    if total(await lag_now(settings), CLIENT_EVENTS.name)[1] > SETTLE_MINUTES * 60:
        return None
    now = make_clock(settings.clock_file).now()
    share = settings.learner_check_share
    return await check(settings, share=share, days=DAYS, settle_minutes=SETTLE_MINUTES, now=now, author=AUTHOR)

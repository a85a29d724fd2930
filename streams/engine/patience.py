"""Doing the same thing again while a server is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError
from streams.runtime.metrics import REDIS_CALL_DURATION, REDIS_ERRORS, Meter

log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
EXCUSED_TIMES: Final = 6


class Backoff:
    """Pauses that double from FIRST_PAUSE to LONGEST_PAUSE."""

    def __init__(self) -> None:
        """Start with the shortest pause."""
        self._pause = FIRST_PAUSE

    async def wait(self) -> None:
        """Pause, and longer the next time."""
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def heed_cancellation() -> None:
    """End the task if it was cancelled while it waited in a library that did not pass the cancellation on.

    Redis' and asyncio's own timeouts were seen to swallow one that comes at the wrong moment; a publisher or lane that misses
    it would go on working after its partition was revoked.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Standstill:
    """Since when a lane has not moved, and since when it has not even heard that a server is away.

    A call that fails is a sign of life: whoever is told that Kafka or Redis does not answer, and asks again, does not hang, and a
    new process would be told the same. But not for ever: a client library that is beyond repair fails every call as well.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """Begin now; `now` tells seconds."""
        self._now = now
        self._moved = self._heard = now()

    def over(self) -> None:
        """Begin anew: something moved."""
        self._moved = self._heard = self._now()

    def excused(self) -> None:
        """Note that a server failed us."""
        self._heard = self._now()

    def outlasts(self, seconds: float) -> bool:
        """Return whether it is more than so many seconds without a sign of life, or EXCUSED_TIMES as many without a move."""
        now = self._now()
        return now - self._heard > seconds or now - self._moved > EXCUSED_TIMES * seconds


async def patiently(call: Callable[[], Awaitable[T]], *, op: str, meter: Meter, standstill: Standstill | None = None) -> T:
    """Return what `call` returns, repeating it for as long as it raises RetryError; ends early only by cancellation.

    `op` names the call in metrics and logs; each failure excuses the `standstill`.
    """
    backoff = Backoff()
    while True:
        started = monotonic()
        try:
            result = await call()
        except RetryError as error:
            meter.count(REDIS_ERRORS, op=op)
            if standstill is not None:
                standstill.excused()
            log.warning("trying again", op=op, error=str(error))
            heed_cancellation()
            await backoff.wait()
        else:
            heed_cancellation()
            meter.observe(REDIS_CALL_DURATION, monotonic() - started, op=op)
            return result

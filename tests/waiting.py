"""The one place where tests wait: for a condition, up to a deadline. A test itself never sleeps."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, overload

from streams.runtime.clock import monotonic

_PAUSE_SECONDS: Final = 0.02
Found = TypeVar("Found")


def until(condition: Callable[[], Found], *, timeout: float = 30.0, what: str = "the condition") -> Found:
    """Return the first true value of `condition`; AssertionError naming `what` if there is none within `timeout` seconds."""
    deadline = monotonic() + timeout
    pause = threading.Event()
    while not (value := condition()):
        if monotonic() > deadline:
            message = f"waited {timeout:g} s for {what}; last value: {value!r}"
            raise AssertionError(message)
        pause.wait(_PAUSE_SECONDS)
    return value


@overload
async def until_async(
    condition: Callable[[], Awaitable[Found]],
    *,
    timeout: float = ...,  # noqa: ASYNC109
    what: str = ...,
    every: float = ...,
) -> Found: ...


@overload
async def until_async(
    condition: Callable[[], Found],
    *,
    timeout: float = ...,  # noqa: ASYNC109
    what: str = ...,
    every: float = ...,
) -> Found: ...


async def until_async(
    condition: Callable[[], Found | Awaitable[Found]],
    *,
    timeout: float = 30.0,  # noqa: ASYNC109 - the name under which `until` takes it
    what: str = "the condition",
    every: float = _PAUSE_SECONDS,
) -> Found:
    """Do as `until` inside an event loop; `condition` may be a coroutine function, and is looked at `every` so many seconds."""
    deadline = monotonic() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if monotonic() > deadline:
            message = f"waited {timeout:g} s for {what}; last value: {value!r}"
            raise AssertionError(message)
        await pause(every)


async def turns(count: int = 1) -> None:
    """Let the other tasks run for so many turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def pause(seconds: float) -> None:
    """Let other tasks run for `seconds`: for tests that show that something does not happen."""
    try:
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
    except TimeoutError:
        return

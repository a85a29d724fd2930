"""An event loop without a clock and without sockets: it turns only when told, and its processes can be stopped or killed."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

PROCESS: Final[ContextVar[str]] = ContextVar("process", default="")
"""Name of the simulated process to which the running code belongs; tasks hand it on to the tasks they start."""

_MOST_CALLBACKS: Final = 100_000  # between two decisions of the scheduler; more is a loop that never rests


class StepLoop:
    """Runs the callbacks of many simulated processes, in the order in which they became ready.

    A process that is stopped keeps its callbacks until it goes on; one that was killed loses them: its coroutines never run
    again, not even their `finally`. Time is a number that only `advance` moves. To asyncio it is an event loop: it has what
    tasks, futures and their friends ask of one, and nothing for sockets.
    """

    def __init__(self) -> None:
        """Start at second 0 with nothing to do."""
        self._ready: deque[tuple[asyncio.Handle, Callable[..., object], tuple[object, ...], Context]] = deque()
        self._timers: list[tuple[float, int, asyncio.Handle, Callable[..., object], tuple[object, ...], Context]] = []
        self._order = count()
        self._now = 0.0
        self._stopped: set[str] = set()
        self._killed: set[str] = set()
        self._held: list[tuple[asyncio.Handle, Callable[..., object], tuple[object, ...], Context]] = []
        self.complaints: list[str] = []

    def time(self) -> float:
        """Return the seconds since the start."""
        return self._now

    def get_debug(self) -> bool:
        """Return that asyncio need not check us."""
        return False

    def is_running(self) -> bool:
        """Return that coroutines may run."""
        return True

    def is_closed(self) -> bool:
        """Return that the loop still takes work."""
        return False

    def call_soon(self, callback: Callable[..., object], *args: object, context: Context | None = None) -> asyncio.Handle:
        """Run `callback` at the next turn."""
        handle = asyncio.Handle(callback, args, self._for_asyncio)
        self._ready.append((handle, callback, args, context or copy_context()))
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` when time has been advanced to `when`."""
        handle = asyncio.TimerHandle(when, callback, args, self._for_asyncio)
        heappush(self._timers, (when, next(self._order), handle, callback, args, context or copy_context()))
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` when time has been advanced by `delay`."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is passed over when its time comes."""

    @property
    def _for_asyncio(self) -> asyncio.AbstractEventLoop:
        return cast("asyncio.AbstractEventLoop", self)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self._for_asyncio)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None, **_: object
    ) -> asyncio.Task[T]:
        """Start `coro`."""
        return asyncio.Task(coro, loop=self._for_asyncio, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what asyncio complains about; a killed process leaves pending tasks, which is no complaint."""
        if "was destroyed but it is pending" not in str(context.get("message")):
            self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def stop_process(self, name: str) -> None:
        """Let nothing of the process `name` run until it goes on."""
        self._stopped.add(name)

    def continue_process(self, name: str) -> None:
        """Let the process `name` go on where it was stopped."""
        self._stopped.discard(name)
        held, self._held = self._held, []
        self._ready.extend(held)

    def kill_process(self, name: str) -> None:
        """Let nothing of the process `name` run again."""
        self._killed.add(name)

    def settle(self) -> None:
        """Run callbacks until every process waits for the outside or for time to pass."""
        before = asyncio._get_running_loop()  # noqa: SLF001 - asyncio's own hook for implementers of loops
        asyncio._set_running_loop(self._for_asyncio)  # noqa: SLF001 - likewise
        try:
            for _ in range(_MOST_CALLBACKS):
                if not self._ready:
                    return
                self._run(*self._ready.popleft())
        finally:
            asyncio._set_running_loop(before)  # noqa: SLF001 - likewise
        message = "the simulated processes never rest"
        raise AssertionError(message)

    def _run(self, handle: asyncio.Handle, callback: Callable[..., object], args: tuple[object, ...], context: Context) -> None:
        process = context.get(PROCESS, "")
        if handle.cancelled() or process in self._killed:
            return
        if process in self._stopped:
            self._held.append((handle, callback, args, context))
            return
        context.run(callback, *args)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass: what was waiting for them becomes ready, in the order of its time."""
        self._now += seconds
        while self._timers and self._timers[0][0] <= self._now:
            _, _, handle, callback, args, context = heappop(self._timers)
            self._ready.append((handle, callback, args, context))

"""A client of Redis that many small callers share: what they ask in one turn of the loop travels together."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError


class _Asked(NamedTuple):
    command: tuple[Any, ...]
    options: dict[str, Any]
    reply: "asyncio.Future[Any]"


class GatheredRedis(Redis):
    """redis-py's client, but the commands of one turn of the event loop leave in one write and on one connection.

    A call by itself costs the client several times what it costs Redis: a connection from the pool, a timer and a task for each
    way. Lanes that were fed by one fetch load, commit and trim in the same turns, so they can share that. Each command is
    still one of its own: it succeeds or fails alone, save that a connection that breaks fails all that travelled on it, and
    nobody knows then which of them arrived. Not for commands that block, behind which the others would wait.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - redis-py's own signature
        """Connect on first use, as redis-py does; to be used in one event loop."""
        super().__init__(*args, **options)
        self._asked: list[_Asked] = []
        self._under_way: set[asyncio.Task[Sequence[Any]]] = set()

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's own signature
        """Send one command and return its reply, or raise what Redis or the connection said."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._send)
        asked = _Asked(args, options, loop.create_future())
        self._asked.append(asked)
        return await asked.reply

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Disconnect. What is under way is given up first: a connection must not be closed under somebody who reads from it."""
        unsent, self._asked = self._asked, []
        _tell(unsent, _closed())
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await super().aclose(close_connection_pool)

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        if asked:
            task = asyncio.get_running_loop().create_task(self._exchange(asked), name="redis-exchange")
            self._under_way.add(task)
            task.add_done_callback(partial(self._answered, asked))

    async def _exchange(self, asked: Sequence[_Asked]) -> Sequence[Any]:
        pipe = self.pipeline(transaction=False)
        for command, options, _ in asked:
            pipe.execute_command(*command, **options)
        replies: Sequence[Any] = await pipe.execute(raise_on_error=False)
        return replies

    def _answered(self, asked: Sequence[_Asked], task: "asyncio.Task[Sequence[Any]]") -> None:
        self._under_way.discard(task)
        error = _closed() if task.cancelled() else task.exception()
        _tell(asked, task.result() if error is None else error)


def _closed() -> RedisConnectionError:
    return RedisConnectionError("the client was closed before the answer came")


def _tell(asked: Sequence[_Asked], said: Sequence[Any] | BaseException) -> None:
    """Give everybody their own answer, or all the same error."""
    answers = [said] * len(asked) if isinstance(said, BaseException) else said
    for (_, _, reply), answer in zip(asked, answers, strict=True):
        if reply.done():
            continue  # who asked was cancelled meanwhile
        if isinstance(answer, BaseException):
            reply.set_exception(answer)
        else:
            reply.set_result(answer)

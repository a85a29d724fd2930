"""A TCP proxy that can be slow, cut, silent, or lose replies: the network between our processes and their servers.

It runs on an event loop in a thread of its own, so that a test, blocking or not, only sets its mood.
"""

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass
from struct import pack
from types import TracebackType
from typing import Any, Final, Self

from tests.waiting import pause

_CHUNK: Final = 65_536
_LENGTH: Final = 4


@dataclass(slots=True)
class Mood:
    """How the network is at the moment. `delay` in seconds applies to each chunk, in both directions.

    `refusing`: no new connections. `silent`: connections stay open, nothing goes through, as behind a firewall that forgot
    them. `losing`: requests arrive, but the connection is cut in place of every n-th reply; 0: none.
    """

    delay: float = 0.0
    refusing: bool = False
    silent: bool = False
    losing: int = 0


class Proxy:
    """Listens on a free loopback port and forwards to `port`.

    With `kafka` the broker's address in its answers is replaced by the proxy's, which has the same length; else clients would
    go around the proxy after their first question.
    """

    def __init__(self, port: int, *, kafka: bool = False) -> None:
        """Describe a proxy; it listens on entering the context."""
        self.mood = Mood()
        self.port = 0
        self._target = port
        self._kafka = kafka
        self._replies = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {port}", daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._audible = asyncio.Event()

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close everything."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine: Any) -> None:  # noqa: ANN401 - any coroutine
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    def set(self, **mood: float) -> None:
        """Change the mood; what is not named becomes normal again."""
        self.mood = Mood(**mood)  # type: ignore[arg-type] # names are checked by the dataclass
        self._loop.call_soon_threadsafe(self._audible.clear if self.mood.silent else self._audible.set)

    def cut(self) -> None:
        """Cut all connections, as a reset does."""
        self._do(self._cut())

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _listen(self) -> None:
        self._audible.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mood.refusing:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, up_writer)
        self._open.update(pair)
        self._pump(reader, up_writer, pair, replies=False)
        self._pump(up_reader, writer, pair, replies=True)

    def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: tuple[asyncio.StreamWriter, ...], *, replies: bool
    ) -> None:
        task = self._loop.create_task(self._forward(reader, writer, pair, replies=replies))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: tuple[asyncio.StreamWriter, ...], *, replies: bool
    ) -> None:
        read = self._frame if self._kafka and replies else _chunk
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await read(reader):
                if self.mood.delay:
                    await pause(self.mood.delay)
                await self._audible.wait()
                if replies and self._loses():
                    break
                writer.write(data)
                await writer.drain()
        for each in pair:
            self._open.discard(each)
            each.transport.abort()

    def _loses(self) -> bool:
        if not self.mood.losing:
            return False
        self._replies += 1
        return self._replies % self.mood.losing == 0

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        length = await reader.readexactly(_LENGTH)
        body = await reader.readexactly(int.from_bytes(length, "big"))
        host = b"127.0.0.1"
        return length + body.replace(host + pack(">i", self._target), host + pack(">i", self.port))


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    return await reader.read(_CHUNK)

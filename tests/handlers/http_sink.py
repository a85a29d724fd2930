"""A real HTTP server that answers as told, for the channels that post to providers."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson

CUT: Final = "cut"
"""Close the connection after the request was read, without an answer."""

HANG: Final = "hang"
"""Read the request and never answer."""


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - as sent
        return orjson.loads(self.body)


@dataclass
class HttpSink:
    """Answers with `script`, one entry per request, then 202: a status line with headers, CUT or HANG."""

    script: list[str] = field(default_factory=list)
    seen: list[Posted] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/take"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.seen.append(Posted(head[0].split(" ")[1], headers, body))
            answer = self.script.pop(0) if self.script else "202 Accepted"
            if answer == HANG:
                await reader.read()  # until the client gives up
            elif answer != CUT:
                writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

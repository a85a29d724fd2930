"""Two addresses for operators: `/metrics`, and `/health`, which asks about progress and not about the port."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from streams.runtime.errors import UsageError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings

_LONGEST_REQUEST: Final = 8_192
_REQUEST_SECONDS: Final = 5.0


class HealthServer:
    """A server for GET requests of a monitoring system on a trusted address; it understands nothing else."""

    def __init__(self, meter: Meter, *, ailments: Callable[[], Sequence[str]]) -> None:
        """Show `meter`; be healthy while `ailments` returns nothing."""
        self._meter = meter
        self._ailments = ailments
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, a free one for 0. UsageError where that is not possible."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_LONGEST_REQUEST)
        except OSError as error:
            cause = os.strerror(error.errno) if error.errno else str(error)
            message = f"cannot serve /metrics at {host}:{port}: {cause}; fix: another RAPPORT_METRICS_PORT, or --metrics-port"
            raise UsageError(message) from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _REQUEST_SECONDS)
            writer.write(self._answer(request.split(b"\r\n", 1)[0]))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # not a request: nobody to answer
        finally:
            writer.close()

    def _answer(self, line: bytes) -> bytes:
        path = line.split(b" ")[1:2]
        if path == [b"/metrics"]:
            return _response("200 OK", self._meter.render())
        if path == [b"/health"]:
            ailments = "\n".join(self._ailments())
            return _response("503 Service Unavailable", ailments.encode()) if ailments else _response("200 OK", b"ok")
        return _response("404 Not Found", b"see /metrics and /health")


@asynccontextmanager
async def health_served(
    settings: Settings, meter: Meter, *, ailments: Callable[[], Sequence[str]] = tuple
) -> AsyncIterator[None]:
    """Show `meter` and `ailments` while the body runs, where `settings` say; nowhere when their port is 0."""
    health = HealthServer(meter, ailments=ailments)
    if settings.metrics_port:
        await health.start(settings.metrics_host, settings.metrics_port)
    try:
        yield
    finally:
        await health.stop()


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

"""HTTP as uvicorn speaks it, but a connection whose request does not begin in time is closed.

uvicorn waits for the head of a request for ever: a few thousand connections that say nothing, or a letter a minute, would hold
every socket that the process may have. How long a body may take is bounded where it is read.
"""

from asyncio import TimerHandle, Transport
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection that has not sent the whole head of a request `head_seconds` after it was made or began one."""

    head_seconds: ClassVar[float] = 10.0
    _waiting: TimerHandle | None = None
    _begun = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Begin to wait for the rest of a head that has begun and is not whole; most come whole, in one piece."""
        super().data_received(data)
        if self._begun and self._waiting is None and not self.transport.is_closing():
            self._wait()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Wait no longer: the head is there."""
        self._begun = False
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer: nobody is there."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

"""A real SMTP server on a free port that keeps what it receives: the mailbox of the demo, and the tests' unruly provider."""

import asyncio
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from types import TracebackType
from typing import Final, Self, cast
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HANG: Final = "hang"
"""As a reply: never answer."""
CUT: Final = "cut"
"""As a reply: close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it arrived: the envelope, and the message."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def message_id(self) -> str:
        """The Message-ID without its brackets."""
        return str(self.message["Message-ID"]).strip("<>")

    def body(self, subtype: str = "plain") -> str:
        """Return the text of the part `plain` or `html`."""
        part = self.message.get_body((subtype,))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


@dataclass(slots=True)
class SmtpSink:
    """Accepts every mail, unless told otherwise. Use as `async with SmtpSink() as sink:` and point SMTP at `sink.port`.

    `on_rcpt` and `on_data` are replies to give instead of 250, in order, each used once (`"451 4.7.1 later"`, HANG or CUT);
    the message is kept although the reply to DATA is HANG or CUT, as by a server that accepts and then fails to say so.
    `credentials`, when given, are the only user and password that are let in.
    """

    host: str = "127.0.0.1"
    credentials: tuple[str, str] | None = None
    on_rcpt: list[str] = field(default_factory=list)
    on_data: list[str] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _sessions: WeakSet[SMTP] = field(default_factory=WeakSet)

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening and cut what is still connected."""
        await self.stop()

    async def start(self) -> None:
        """Listen on `port`, or on a free one when it is 0."""
        self._server = await asyncio.get_running_loop().create_server(self._session, self.host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and cut what is still connected; the mails stay. `start` goes on with the same port."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for session in list(self._sessions):
            if session.transport is not None:
                session.transport.abort()
        self._sessions.clear()
        await server.wait_closed()

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        del session, options
        reply = self.on_rcpt.pop(0) if self.on_rcpt else "250 OK"
        await self._misbehave(server, reply)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        """Take or refuse a message."""
        del session
        reply = self.on_data.pop(0) if self.on_data else "250 OK: kept"
        if reply.startswith("250") or reply in {HANG, CUT}:
            content = cast("bytes", envelope.original_content)
            message = message_from_bytes(content, policy=default_policy)
            self.mails.append(Mail(str(envelope.mail_from), tuple(envelope.rcpt_tos), message))
        await self._misbehave(server, reply)
        return reply

    def _session(self) -> SMTP:
        session = SMTP(
            self,
            hostname="sink.example",
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
            auth_required=self.credentials is not None,
            auth_require_tls=False,
            authenticator=self._authenticate if self.credentials else None,
        )
        self._sessions.add(session)
        return session

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        del server, session, envelope, mechanism
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self.credentials)

    async def _misbehave(self, server: SMTP, reply: str) -> None:
        if reply == CUT and server.transport is not None:
            server.transport.abort()
        if reply in {HANG, CUT}:
            await asyncio.Event().wait()

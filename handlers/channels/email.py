"""The email channel: one mail per trigger over SMTP, with the trigger id as Message-ID."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import SMTPUTF8 as SMTPUTF8_POLICY
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult, Verdict
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings

_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"\x00-\x1f\x7f]+@[^@\s<>,;:\"\x00-\x1f\x7f]+")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")  # whatever some reader takes for the end of a line
_POLICY_CODE: Final = re.compile(r"\b5\.7\.\d+\b")  # RFC 3463: refused by policy, which says nothing about the address
_SHUTTING_DOWN: Final = 421
_PERMANENT: Final = 500
_OUR_FAULT: Final = (SMTPConnectError, SMTPHeloError, SMTPAuthenticationError, SMTPSenderRefused)
"""Refusals that concern this server or our account on it, never the message: they would meet every other mail as well."""


class _AddressHeader:
    """A header that is one long address: folding or encoding it, as the library would, breaks it for mail programs."""

    max_count = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, object]) -> None:
        kwds["parse_tree"] = cls.value_parser(value)
        kwds["decoded"] = value

    value_parser = staticmethod(UnstructuredHeader.value_parser)

    def fold(self, *, policy: EmailPolicy) -> str:
        return f"List-Unsubscribe: {self}{policy.linesep}"


@dataclass(slots=True)
class _Progress:
    handed_over: bool = False


def _headers() -> HeaderRegistry:
    registry = HeaderRegistry()
    registry.map_to_type("list-unsubscribe", _AddressHeader)  # type: ignore[arg-type] # mixed into BaseHeader by the registry
    return registry


_HEADERS: Final = _headers()


class EmailChannel:
    """Sends through one SMTP server. Each mail has its own connection, so that nothing is shared between attempts."""

    def __init__(self, settings: Settings) -> None:
        """Use the SMTP server and sender of `settings`; connects when a mail is sent."""
        name, sender = parseaddr(settings.mail_from)
        if not _ADDRESS.fullmatch(sender):
            message = f"RAPPORT_MAIL_FROM={settings.mail_from!r} is not an address such as 'Firm <care@firm.example>'"
            raise UsageError(message)
        self._settings = settings
        self._sender = Address(display_name=name, addr_spec=sender)
        self._limits = Limits(timeout_seconds=settings.smtp_timeout_seconds)

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "email"

    @property
    def provider(self) -> str:
        """The SMTP server."""
        return self._settings.smtp_host

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """SMTP servers do not drop repetitions of a Message-ID, and a second reminder is worse than none."""
        return OnAmbiguous.HOLD

    @property
    def limits(self) -> Limits:
        """See `Channel.limits`."""
        return self._limits

    def address_of(self, recipient: Recipient) -> str | None:
        """Return the address of the profile, if it is one."""
        address = recipient.email
        return address if address and _ADDRESS.fullmatch(address) else None

    async def send(self, message: Delivery) -> SendResult:
        """Send one mail. Whether the message was handed over decides between unavailable and uncertain."""
        progress = _Progress()
        client = self._client()
        try:
            async with asyncio.timeout(self._limits.timeout_seconds * 0.9):
                result = await self._transmit(client, message, progress)
        except SMTPResponseException as error:
            result = _judge(error, address=message.address)
        except (SMTPException, OSError, TimeoutError) as error:
            verdict = Verdict.UNCERTAIN if progress.handed_over else Verdict.UNAVAILABLE
            result = SendResult(verdict, f"{type(error).__name__} {'after' if progress.handed_over else 'before'} the message")
        await self._leave(client)
        return result

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _transmit(self, client: SMTP, message: Delivery, progress: _Progress) -> SendResult:
        await client.connect()
        international = not message.address.isascii()
        if international:
            await client.ehlo()
        if international and not client.supports_extension("smtputf8"):
            return SendResult(Verdict.REFUSED, "the server does not support internationalised addresses (SMTPUTF8)")
        encoding, options = ("utf-8", ["SMTPUTF8"]) if international else ("ascii", [])
        content = self.compose(message)
        await client.mail(self._sender.addr_spec, options=options, encoding=encoding)
        await client.rcpt(message.address, encoding=encoding)
        progress.handed_over = True
        response = await client.data(content)
        return SendResult(Verdict.ACCEPTED, _one_line(f"{response.code} {response.message}"))

    def compose(self, message: Delivery) -> bytes:
        """Return the mail as bytes; the same delivery always gives the same bytes."""
        policy = SMTP_POLICY if message.address.isascii() else SMTPUTF8_POLICY
        mail = EmailMessage(policy=policy.clone(header_factory=_HEADERS))
        mail["From"] = self._sender
        local, _, domain = message.address.rpartition("@")
        mail["To"] = Address(display_name=_one_line(message.recipient.name or ""), username=local, domain=domain)
        mail["Subject"] = _one_line(message.content.subject)
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = f"<{message.idempotency_key}@{self._sender.domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office programs do not answer
        if message.content.opt_out_url:
            mail["List-Unsubscribe"] = f"<{message.content.opt_out_url}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(message.content.text, cte="quoted-printable")
        mail.add_alternative(message.content.html, subtype="html", cte="quoted-printable")
        mail.set_boundary(f"=_{message.idempotency_key}")  # the library would draw one
        return mail.as_bytes()

    def _client(self) -> SMTP:
        settings = self._settings
        password = settings.smtp_password
        return SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            local_hostname=self._sender.domain,
            timeout=self._limits.timeout_seconds,
            start_tls=settings.smtp_starttls,
        )

    async def _leave(self, client: SMTP) -> None:
        with suppress(SMTPException, OSError, TimeoutError):
            if client.is_connected:
                await client.quit(timeout=self._limits.timeout_seconds * 0.05)
        client.close()


def _judge(error: SMTPResponseException, *, address: str) -> SendResult:
    detail = _one_line(f"{error.code} {error.message}".replace(address, "<address>"))
    if isinstance(error, _OUR_FAULT) or error.code == _SHUTTING_DOWN:
        return SendResult(Verdict.UNAVAILABLE, detail)
    if error.code < _PERMANENT:
        return SendResult(Verdict.DEFERRED, detail)
    if isinstance(error, SMTPRecipientRefused) and not _POLICY_CODE.search(detail):
        return SendResult(Verdict.BOUNCED, detail)
    return SendResult(Verdict.REFUSED, detail)


def _one_line(text: str) -> str:
    return _UNSAFE.sub(" ", text).strip()

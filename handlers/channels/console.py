"""The console channel: one readable block per message, for people who act themselves, and for the curious."""

import asyncio
import errno
from pathlib import Path
from typing import TextIO

import orjson
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult, Verdict


class _Terminal(Console):
    """A console whose broken pipe is an error like others; rich would end the whole process, other channels and all."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "nobody reads this output any more")


class ConsoleChannel:
    """Prints to a terminal, plain text when it is piped; or writes one JSON line per message to a file."""

    def __init__(self, *, out: Path | None = None, file: TextIO | None = None, width: int | None = None) -> None:
        """Print on `file` (standard output) in `width` columns (the terminal's), or append to `out` when it is given."""
        self._terminal = _Terminal(file=file, width=width, highlight=False)
        self._out = out

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "console"

    @property
    def provider(self) -> str:
        """The terminal or the file."""
        return "terminal" if self._out is None else "file"

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """A block printed twice shows the same id; a task nobody sees is worse."""
        return OnAmbiguous.RESEND

    @property
    def limits(self) -> Limits:
        """One block at a time."""
        return Limits(concurrency=1, per_second=1_000, timeout_seconds=10)

    def address_of(self, recipient: Recipient) -> str | None:
        """Return whom it concerns; a person at the console can look up the rest."""
        return recipient.name or recipient.email or "client"

    async def send(self, message: Delivery) -> SendResult:
        """Print or append one message."""
        try:
            if self._out is None:
                self._terminal.print(_block(message))
            else:
                await asyncio.to_thread(_append, self._out, _line(message))
        except OSError as error:
            return SendResult(Verdict.UNAVAILABLE, f"{type(error).__name__}: {error.strerror or error}")
        return SendResult(Verdict.ACCEPTED)

    async def close(self) -> None:
        """Nothing is kept open."""


def _block(message: Delivery) -> Panel:
    trigger = message.trigger
    heading = f"{message.address} · {trigger.journey.value} / {trigger.step} · {trigger.tone.value} · {trigger.purpose.value}"
    why = Text("Why: " + "; ".join(trigger.reasons), style="dim")
    footer = Text(
        f"client {trigger.client_id} · trigger {message.idempotency_key} · {message.at:%Y-%m-%d %H:%M} UTC", style="dim"
    )
    body = Text(message.content.text.strip())
    return Panel(
        Group(Text(message.content.subject, style="bold"), Padding(body, (1, 0)), why, footer),
        title=Text(heading),
        title_align="left",
    )


def _line(message: Delivery) -> bytes:
    trigger = message.trigger
    return orjson.dumps(
        {
            "trigger_id": message.idempotency_key,
            "client_id": trigger.client_id,
            "to": message.address,
            "journey": trigger.journey.value,
            "step": trigger.step,
            "tone": trigger.tone.value,
            "purpose": trigger.purpose.value,
            "subject": message.content.subject,
            "text": message.content.text,
            "reasons": trigger.reasons,
            "at": message.at,
            "attempt": message.attempt,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)

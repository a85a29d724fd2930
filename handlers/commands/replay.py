"""`rapport replay`: send a recorded history into a running system. Exposes the function `replay`."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handlers.commands.book.plan import Asked
from handlers.commands.history import BadLine, Delivery, format_of, read_history
from handlers.commands.options import FormOption
from handlers.commands.sending import Sent, send
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings


def replay(
    file: Annotated[Path, Parameter(help="The history: jsonl, or a receivables CSV.")],
    /,
    *,
    form: FormOption = None,
    rate: Annotated[float | None, Parameter(help="At most this many deliveries per second.")] = None,
    skip: Annotated[int, Parameter(help="Leave out the first so many: to go on where an earlier run was stopped.")] = 0,
    dry_run: Annotated[bool, Parameter(negative=(), help="Read everything, say what would be sent, send nothing.")] = False,
    asked: Asked | None = None,
) -> int:
    """Send a recorded history into a running system, as if the gateway received it at the time it tells.

    jsonl holds one delivery a line: an event of our contracts, a recorded webhook {"source", "received_at", "body"}, or a Stripe
    event as it is. csv is a receivables book, read as rapport import reads it. Event ids are derived or the sender's own, so
    repeating a replay changes nothing; what is long past is never sent to anybody.

    Example: rapport replay history.jsonl --rate 200

    Exit codes: 0 every line is acknowledged, 1 lines could not be read (named on standard error; all others are acknowledged), or
    Kafka is away, 2 wrong usage.
    """
    _check(rate, skip)
    settings = load_settings()
    history = read_history(file, form=format_of(file, form), asked=asked or Asked(), home_currency=settings.firm_currency)
    sent = Sent()
    if dry_run:
        for found in history:
            sent.note(found)
        print("\n".join(_summary(sent, verb="would send")))
        return int(bool(sent.bad_count))
    return send_all(history, settings=settings, sent=sent, rate=rate, skip=skip)


def send_all(
    history: Iterable[Delivery | BadLine], *, settings: Settings, sent: Sent, rate: float | None = None, skip: int = 0
) -> int:
    """Send `history` with progress on standard error, and say at the end, or when stopped, how far it came."""
    try:
        asyncio.run(send(history, settings=settings, sent=sent, rate=rate, skip=skip, report=_progress))
    except (KeyboardInterrupt, Exception):
        if done := sent.skipped + sent.acknowledged:
            print(f"acknowledged {done:,}; go on with --skip {done} (from the start is safe, too)", file=sys.stderr)
        raise
    print("\n".join(_summary(sent, verb="sent")))
    return int(bool(sent.bad_count))


def _progress(sent: Sent) -> None:
    reached = "" if sent.last is None else f", reached {sent.last:%Y-%m-%d}"
    print(f"sent {sent.skipped + sent.acknowledged:,}{reached}", file=sys.stderr)


def _summary(sent: Sent, *, verb: str) -> list[str]:
    for bad in sent.bad:
        print(f"line {bad.line}: {bad.reason}", file=sys.stderr)
    if sent.first is None or sent.last is None:
        return [f"{verb} nothing: no line could be read" if sent.bad_count else f"{verb} nothing: the history is empty"]
    span = f"{sent.first:%Y-%m-%d} to {sent.last:%Y-%m-%d}"
    lines = [
        f"{verb} {sent.read - sent.skipped:,} deliveries of {len(sent.clients):,} clients, {span}",
        *(f"  {count:>8,}  {kind}" for kind, count in sent.kinds.most_common()),
    ]
    if sent.bad_count:
        lines.append(f"  {sent.bad_count:>8,}  lines not readable")
    return lines


def _check(rate: float | None, skip: int) -> None:
    if rate is not None and rate <= 0:
        message = f"--rate {rate} must be above zero; leave it out for full speed"
        raise UsageError(message)
    if skip < 0:
        message = f"--skip {skip} must not be negative"
        raise UsageError(message)

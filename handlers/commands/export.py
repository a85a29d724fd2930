"""`rapport export`: the log of the running deployment as a file. Exposes the function `export`."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from handlers.commands.canary.story import is_canary
from handlers.commands.files import check_target, replacing, writing
from handlers.commands.log_file import LogLines, Parties
from handlers.commands.options import end_of_day_ms
from handlers.terminal.waiting import counted
from models.events.envelope import epoch_ms
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.merged import ends_of, read_in_order
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS


class NothingToldError(UsageError):
    """No event of a client is in the range of the log that was asked for."""


def export(
    *,
    to: Annotated[Path, Parameter(help="The file to write (jsonl); one that is there is replaced when all is written.")],
    client: Annotated[str | None, Parameter(help="This client, and who is part of it, only.")] = None,
    since: Annotated[datetime | None, Parameter(help="Only what reached us from this day on.")] = None,
    until: Annotated[datetime | None, Parameter(help="Only what reached us up to the end of this day.")] = None,
) -> int:
    """Write the log of the running deployment as a file: a history that every other command takes.

    A line is an event of our contracts: what senders and people said, what became of messages; and what held for all: time,
    policies, learners, stops, late sources, with its partition. They come in the order of the log. Without --since, `rapport
    simulate` and the trial commands fold the file to the decisions that were made. Clients who were erased are left out.

    The log is read twice, from the beginning to its end at the start; nothing of it is held. Interrupted, it leaves nothing; run
    it again. The same range has the same bytes as long as nothing was added to it. Only you may read a new file.

    Example: rapport export --to history.jsonl --until 2026-06-30

    Exit codes: 0 written, 1 a server is away, 2 wrong usage, or no line is in that range.
    """
    settings = load_settings()
    check_target(to, "--to", replaced=True)
    since_ms = None if since is None else epoch_ms(since if since.tzinfo else since.replace(tzinfo=UTC))
    lines = asyncio.run(
        write_log(settings, to, client=client, since_ms=since_ms, until_ms=None if until is None else end_of_day_ms(until))
    )
    left_out = f"; {lines.unreadable:,} records no worker could read are left out" if lines.unreadable else ""
    gone = sum(not is_canary(client) for client in lines.forgotten)
    erased = f"; {gone:,} clients were erased and are left out" if gone else ""
    print(f"{lines.told:,} lines written to {to}{erased}{left_out}")
    return 0


async def write_log(
    settings: Settings,
    path: Path,
    *,
    client: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    place: str = "--to",
) -> LogLines:
    """Write the log up to its present end, and return what was told. UsageError where there is nothing to tell, or no room.

    `place` is how a person names another place.
    """
    bounds = await ends_of(settings, CLIENT_EVENTS.name)
    ends = {partition: end for partition, (_, end) in bounds.items()}
    total = sum(end - start for start, end in bounds.values())
    parties = Parties()
    with counted("reading who was erased", total=total) as count:
        await read_in_order(settings, CLIENT_EVENTS.name, ends=ends, see=partial(_counting, parties.see, count))
    lines = LogLines(
        partitions=settings.partitions,
        forgotten=parties.forgotten(),
        only=frozenset() if client is None else frozenset(parties.ever_in(client)),
        since_ms=since_ms,
        until_ms=until_ms,
    )
    with writing(path, place), replacing(path) as file:
        file.write(lines.head())

        def write(record: Record) -> None:
            file.write(lines.line(record) or b"")

        with counted("writing the log", total=total) as count:
            await read_in_order(settings, CLIENT_EVENTS.name, ends=ends, see=partial(_counting, write, count))
        _check(lines, client)
    return lines


@contextmanager
def history_of(file: Path | None, *, live: bool) -> Iterator[Path | None]:
    """Give the file that was named, or, if asked, one that holds the log of the running deployment as long as it is needed."""
    if not live:
        yield file
        return
    if file is not None:
        message = f"{file} and --live are two histories; name one of them"
        raise UsageError(message)
    with TemporaryDirectory(prefix="rapport-") as folder:
        path = Path(folder) / "live.jsonl"
        asyncio.run(write_log(load_settings(), path, place="TMPDIR"))
        yield path


@contextmanager
def needed_history(file: Path | None, *, live: bool) -> Iterator[Path]:
    """Do the same for commands that have no history of their own."""
    with history_of(file, live=live) as path:
        if path is None:
            message = "name a file with a history, or say --live for that of the running deployment"
            raise UsageError(message)
        yield path


def _counting(see: Callable[[Record], None], count: Callable[[], None], record: Record) -> None:
    see(record)
    count()


def _check(lines: LogLines, client: str | None) -> None:
    if lines.clients:
        return
    whom = "of anybody" if client is None else f"of {client}"
    erased = " (it was erased)" if client in lines.forgotten else ""
    message = f"the log of the deployment has no event {whom} in that range{erased}; rapport lag shows how long it is"
    raise NothingToldError(message)

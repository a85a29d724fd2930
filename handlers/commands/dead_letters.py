"""`rapport dead-letters list|show|redrive` and `dismiss` (`dead_letters`, a cyclopts App)."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Final

import orjson
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.commands.files import check_target, writing
from handlers.commands.letters import LetterBox, Passed, Place, Shelf, Shelved, Stretch, Wanted
from handlers.commands.regime_changes import author_named
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.dead_letters import DISMISS

_PREVIEW_BYTES: Final = 4_000
_INDENT: Final = "    "

dead_letters = App(
    name="dead-letters",
    help="""List, show, redrive and dismiss unreadable records.

    What Rapport cannot read it keeps: the original bytes with stage, reason and position. Once the cause is mended (a new
    release, a client named in the processor, a corrected body) `redrive` puts them back where they came from:

        rapport dead-letters list
        rapport dead-letters show 0:17 --save body.json
        rapport dead-letters redrive 0:17 --edit body.json

    What nobody needs, a test of the sender's or a stranger's noise, is dismissed; until a letter is one or the other it counts as
    waiting (`rapport_dlq_depth`, RapportDeadLettersWait).

    Exit codes: 0 done, 1 a server is away, 2 no such letter, or no restriction was given.
    """,
)

Stage = Annotated[str | None, Parameter(help="Only letters of this stage, e.g. intake.")]
ReasonName = Annotated[str | None, Parameter(help="Only letters with this reason, e.g. no_client.")]
Source = Annotated[str | None, Parameter(help="Only letters of this webhook source or topic.")]
From = Annotated[int | None, Parameter(name="--from", help="Read from this offset on.")]
Last = Annotated[int, Parameter(help="Read this many of the latest records; 0 reads all.")]


@dead_letters.command(name="list")
def list_letters(
    *,
    stage: Stage = None,
    reason: ReasonName = None,
    source: Source = None,
    start: From = None,
    last: Last = 10_000,
    limit: Annotated[int, Parameter(help="Show at most this many, the newest.")] = 50,
) -> None:
    """Show dead letters with their reasons, the newest last.

    Example: rapport dead-letters list --source stripe --reason no_client
    """
    wanted = Wanted(stage=stage, reason=reason, source=source)
    shelf = asyncio.run(LetterBox(load_settings()).survey(wanted, stretch=Stretch(start=start, last=last), limit=limit))
    console = Console()
    if shelf.fitting:
        print("\n".join(letter_lines(shelf, width=console.width if console.is_terminal else None)))
        console.print(_reasons_table(shelf))
    console.print(_bottom_line(shelf), highlight=False)


@dead_letters.command
def show(
    place: Annotated[str, Parameter(help="partition:offset, as `list` shows it.")],
    *,
    save: Annotated[Path | None, Parameter(help="Write the original bytes to this file, e.g. to edit them.")] = None,
) -> None:
    """Show one dead letter whole: why, since when, its headers and its bytes.

    Example: rapport dead-letters show 0:17
    """
    check_target(save, "--save")
    shelved = asyncio.run(LetterBox(load_settings()).read(Place.parse(place)))
    letter = shelved.letter
    console = Console()
    facts = Table(show_header=False, box=None)
    for name, value in (
        ("place", str(shelved.place)),
        ("stage", letter.stage),
        ("reason", letter.reason),
        ("detail", letter.detail),
        ("came from", f"{letter.src_topic}, partition {letter.src_partition}, offset {letter.src_offset}"),
        ("first seen", letter.first_seen.isoformat()),
        ("key", repr(letter.key)),
        *((f"header {name}", repr(value)) for name, value in letter.headers),
        ("bytes", str(len(letter.value or b""))),
    ):
        facts.add_row(Text(name, style="bold"), Text(value))
    console.print(facts)
    if save is None:
        console.print(Text(_preview(letter.value or b"")))
        return
    with writing(save, "--save"):
        save.write_bytes(letter.value or b"")
    console.print(f"Wrote {len(letter.value or b'')} bytes to {save}. Drive them again, corrected, with:", highlight=False)
    console.print(f"  rapport dead-letters redrive {shelved.place} --edit {save}", highlight=False)


@dead_letters.command
def redrive(
    *places: Annotated[str, Parameter(help="Letters as partition:offset; none: all that fit the options.")],
    stage: Stage = None,
    reason: ReasonName = None,
    source: Source = None,
    start: From = None,
    last: Last = 10_000,
    everything: Annotated[bool, Parameter(name="--all", help="No restriction at all.", negative="")] = False,
    limit: Annotated[int, Parameter(help="Drive at most this many; 0: no limit.")] = 0,
    edit: Annotated[Path | None, Parameter(help="A file with the corrected body, for exactly one letter.")] = None,
    again: Annotated[bool, Parameter(help="Also those that were driven again before.", negative="")] = False,
    dry_run: Annotated[bool, Parameter(help="Only say what would be done.", negative="")] = False,
    note: Annotated[str, Parameter(help="Why, for the record.")] = "",
) -> None:
    """Put dead letters back on the topic they came from, with their original bytes.

    What was driven again is noted on the topic of dead letters, so a second run leaves it alone. Ids of events make it
    harmless when something is driven twice. Try --dry-run first.

    Example: rapport dead-letters redrive --reason no_client --dry-run
    """
    settings = load_settings()
    named = frozenset(Place.parse(place) for place in places)
    wanted = Wanted(stage=stage, reason=reason, source=source, places=named)
    if wanted == Wanted() and not everything:
        message = "name letters (rapport dead-letters redrive 0:17), restrict them (--reason no_client), or say --all"
        raise UsageError(message)
    if edit is not None and len(named) != 1:
        message = "--edit replaces the body of exactly one letter: rapport dead-letters redrive 0:17 --edit body.json"
        raise UsageError(message)
    body = _corrected(edit)
    stretch = _stretch_of(named) if named else Stretch(start=start, last=last)
    how = f"edited: {note}" if edit else note
    passed = Passed()
    found = asyncio.run(
        _redrive(settings, wanted, stretch=stretch, limit=limit, body=body, again=again, dry_run=dry_run, note=how, passed=passed)
    )
    verb = "would be driven" if dry_run else "were driven"
    print(f"{found} dead letters {verb} again.{_left(passed)}")


@dead_letters.command
def dismiss(
    *places: Annotated[str, Parameter(help="Letters as partition:offset.")],
    note: Annotated[str, Parameter(help="Why nothing is to be done about them, for the record.")],
) -> None:
    """Say that nothing is to be done about dead letters: they no longer count as waiting, and redrive leaves them alone.

    Their bytes stay for as long as the topic keeps them, and `redrive --again` still drives them.

    Example: rapport dead-letters dismiss 0:17 0:18 --note "the sender's own test"
    """
    named = frozenset(Place.parse(place) for place in places)
    if not named:
        message = "name the letters: rapport dead-letters dismiss 0:17 --note ..."
        raise UsageError(message)
    asyncio.run(_dismiss(load_settings(), named, note=note))
    print(f"{len(named)} dead letters were dismissed.")


async def _dismiss(settings: Settings, named: frozenset[Place], *, note: str) -> None:
    box = LetterBox(settings)
    await _found(box, Wanted(places=named), stretch=_stretch_of(named))
    await box.dismiss(sorted(named), actor=author_named(None), note=note, clock=make_clock(settings.clock_file))


def _stretch_of(named: frozenset[Place]) -> Stretch:
    return Stretch(start=min(place.offset for place in named), last=0)


async def _found(box: LetterBox, wanted: Wanted, *, stretch: Stretch) -> Shelf:
    """Return what fits; raises UsageError where a place that was named holds no letter that does."""
    shelf = await box.survey(wanted, stretch=stretch, limit=len(wanted.places))
    missing = sorted(wanted.places - {shelved.place for shelved in shelf.shown})
    if missing:
        message = f"no dead letter that fits is at {', '.join(map(str, missing))}. See: rapport dead-letters list"
        raise UsageError(message)
    return shelf


def _left(passed: Passed) -> str:
    said = f" {passed.before} had been driven again or dismissed before; --again drives them once more." if passed.before else ""
    return said + (
        f" {passed.no_input} cannot be: they are outputs of Rapport, which a replay makes anew." if passed.no_input else ""
    )


async def _redrive(
    settings: Settings,
    wanted: Wanted,
    *,
    stretch: Stretch,
    limit: int,
    body: bytes | None,
    again: bool,
    dry_run: bool,
    note: str,
    passed: Passed,
) -> int:
    box = LetterBox(settings)
    shelf = await _found(box, wanted, stretch=stretch)
    letters = box.chosen(wanted, stretch=stretch, known=() if again else shelf.settled, limit=limit, passed=passed)
    if dry_run:
        return sum([1 async for _ in letters])
    return await box.redrive(letters, body=body, actor=author_named(None), note=note, clock=make_clock(settings.clock_file))


def _corrected(edit: Path | None) -> bytes | None:
    if edit is None:
        return None
    try:
        body = edit.read_bytes()
        orjson.loads(body)
    except OSError as error:
        message = f"--edit {edit} cannot be read: {error.strerror}"
        raise UsageError(message) from error
    except orjson.JSONDecodeError as error:
        message = f"--edit {edit} is no JSON ({error}), so it would only come back"
        raise UsageError(message) from error
    return body


def letter_lines(shelf: Shelf, *, width: int | None) -> Iterator[str]:
    """Yield each letter as a line of what it is and, below it, the whole of why, in lines of `width`; None: in one."""
    places, sources = ([len(name(row)) for row in shelf.shown] for name in (_place, _source))
    for row in shelf.shown:
        letter, again = row.letter, _again(shelf, row)
        seen = letter.first_seen.strftime("%Y-%m-%d %H:%M:%S")
        what = f"{letter.stage}: {letter.reason}{f' ({again})' if again else ''}"
        told = f"{_place(row):{max(places)}}  {seen}  {_source(row):{max(sources)}}  {what}"
        yield from _within(width, told, later=_INDENT)
        yield from _within(width, _INDENT + " ".join(letter.detail.split()), later=_INDENT)


def _within(width: int | None, line: str, *, later: str) -> Sequence[str]:
    return wrap(line, width, subsequent_indent=later) if width else (line,)


def _place(shelved: Shelved) -> str:
    return str(shelved.place)


def _source(shelved: Shelved) -> str:
    return shelved.source


def _again(shelf: Shelf, shelved: Shelved) -> str:
    if how := shelf.settled.get(str(shelved.place)):
        return "dismissed" if how == DISMISS else "driven again"
    return "" if shelved.redrivable else "cannot be driven again"


def _reasons_table(shelf: Shelf) -> Table:
    table = Table("stage", "reason", "letters")
    table.columns[2].justify = "right"
    for (stage, reason), count in shelf.reasons.most_common():
        table.add_row(Text(stage), Text(reason), f"{count:,}")
    return table


def _bottom_line(shelf: Shelf) -> str:
    said = f"{shelf.fitting:,} dead letters among {shelf.read:,} records."
    if shelf.skipped:
        said += f" {shelf.skipped:,} older records were not read; --last 0 reads all."
    if shelf.strange:
        said += f" {shelf.strange:,} records are no dead letters."
    return said


def _preview(value: bytes) -> str:
    try:
        text = orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        text = value[:_PREVIEW_BYTES].decode(errors="backslashreplace")
    rest = len(text) - _PREVIEW_BYTES
    return text if rest <= 0 else f"{text[:_PREVIEW_BYTES]}\n... and {rest:,} more characters; --save FILE writes all"

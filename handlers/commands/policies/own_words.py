"""`rapport policy words`: which texts there are, whose they are, and ours as a start for the firm's own."""

import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.channels.example_facts import purpose_of
from handlers.channels.library import SUFFIX, Library, folder_of, package_names, package_source, read_library
from handlers.channels.own_words import Problem, problems_of, uses_of
from handlers.channels.phrases import PHRASES
from handlers.channels.template_facts import library_of
from handlers.commands.options import JsonOption, PolicyOption, TemplatesOption
from handlers.terminal.documents import in_json
from models.policy.policy import Policy
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.policy_file import policy_in_force

_PARTS = {"_first_help": "servicing", "_servicing_footer": "servicing", "_relationship_footer": "relationship"}
"""What letters share, and for what."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text as it is chosen: by journey, step and tone; `own` and `ours` are the languages in which there is one."""

    cell: str
    purpose: str
    to: str
    own: list[str]
    ours: list[str]


def words(
    cell: Annotated[str | None, Parameter(help="Show this text, as the list names it; none: the list.")] = None,
    /,
    *,
    language: Annotated[str | None, Parameter(help="en, de, fr or es; default: all of them.")] = None,
    write: Annotated[bool, Parameter(name="--write", negative=(), help="Write it into the folder of the firm's own.")] = False,
    force: Annotated[bool, Parameter(name="--force", negative=(), help="Also over what is there and differs.")] = False,
    templates: TemplatesOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> int:
    """List the texts of all messages, and write one of ours out as the start of the firm's own.

    A file of the same name in the folder of the firm's own templates is said instead of ours; what is missing there stays
    ours. It keeps what ours keep - facts by purpose, tone, footer, no threat - or the channels do not start, and say why.

    Example: rapport policy words gap_checkin/keeping_in_touch.gentle --write --templates words

    Exit codes: 0 shown or written, 1 a file is there and differs (--force writes over it), 2 no such text or folder.
    """
    settings = load_settings()
    folder = templates or settings.templates
    library = library_of(settings, None if write else templates)
    _refuse_mixture(cell, language=language, write=write, force=force, as_json=as_json)
    if cell is None:
        rows = list(_cells(library, policy_in_force(settings, policy, facts_stated=library.facts_stated)))
        if as_json:
            print(in_json([asdict(row) for row in rows]))
        else:
            _print_cells(rows)
        return 0
    names = _names(package_names() if write else library.names, cell, language)
    if not write:
        print("\n".join(f"=== {name}\n{library.source(name).rstrip()}\n" for name in names).rstrip())
        return 0
    if folder is None:
        message = "no folder is named to write to; add --templates DIR or set RAPPORT_TEMPLATES"
        raise UsageError(message)
    return _write(names, folder, force=force)


def lint_words(settings: Settings, folder: Path | None, policy: Policy) -> list[tuple[Problem, str]]:
    """Return what is wrong with the firm's own templates under `policy`, and how to say it."""
    library = library_of(settings, folder)
    return [(row, row.words(library)) for row in problems_of(library, policy)]


def _cells(library: Library, policy: Policy) -> Iterator[Cell]:
    for name, use in sorted(uses_of(policy).items()):
        own, ours = (
            [language for language in PHRASES if folder_of(language) + name in known] for known in (library.own, package_names())
        )
        if own or ours:
            yield Cell(name.removesuffix(SUFFIX), purpose_of(use.journey).value, "staff" if use.staff else "client", own, ours)
    for part, purpose in _PARTS.items():
        own = [language for language in PHRASES if f"{folder_of(language)}{part}{SUFFIX}" in library.own]
        yield Cell(part, purpose, "client", own, list(PHRASES))


def _refuse_mixture(cell: str | None, *, language: str | None, write: bool, force: bool, as_json: bool) -> None:
    """Raise UsageError for what says nothing together, rather than leave a part of it out."""
    if cell is None and (language or write or force):
        message = "the list has no languages and is not written; name a text: rapport policy words CELL --language de --write"
        raise UsageError(message)
    if cell is not None and as_json:
        message = "--json is for the list: rapport policy words --json"
        raise UsageError(message)


def _names(known_names: Collection[str], cell: str, language: str | None) -> list[str]:
    """Return the names of a cell's templates in `language`, or in all; raises UsageError where there is none."""
    if language is not None and language not in PHRASES:
        message = f"there are no words in {language!r}; known: {', '.join(PHRASES)}"
        raise UsageError(message)
    bare = cell.removesuffix(SUFFIX) + SUFFIX
    names = [folder_of(known) + bare for known in PHRASES if language in {None, known}]
    found = [name for name in names if name in known_names]
    if not found:
        near = [row for row in sorted(known_names) if row.startswith(bare.partition("/")[0])]
        hint = f"; near: {', '.join(row.removesuffix(SUFFIX) for row in near[:4])}" if near else ""
        message = f"there is no text {cell!r}{hint}; rapport policy words lists all"
        raise UsageError(message)
    return found


def _write(names: list[str], folder: Path, *, force: bool) -> int:
    try:
        return _written(names, folder, force=force)
    except OSError as error:
        message = f"cannot write into {folder} ({error.strerror}); name another folder with --templates"
        raise UsageError(message) from error


def _written(names: list[str], folder: Path, *, force: bool) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    there = read_library(folder).own
    differing = [name for name in names if name in there and there[name] != package_source(name)]
    if differing and not force:
        print(f"{folder}/{differing[0]} is there and differs; nothing was written. Over it: --force", file=sys.stderr)
        return 1
    for name in names:
        if there.get(name) == package_source(name):
            print(f"{folder}/{name} is there already")
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(package_source(name), encoding="utf-8")
        print(f"{folder}/{name}")
    return 0


def _print_cells(rows: list[Cell]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    table = Table()
    for name in ("text", "purpose", "to", "the firm's own", "ours"):
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(part) for part in (row.cell, row.purpose, row.to, " ".join(row.own), " ".join(row.ours))))
    console.print(table)

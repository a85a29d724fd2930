"""`rapport contracts show|write|check` (`contracts`, a cyclopts App)."""

import difflib
import sys
from pathlib import Path
from typing import Annotated, Final

import orjson
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.files import writing
from streams.runtime.errors import UsageError
from streams.wire.catalogue import CONTRACTS, POLICY_FILE, catalogue, policy_schema, schema_file, schema_of, topics_of, version_of
from streams.wire.compatibility import breaking_changes

FOLDER: Final = Path("docs/contracts")
_FIX: Final = "fix: rapport contracts write"
_LINES_SHOWN: Final = 12

contracts = App(
    name="contracts",
    help="""Show, write and check the published contracts.

    Every event kind has a pydantic contract, a JSON Schema and an example; docs/contracts holds what is published. A version
    that is published never changes incompatibly: writers of it may be anywhere.
    """,
)

At = Annotated[Path, Parameter(help="Folder of the published contracts.")]


@contracts.command
def show(kind: Annotated[str | None, Parameter(help="An event kind, e.g. payment.received; none: list all.")] = None) -> None:
    """Print the JSON Schema of a kind with its example, or the list of kinds.

    Example: rapport contracts show payment.received
    """
    if kind is None:
        table = Table("kind", "version", "topics")
        for name in CONTRACTS:
            table.add_row(name, str(version_of(name)), ", ".join(topics_of(name)))
        Console().print(table)
        return
    if kind not in CONTRACTS:
        near = difflib.get_close_matches(kind, CONTRACTS, n=1)
        message = f"no kind is called {kind!r}{f', did you mean {near[0]!r}?' if near else '.'} See: rapport contracts show"
        raise UsageError(message)
    text = orjson.dumps(schema_of(kind), option=orjson.OPT_INDENT_2).decode()
    if sys.stdout.isatty():
        Console().print_json(text)
    else:
        print(text)


@contracts.command
def write(*, to: At = FOLDER) -> int:
    """Write all generated files. Refuses a change that would break a version that is published already.

    Example: rapport contracts write

    Exit codes: 0 written, 1 refused.
    """
    if broken := _broken(to):
        _complain("these changes break a published version", broken)
        print(
            "fix: keep the field, or raise schema_version in the contract and add an upcast (models/events/upcasts.py)",
            file=sys.stderr,
        )
        return 1
    wanted = catalogue()
    with writing(to, "--to"):
        to.mkdir(parents=True, exist_ok=True)
        changed = [name for name, text in wanted.items() if _published(to / name) != text]
        for name in changed:
            (to / name).write_text(wanted[name], encoding="utf-8")
    print(f"{len(wanted)} files in {to}, {len(changed)} of them changed.")
    return 0


@contracts.command
def check(*, at: At = FOLDER) -> int:
    """Hold the published files against the code; say what differs, and how to mend it.

    Example: rapport contracts check

    Exit codes: 0 they agree, 1 they differ or are not there.
    """
    if not any(at.glob("*.schema.json")):
        print(f"rapport: no contracts are published in {at}; fix: rapport contracts write --to {at}", file=sys.stderr)
        return 1
    broken = _broken(at)
    if broken:
        _complain("these changes break a published version", broken)
    wanted = catalogue()
    stale = [name for name, text in wanted.items() if _published(at / name) != text]
    for name in stale:
        _complain(f"{at / name} differs from the code", _difference(_published(at / name) or "", wanted[name]))
    unknown = (
        sorted(file.name for file in at.glob("*.schema.json") if file.name != POLICY_FILE and not _is_of_a_contract(file.name))
        if at.is_dir()
        else []
    )
    if unknown:
        _complain("no contract has these files", unknown)
    if broken or stale or unknown:
        print(_FIX, file=sys.stderr)
        return 1
    print(f"{len(wanted)} files in {at} agree with the code.")
    return 0


def _broken(folder: Path) -> list[str]:
    """Return the incompatible changes of versions that are published in `folder`."""
    found: list[str] = []
    for kind in CONTRACTS:
        published = _published(folder / schema_file(kind))
        if published is not None:
            found += [
                f"{kind} v{version_of(kind)}: {change}" for change in breaking_changes(orjson.loads(published), schema_of(kind))
            ]
    policy = _published(folder / POLICY_FILE)
    if policy is not None:
        found += [f"policy v1: {change}" for change in breaking_changes(orjson.loads(policy), policy_schema())]
    return found


def _is_of_a_contract(name: str) -> bool:
    """Say whether a schema file belongs to a kind of ours in its present or an older version, which stays published."""
    kind, _, version = name.removesuffix(".schema.json").rpartition(".v")
    return kind in CONTRACTS and version.isdigit() and int(version) <= version_of(kind)


def _published(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _difference(published: str, wanted: str) -> list[str]:
    lines = difflib.unified_diff(published.splitlines(), wanted.splitlines(), "published", "code", lineterm="", n=1)
    shown = list(lines)
    return shown[:_LINES_SHOWN] + ([f"... and {len(shown) - _LINES_SHOWN} more lines"] if len(shown) > _LINES_SHOWN else [])


def _complain(what: str, lines: list[str]) -> None:
    print(f"rapport: {what}:", file=sys.stderr)
    for line in lines:
        print(f"  {line}", file=sys.stderr)

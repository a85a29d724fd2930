"""CSV files as people have them: any usual encoding and separator, quoted newlines, streamed row by row with line numbers."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from streams.runtime.errors import UsageError

_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SEPARATORS: Final = (",", ";", "\t", "|")
_LONGEST_CELL: Final = 1_000_000  # characters; a stray quote otherwise swallows the rest of a huge file into one cell
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read: encoding and separator, and the names in its first line."""

    path: Path
    encoding: str
    separator: str
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of the line on which it starts (1 is the header) and its cells."""

    line: int
    cells: tuple[str, ...]


def read_layout(path: Path, *, encoding: str | None = None) -> Layout:
    """Look at the file at `path` once; raise UsageError if it is missing, empty, or not text in the given `encoding`."""
    if not path.is_file():
        message = f"{path} is not a file; name a CSV file with a header line"
        raise UsageError(message)
    chosen = encoding or _detect_encoding(path)
    with _open(path, chosen) as file:
        start = file.read(65_536)
    lines = [line for line in start.splitlines() if line.strip()]
    if not lines:
        message = f"{path} is empty; a header line and at least one row are needed"
        raise UsageError(message)
    separator = _detect_separator(lines[:20])
    header = next(csv.reader([lines[0]], delimiter=separator, skipinitialspace=True))
    return Layout(path=path, encoding=chosen, separator=separator, header=_distinct(header))


def rows(layout: Layout) -> Iterator[Row]:
    """Yield every row below the header, blank lines left out. Memory does not grow with the file."""
    csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    with _open(layout.path, layout.encoding) as file:
        reader = csv.reader(file, delimiter=layout.separator, skipinitialspace=True)
        before, header_seen = 0, False
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                message = f"{layout.path}, line {before + 1}: {error}; a quote is probably not closed"
                raise UsageError(message) from error
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header_seen:
                yield Row(line=line, cells=tuple(cells))
            header_seen = True


@contextmanager
def _open(path: Path, encoding: str) -> Iterator[TextIO]:
    try:
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except UnicodeError as error:
        message = f"{path} is not {encoding}: {error}; name another --encoding, for example cp1252"
        raise UsageError(message) from error
    except LookupError as error:
        message = f"--encoding {encoding} is unknown; try utf-8, cp1252 or utf-16"
        raise UsageError(message) from error


def _detect_encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
        for bom, encoding in _BOMS:
            if start.startswith(bom):
                return encoding
    try:
        with path.open(encoding="utf-8", newline="") as text:
            while text.read(_BLOCK):
                pass
    except UnicodeDecodeError:
        return "cp1252"  # what spreadsheets write where they do not write UTF-8; shown in the plan
    return "utf-8"


def _detect_separator(lines: list[str]) -> str:
    def columns(separator: str) -> tuple[int, int]:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=separator)]
        usual = max(set(widths), key=widths.count)
        return (usual if widths[0] == usual else 0), widths[0]

    return max(_SEPARATORS, key=columns)


def _distinct(header: list[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    names = []
    for place, raw in enumerate(header, start=1):
        name = raw.strip() or f"column {place}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)

"""CSV files as people have them: any usual encoding and separator, quoted newlines, streamed row by row with line numbers."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from handlers.commands.files import needed_file
from streams.runtime.errors import UsageError

_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SEPARATORS: Final = (",", ";", "\t", "|", "^", "~")
_DECLARED: Final = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # a first line by which spreadsheets are told the separator
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_COMPRESSED: Final = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zX": "unxz"}
_NO_TABLES: Final = {
    b"%pdf": "a PDF",
    b"par1": "a Parquet file",
    b"sqlite": "a database",
    b"<!": "a web page or XML",
    b"<?": "a web page or XML",
    b"<html": "a web page or XML",
    b"<table": "a web page or XML",
    b"[{": "JSON",
    b'{"': "JSON",
}
"""What files begin with, in lower case, that accounting systems and people give the name of a table."""
_MISREAD: Final = re.compile(
    r"[À-ÖØ-öø-ÿ]{4,}|[^\W\d_]+[³¹¿¯][^\W\d_]+"
)  # no Western word has so many accented letters in a row, or such a mark within
_POSTINGS: Final = re.compile(r'"?(EXTF|DTVF)"?;')  # the first line of postings as DATEV exchanges them
_RULE: Final = re.compile(r"[-=_+|*\s]*")  # what a list for a printer draws between its parts
_LOOKED_AT: Final = 20  # records among which the header is looked for: reports begin with a title, a date, a blank line
_LEAST_NAMES: Final = 3  # columns without which nothing can be a book
_LONGEST_CELL: Final = 1_000_000  # characters; a stray quote otherwise swallows the rest of a huge file into one cell
GROUP: Final = "Customer"  # what the column is called that a report with the customer above its rows leaves without a name
_BLOCK: Final = 1 << 20
_LONGEST_MARK: Final = 64  # bytes by which kinds of files are told apart


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read: encoding and separator, the names in its header, and how many records stand above that.

    `grouped`: a report in which the first cell of a row of its own names the client of the rows below.
    """

    path: Path
    encoding: str
    separator: str
    header: tuple[str, ...]
    above: int = 0
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of the line on which it starts (1 is the header) and its cells."""

    line: int
    cells: tuple[str, ...]


def read_layout(path: Path, *, encoding: str | None = None) -> Layout:
    """Look at the file at `path` once; raise UsageError if it is missing, empty, or not text in the given `encoding`."""
    needed_file(path, "a CSV file with a header line")
    chosen = encoding or _detect_encoding(path)
    with _open(path, chosen) as file:
        start = file.read(65_536)
    lines = [line for line in start.splitlines() if line.strip()]
    if not lines:
        message = f"{path} is empty; a header line and at least one row are needed"
        raise UsageError(message)
    declared = _DECLARED.fullmatch(lines[0])
    separator = declared[1] if declared else _detect_separator(lines[: 2 * _LOOKED_AT])
    if _POSTINGS.match(lines[0]):
        message = f"{path} holds postings of DATEV, whose dates have no year; export the list of open and settled items instead"
        raise UsageError(message)
    above, header, below = _find_header(path, start, separator)
    grouped = _is_grouped(header, below)
    if grouped:
        header = [GROUP, *header[1:]]
    return Layout(path=path, encoding=chosen, separator=separator, header=_distinct(header), above=above, grouped=grouped)


def _find_header(path: Path, start: str, separator: str) -> tuple[int, list[str], list[list[str]]]:
    """Return how many records stand above the header, its cells, and records below; it is the first about as wide as those."""
    csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    records: list[list[str]] = []
    try:
        for cells in csv.reader(start.splitlines(keepends=True), delimiter=separator, skipinitialspace=True):
            if not _says_nothing(cells):
                records.append(cells)
            if len(records) == _LOOKED_AT:
                break
    except csv.Error as error:
        raise _unclosed(path, len(records) + 1, error) from error
    if _DECLARED.fullmatch(separator.join(records[0])):
        return 1, records[1] if len(records) > 1 else records[0], records[2:]
    widths = [sum(1 for cell in cells if cell.strip()) for cells in records]
    least = max(widths) / 2
    if widths[0] >= min(_LEAST_NAMES, max(widths)) and widths[0] >= least:
        return 0, records[0], records[1:]
    place = next((place for place, width in enumerate(widths) if width >= max(_LEAST_NAMES, least)), 0)
    return place, records[place], records[place + 1 :]


def _is_grouped(header: list[str], below: list[list[str]]) -> bool:
    """Say whether the first column has no name, and holds nothing but names in rows of their own."""
    named = [cells for cells in below if cells[0].strip()]
    return not header[0].strip() and 0 < len(named) < len(below) and _is_alone(below[0]) and not any(map(_is_entry, named))


def _is_alone(cells: Sequence[str]) -> bool:
    return not any(cell.strip() for cell in cells[1:])


def _is_entry(cells: Sequence[str]) -> bool:
    """Say whether a row says more than a name above other rows, or a total below them."""
    return not _is_alone(cells) and not cells[0].strip().lower().startswith("total")


def rows(layout: Layout) -> Iterator[Row]:
    """Yield every row below the header, without blank lines, drawn lines and repeated headers. Memory stays the same."""
    csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    with _open(layout.path, layout.encoding) as file:
        reader = csv.reader(file, delimiter=layout.separator, skipinitialspace=True)
        before, above, group = 0, layout.above + 1, ""
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _unclosed(layout.path, before + 1, error) from error
            line, before = before + 1, reader.line_num
            if _says_nothing(cells):
                continue
            if above:
                above -= 1
                continue
            if _is_header(cells, layout.header):
                continue
            if layout.grouped and cells[0].strip():
                group = cells[0].strip()
                continue
            yield Row(line=line, cells=(group, *cells[1:]) if layout.grouped else tuple(cells))


def _says_nothing(cells: Sequence[str]) -> bool:
    """Say whether a row is blank, or a line that is drawn from one end to the other."""
    return not any(cell.strip() for cell in cells) or all(map(_RULE.fullmatch, cells))


def _is_header(cells: Sequence[str], header: Sequence[str]) -> bool:
    """Say whether a row repeats the names of the columns, as lists for a printer do on each page."""
    return all(not (said := cell.strip()) or said == name for cell, name in zip(cells, header, strict=False))


def _unclosed(path: Path, line: int, error: csv.Error) -> UsageError:
    return UsageError(f"{path}, line {line}: {error}; a quote is probably not closed")


@contextmanager
def _open(path: Path, encoding: str) -> Iterator[TextIO]:
    try:
        with path.open(encoding=encoding, newline="") as file:
            yield file
    except UnicodeError as error:
        message = f"{path} is not {encoding}: {error}; name another --encoding, for example {_others(encoding)}"
        raise UsageError(message) from error
    except LookupError as error:
        message = f"--encoding {encoding} is unknown; try utf-8, cp1252 or utf-16"
        raise UsageError(message) from error


def _others(encoding: str) -> str:
    return ", ".join(
        name
        for name in ("utf-8", "cp1252", "cp932", "gb18030", "cp1251", "mac-roman", "latin-1 (takes any byte)")
        if name != encoding
    )


def _detect_encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_BLOCK)
        _refuse_packed(path, start)
        for bom, encoding in _BOMS:
            if start.startswith(bom):
                return encoding
        if 3 * start.count(0) > len(start):  # every other byte of Latin letters in UTF-16 is zero
            return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        with path.open(encoding="utf-8", newline="") as text:
            while text.read(_BLOCK):
                pass
    except UnicodeDecodeError:
        western = start.decode("cp1252", errors="replace")  # what spreadsheets write where not UTF-8; shown in the plan
        if misread := _MISREAD.search(western):
            message = (
                f"{path} is neither UTF-8 nor, to judge by {misread[0]!r}, Western European text; name another --encoding, "
                "for example cp1250 (Central European), cp1251 (Cyrillic), cp1253 (Greek), cp932 (Japanese) or gb18030 (Chinese)"
            )
            raise UsageError(message) from None
        return "cp1252"
    return "utf-8"


def refuse_packed(path: Path) -> None:
    """Raise UsageError for a file that has to be unpacked or exported before anybody can read it as text."""
    with path.open("rb") as file:
        _refuse_packed(path, file.read(_LONGEST_MARK))


def _refuse_packed(path: Path, start: bytes) -> None:
    unpack = next((tool for mark, tool in _COMPRESSED.items() if start.startswith(mark)), None)
    if unpack is None and start.startswith(_WORKBOOKS):
        if path.suffix.lower() != ".zip":
            message = f"{path} is a workbook, not text; save its sheet as CSV (in a spreadsheet: Save as, CSV UTF-8)"
            raise UsageError(message)
        unpack = "unzip"
    if unpack:
        message = f"{path} is compressed; unpack it first, for example: {unpack} {path}"
        raise UsageError(message)
    plain = start[:_LONGEST_MARK].removeprefix(_BOMS[0][0]).lstrip().lower()
    kind = next((kind for mark, kind in _NO_TABLES.items() if plain.startswith(mark)), None)
    if kind is not None:
        history = "; a history has a JSON object in each line: --format jsonl" if kind == "JSON" else ""
        message = (
            f"{path} is {kind}, not a table as text; export it as CSV, or open it in a spreadsheet and save it as CSV{history}"
        )
        raise UsageError(message)


def _detect_separator(lines: list[str]) -> str:
    def columns(separator: str) -> tuple[int, int]:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=separator)]
        # The width that most lines share; a title above the header is narrower, a cell with newlines breaks few lines.
        usual = max(set(widths), key=lambda width: (width > 1, widths.count(width), width))
        return (usual if widths[0] == usual or widths.count(usual) * 2 > len(widths) else 0), widths[0]

    return max(_SEPARATORS, key=columns)


def _distinct(header: list[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    names = []
    for place, raw in enumerate(header, start=1):
        name = raw.strip() or f"column {place}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)

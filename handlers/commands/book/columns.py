"""Which column of a receivables book means what: guessed from the names, shown, and overruled by `--map` or a preset."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from typing import Final, Literal
from zoneinfo import ZoneInfo

from handlers.commands.book.column_names import AGAINST, AMOUNTS, DATES, NAMES, NUMBERS, REQUIRED, STEMS, Meaning, letters
from handlers.commands.book.dates import read_moment
from handlers.commands.book.words import said
from streams.runtime.errors import UsageError


@dataclass(frozen=True, slots=True)
class Preset:
    """A known kind of file: its mapping, and the order of day and month in it."""

    mapping: Mapping[Meaning, str]
    date_order: Literal["dmy", "mdy"]


PRESETS: Final[Mapping[str, Preset]] = {
    "receivables": Preset(
        mapping={
            Meaning.CLIENT_ID: "customerID",
            Meaning.INVOICE_ID: "invoiceNumber",
            Meaning.ISSUED_ON: "InvoiceDate",
            Meaning.DUE_ON: "DueDate",
            Meaning.AMOUNT: "InvoiceAmount",
            Meaning.DISPUTED: "Disputed",
            Meaning.SETTLED_ON: "SettledDate",
        },
        date_order="mdy",
    ),
    "ledger": Preset(
        mapping={
            Meaning.CLIENT_ID: "Vendor_Name",
            Meaning.RECORDED_ON: "Created",
            Meaning.ISSUED_ON: "Invoice_Date",
            Meaning.DUE_ON: "Due_Date",
            Meaning.AMOUNT: "Amount",
            Meaning.SETTLED: "Settled",
            Meaning.OUTSTANDING: "Outstanding",
            Meaning.DAYS_TO_SETTLE: "Number_of_Days_until_Payment",
        },
        date_order="dmy",
    ),
}


_SAID: Final[Mapping[str, Meaning]] = {"paid": Meaning.SETTLED_ON, "payment": Meaning.SETTLED_ON}
_FIRM: Final = (Meaning.SETTLED_ON, Meaning.AMOUNT)  # what is expected or paid of it is something else
_LONGEST_SHOWN: Final = 24
_NO_NAMES: Final = "the first line holds no names of columns but a row ({}); put a line with names above it"
_INSIDE: Final = 100  # rank of a name that merely contains a known one
_STEM: Final = 200  # of one that holds dates and contains a part of a word that says which
_LABEL: Final = re.compile(r".*(?:(?<!pa)id|no|nr|num|number|nummer|code|key|ref)")
_SAME: Final = 1_000  # of one that should tell clients apart and holds the same in all of many rows: the account of the firm
_MANY: Final = 20  # rows
_SHORT: Final = 5  # letters; shorter words sit in many names
_DATE: Final = re.compile(
    r"(-000)?\d{1,4}[-/. ].*\d.*|(?:19|20)\d{6}(\.0)?|[0-3]?\d[0-3]\d(?:19|20)\d\d(\.0)?"
    r"|[2-6]\d{4}(\.\d+)?|1[0-7]\d{8}(\d{3})?(\.\d+)?|[^\W\d]+\.?[-/., ]+.*\d.*"
    r"|\d{1,2}[^\W\d]{3,9}\d{2,4}.*|\d{4}[年년].*"
)
_WRITTEN: Final = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}")
_AMOUNT: Final = re.compile(r"[^\d]{0,6}\d[\d.,' \u00a0\u202f\u2019]*(e[+-]?\d+)?[^\d]{0,6}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")
_DECIMAL: Final = re.compile(r"\d+[.,]\d+")
_COUNT: Final = re.compile(r"\(?[+-]?\d+([.,]\d+)?\)?(\s*(days?|d))?")
_DAY: Final = re.compile(r"[34]\d{4}(\.0)?|\d{1,2}\.\d{1,2}\.(\d{2}|\d{4})")  # what an amount could be too
_MONEY: Final = re.compile(r"(?:[A-Z]{3}|\W)*\d[\d.,'\s]*[.,]\d{1,3}(?:[A-Z]{3}|\W)*")
_SHAPES: Final[Mapping[Meaning, re.Pattern[str]]] = (
    dict.fromkeys(DATES, _DATE)
    | dict.fromkeys(AMOUNTS, _AMOUNT)
    | dict.fromkeys(NUMBERS, _COUNT)
    | {Meaning.CURRENCY: re.compile(r"\D+")}
)

Sample = Sequence[Sequence[str]]
"""The first rows of a file: what columns hold says more than what they are called."""


def choose_columns(
    header: Sequence[str],
    *,
    preset: str | None = None,
    given: Sequence[str] = (),
    sample: Sample = (),
    required: Sequence[Meaning] = REQUIRED,
) -> dict[Meaning, str]:
    """Return the mapping from meaning to column name: `given` (`meaning=Column`) first, then the preset or the guess.

    An issue date may be missing where a due date is there. Raise UsageError when a required meaning has no column, or a named
    column is not in the file.
    """
    asked = _parse_given(given, header, sample)
    if not any(asked.values()) and _is_row(header, sample):
        raise UsageError(_NO_NAMES.format(", ".join(header)))
    if preset is None:
        base = guess(header, taken=frozenset(asked.values()), settled=frozenset(asked), sample=sample)
    elif preset in PRESETS:
        base = dict(PRESETS[preset].mapping)
        missing = [name for meaning, name in base.items() if name not in header and meaning not in asked]
        if missing:
            message = f"--preset {preset} expects the columns {', '.join(missing)}; leave it out to have the columns guessed"
            raise UsageError(message)
    else:
        message = f"--preset {preset} is unknown; there are: {', '.join(PRESETS)}"
        raise UsageError(message)
    mapping = {meaning: name for meaning, name in {**base, **asked}.items() if name}
    lacking = [meaning for meaning in required if meaning not in mapping]
    if Meaning.DUE_ON in mapping and Meaning.ISSUED_ON in lacking:
        lacking.remove(Meaning.ISSUED_ON)
    if lacking:
        raise UsageError(_lacking(lacking, mapping, header, sample))
    return mapping


def _is_row(header: Sequence[str], sample: Sample) -> bool:
    """Say whether dates stand in the place of the names of columns that hold dates, in two or more."""
    below = sample[0] if sample else ()
    return sum(1 for name, cell in zip(header, below, strict=False) if _is_date(name) and _is_date(cell)) > 1


def _lacking(lacking: Sequence[Meaning], mapping: Mapping[Meaning, str], header: Sequence[str], sample: Sample) -> str:
    if sum(1 for name in header if _is_date(name) or _NUMBER.fullmatch(name)) > 1:
        return _NO_NAMES.format(", ".join(header))
    wanted = " ".join(f"--map {meaning}=COLUMN" for meaning in lacking)
    found = ", ".join(f"{meaning} <- {name}" for meaning, name in mapping.items()) or "none"
    return (
        f"no column found for {', '.join(lacking)}; say which: {wanted} "
        f"(columns: {describe_header(header, sample)}; recognised: {found}{proposed(mapping, header, sample)})"
    )


def proposed(mapping: Mapping[Meaning, str], header: Sequence[str], sample: Sample) -> str:
    """Return for people, as options to look at, what columns without a meaning could be; nothing where none could."""
    pairs = (shlex.quote(f"{meaning}={name}") for meaning, name in _likely(mapping, header, sample).items())
    perhaps = " ".join(f"--map {pair}" for pair in pairs)
    return f"; perhaps: {perhaps}" if perhaps else ""


def likely_option(meaning: Meaning, mapping: Mapping[Meaning, str], header: Sequence[str], sample: Sample) -> str:
    """Return for people the option that gives `meaning` to a column that has none and could have it; nothing without one."""
    name = _likely(mapping, header, sample).get(meaning)
    return f"--map {shlex.quote(f'{meaning}={name}')}" if name else ""


def _likely(mapping: Mapping[Meaning, str], header: Sequence[str], sample: Sample) -> dict[Meaning, str]:
    """Return what columns without a known name could mean, by what they hold: to be looked at by a person, never used."""
    cells = {name: [row[place].strip() for row in sample if place < len(row)] for place, name in enumerate(header)}
    free = [name for name in header if name not in mapping.values() and any(cells[name])]
    dates = [name for name in free if all(not cell or _is_date(cell) for cell in cells[name])]
    rest = [name for name in free if name not in dates]
    amounts = [name for name in rest if all(map(_MONEY.fullmatch, cells[name]))]
    names = [name for name in rest if name not in amounts]
    # A date of payment has gaps, the others have none: where one is without a name, what has no gap is it, in their usual order.
    lacking = [meaning for meaning in (Meaning.ISSUED_ON, Meaning.DUE_ON) if meaning not in mapping]
    whole = [name for name in dates if all(cells[name])] or dates[: len({Meaning.ISSUED_ON}.intersection(lacking))]
    placed = dict(zip(lacking, whole, strict=False))
    named = sorted(names, key=lambda name: len(set(cells[name])))
    found = {
        Meaning.CLIENT_ID: named[:1],
        Meaning.INVOICE_ID: named[1:][-1:],
        **{meaning: [name] for meaning, name in placed.items()},
        Meaning.AMOUNT: amounts[:1],
        Meaning.SETTLED_ON: [name for name in dates if name not in placed.values()][:1],
    }
    return {
        meaning: names[0]
        for meaning, names in found.items()
        if names and meaning not in mapping and not (meaning in _FIRM and _speaks_against(letters(names[0]), meaning))
    }


def _is_date(text: str) -> bool:
    for order in ("dmy", "mdy"):
        with suppress(ValueError):
            return read_moment(text, order=order, zone=ZoneInfo("UTC"), at=time()) is not None
    return False


def describe_header(header: Sequence[str], sample: Sample) -> str:
    """Return the columns for people, each with something that stands in it."""
    shown = []
    for place, name in enumerate(header):
        cell = next((row[place].strip() for row in sample if place < len(row) and row[place].strip()), "")
        shown.append(f"{name} {cell[:_LONGEST_SHOWN]!r}" if cell else name)
    return ", ".join(shown)


def guess(
    header: Sequence[str], *, taken: frozenset[str] = frozenset(), settled: frozenset[Meaning] = frozenset(), sample: Sample = ()
) -> dict[Meaning, str]:
    """Return the best column for each meaning by its name, unless it holds something else; the surest pair first.

    Each column is used once; columns that are `taken` and meanings that are `settled` are left aside.
    """
    plain = {name: letters(name) for name in header if name not in taken}
    places = {name: place for place, name in enumerate(header)}
    alike = {name for name, place in places.items() if _is_alike(sample, place)}
    ranked = sorted(
        (rank + _SAME * (meaning is Meaning.CLIENT_ID and name in alike), order, places[name], meaning, name)
        for order, meaning in enumerate(NAMES)
        if meaning not in settled
        for name, word in plain.items()
        if (rank := _rank(word, meaning)) is not None and _holds(sample, places[name], meaning)
    )
    mapping: dict[Meaning, str] = {}
    for _, _, _, meaning, name in ranked:
        if meaning not in mapping and name not in mapping.values():
            mapping[meaning] = name
    known = mapping.get(Meaning.CLIENT_ID)
    better = known is None or (known in alike and mapping.get(Meaning.NAME) not in alike)
    if Meaning.NAME in mapping and Meaning.CLIENT_ID not in settled and better:
        mapping[Meaning.CLIENT_ID] = mapping.pop(Meaning.NAME)  # a book without numbers knows its clients by name
    paid = mapping.get(Meaning.SETTLED, "")
    if paid and Meaning.SETTLED_ON not in {*mapping, *settled} and _is_days(sample, places[paid]):
        mapping[Meaning.SETTLED_ON] = mapping.pop(Meaning.SETTLED)  # "Paid" over dates, or days as spreadsheets count them
    if Meaning.ISSUED_ON not in mapping and Meaning.RECORDED_ON in mapping:
        mapping[Meaning.ISSUED_ON] = mapping.pop(Meaning.RECORDED_ON)  # an invoice is issued when it is made
    return mapping


def _rank(word: str, meaning: Meaning) -> int | None:
    wanted = NAMES[meaning]
    if word in wanted:
        return wanted.index(word)
    if _speaks_against(word, meaning):
        return None
    inside = [place for place, name in enumerate(wanted) if len(name) >= _SHORT and name in word]
    if inside:
        return _INSIDE + min(inside)
    stems = [place for place, stem in enumerate(STEMS.get(meaning, ())) if stem in word]
    return _STEM + min(stems) if stems and not (meaning in DATES and _LABEL.fullmatch(word)) else None


def _speaks_against(word: str, meaning: Meaning) -> bool:
    return any(against in word for against in AGAINST.get(meaning, ()))


def _holds(sample: Sample, place: int, meaning: Meaning) -> bool:
    """Say whether most of what stands in a column looks like its meaning; a column of blanks may mean anything."""
    if meaning is Meaning.INVOICE_ID:
        return not _is_dates(sample, place)
    shape = _SHAPES.get(meaning)
    if shape is None:
        return True
    cells = [cell for row in sample if place < len(row) and (cell := said(row[place], meaning))]
    fitting = sum(1 for cell in cells if shape.fullmatch(cell) and not (meaning in DATES and _is_amount(cell)))
    return 2 * fitting >= len(cells)


def _is_alike(sample: Sample, place: int) -> bool:
    """Say whether a column holds the same in each of many rows."""
    return len(sample) >= _MANY and len({row[place].strip() for row in sample if place < len(row)} - {""}) == 1


def _is_amount(cell: str) -> bool:
    """Say whether a cell that has the shape of a date is a number with decimals, and no day as programs count them."""
    return bool(_DECIMAL.fullmatch(cell)) and not _is_date(cell)


def _is_dates(sample: Sample, place: int) -> bool:
    """Say whether all that a column holds are dates with marks between day, month and year."""
    cells = [row[place].strip() for row in sample if place < len(row) and row[place].strip()]
    return bool(cells) and all(_WRITTEN.match(cell) and _is_date(cell) for cell in cells)


def _is_days(sample: Sample, place: int) -> bool:
    cells = [row[place].strip() for row in sample if place < len(row)]
    return any(cells) and all(not cell or _DAY.fullmatch(cell) for cell in cells)


def _parse_given(given: Sequence[str], header: Sequence[str], sample: Sample) -> dict[Meaning, str]:
    asked: dict[Meaning, str] = {}
    for pair in _pairs(given, header):
        left, mark, right = (part.strip() for part in pair.partition("="))
        meaning, name = _meaning_of(left), _column_of(right, header)
        if mark and right and name is None and (turned := _meaning_of(right)) and (column := _column_of(left, header)):
            meaning, name = turned, column  # COLUMN=MEANING says the same
        if not mark or meaning is None:
            message = f"--map {pair} is not MEANING=COLUMN; meanings: {', '.join(Meaning)}"
            raise UsageError(message)
        if right and name is None:
            close = difflib.get_close_matches(right, header, n=1)
            like = f" (do you mean {close[0]!r}?)" if close else ""
            message = f"--map {pair}: the file has no column {right!r}{like}; it has: {describe_header(header, sample)}"
            raise UsageError(message)
        asked[meaning] = name or ""
    return asked


def _pairs(given: Sequence[str], header: Sequence[str]) -> Iterator[str]:
    """Yield the pairs; several in one word are parted at commas, unless that is the name of a column."""
    for word in given:
        parts = word.split(",")
        several = all("=" in part for part in parts) and _column_of(word.partition("=")[2], header) is None
        yield from parts if several else (word,)


def _meaning_of(word: str) -> Meaning | None:
    """Return the meaning that a person names: as we call it, or as a column of that kind is called."""
    plain = letters(word)
    exact = next((meaning for meaning in Meaning if letters(meaning) == plain), None)
    return exact or _SAID.get(plain) or next((meaning for meaning, names in NAMES.items() if plain in names), None)


def _column_of(word: str, header: Sequence[str]) -> str | None:
    """Return the column of that name; capitals, blanks and marks matter only where two would be alike without them."""
    if word.strip() in header:
        return word.strip()
    alike = [name for name in header if letters(name) and letters(name) == letters(word)]
    return alike[0] if len(alike) == 1 else None

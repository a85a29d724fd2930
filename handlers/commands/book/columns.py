"""Which column of a receivables book means what: guessed from the names, shown, and overruled by `--map` or a preset."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from handlers.commands.book.column_names import AGAINST, AMOUNTS, DATES, NAMES, NUMBERS, REQUIRED, STEMS, Meaning, letters
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


_LONGEST_SHOWN: Final = 24
_INSIDE: Final = 100  # rank of a name that merely contains a known one
_STEM: Final = 200  # of one that holds dates and contains a part of a word that says which
_LABEL: Final = re.compile(r".*(?:(?<!pa)id|no|nr|num|number|nummer|code|key|ref)")
_SHORT: Final = 5  # letters; shorter words sit in many names
_DATE: Final = re.compile(
    r"\d{1,4}[-/. ].*\d.*|(?:19|20)\d{6}(\.0)?|[2-6]\d{4}(\.\d+)?|1[0-7]\d{8}(\d{3})?(\.\d+)?|[^\W\d]+\.?[-/., ]+.*\d.*"
)
_AMOUNT: Final = re.compile(r"[^\d]{0,6}\d[\d.,' \u00a0\u202f\u2019]*(e[+-]?\d+)?[^\d]{0,6}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")
_SHAPES: Final[Mapping[Meaning, re.Pattern[str]]] = (
    dict.fromkeys(DATES, _DATE)
    | dict.fromkeys(AMOUNTS, _AMOUNT)
    | dict.fromkeys(NUMBERS, _NUMBER)
    | {Meaning.CURRENCY: re.compile(r"\D+")}
)
_BLANKS: Final = frozenset({"", "-", "--", "na", "n/a", "nan", "nat", "none", "null"})

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
    asked = _parse_given(given, header)
    if preset is None:
        base = guess(header, taken=frozenset(asked.values()), sample=sample)
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
        wanted = " ".join(f"--map {meaning}=COLUMN" for meaning in lacking)
        found = ", ".join(f"{meaning} <- {name}" for meaning, name in mapping.items()) or "none"
        message = (
            f"no column found for {', '.join(lacking)}; say which: {wanted} "
            f"(columns: {describe_header(header, sample)}; recognised: {found})"
        )
        raise UsageError(message)
    return mapping


def describe_header(header: Sequence[str], sample: Sample) -> str:
    """Return the columns for people, each with something that stands in it."""
    shown = []
    for place, name in enumerate(header):
        cell = next((row[place].strip() for row in sample if place < len(row) and row[place].strip()), "")
        shown.append(f"{name} {cell[:_LONGEST_SHOWN]!r}" if cell else name)
    return ", ".join(shown)


def guess(header: Sequence[str], *, taken: frozenset[str] = frozenset(), sample: Sample = ()) -> dict[Meaning, str]:
    """Return the best column for each meaning by its name, unless it holds something else; the surest pair first.

    Each column is used once.
    """
    plain = {name: letters(name) for name in header if name not in taken}
    places = {name: place for place, name in enumerate(header)}
    ranked = sorted(
        (rank, order, places[name], meaning, name)
        for order, meaning in enumerate(NAMES)
        for name, word in plain.items()
        if (rank := _rank(word, meaning)) is not None and _holds(sample, places[name], meaning)
    )
    mapping: dict[Meaning, str] = {}
    for _, _, _, meaning, name in ranked:
        if meaning not in mapping and name not in mapping.values():
            mapping[meaning] = name
    if Meaning.CLIENT_ID not in mapping and Meaning.NAME in mapping:
        mapping[Meaning.CLIENT_ID] = mapping.pop(Meaning.NAME)  # a book without numbers knows its clients by name
    if Meaning.ISSUED_ON not in mapping and Meaning.RECORDED_ON in mapping:
        mapping[Meaning.ISSUED_ON] = mapping.pop(Meaning.RECORDED_ON)  # an invoice is issued when it is made
    return mapping


def _rank(word: str, meaning: Meaning) -> int | None:
    wanted = NAMES[meaning]
    if word in wanted:
        return wanted.index(word)
    if any(against in word for against in AGAINST.get(meaning, ())):
        return None
    inside = [place for place, name in enumerate(wanted) if len(name) >= _SHORT and name in word]
    if inside:
        return _INSIDE + min(inside)
    stems = [place for place, stem in enumerate(STEMS.get(meaning, ())) if stem in word]
    return _STEM + min(stems) if stems and not _LABEL.fullmatch(word) else None


def _holds(sample: Sample, place: int, meaning: Meaning) -> bool:
    """Say whether most of what stands in a column looks like its meaning; a column of blanks may mean anything."""
    shape = _SHAPES.get(meaning)
    if shape is None:
        return True
    cells = [row[place].strip() for row in sample if place < len(row)]
    cells = [cell for cell in cells if cell.lower() not in _BLANKS]
    fitting = sum(1 for cell in cells if shape.fullmatch(cell))
    return 2 * fitting >= len(cells)


def _parse_given(given: Sequence[str], header: Sequence[str]) -> dict[Meaning, str]:
    asked: dict[Meaning, str] = {}
    for pair in given:
        left, mark, name = pair.partition("=")
        if not mark or left.strip() not in set(Meaning):
            message = f"--map {pair} is not MEANING=COLUMN; meanings: {', '.join(Meaning)}"
            raise UsageError(message)
        name = name.strip()
        if name and name not in header:
            message = f"--map {pair}: the file has no column {name!r}; it has: {', '.join(header)}"
            raise UsageError(message)
        asked[Meaning(left.strip())] = name
    return asked

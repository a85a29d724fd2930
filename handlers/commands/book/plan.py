"""What an import will do, found out in one pass over the file: columns, dates, decimal mark, currency, and totals."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cyclopts import Parameter

from handlers.commands.book.amounts import Mark, MarkEvidence, currency_in, is_below_zero
from handlers.commands.book.column_names import AMOUNTS, DATES, NUMBERS, REQUIRED, Meaning
from handlers.commands.book.columns import PRESETS, choose_columns, describe_header, likely_option, proposed
from handlers.commands.book.dates import Order, OrderEvidence
from handlers.commands.book.kinds import RowKind, kind_of, on_credit_side
from handlers.commands.book.reading import Layout, Row, read_layout, rows
from handlers.commands.book.terms import read_terms
from handlers.commands.book.words import is_credit, said
from handlers.terminal.waiting import shown
from models.currencies import unknown_currency
from models.money import Money, exponent
from streams.runtime.errors import UsageError

ISSUED_AT: Final = time(9)  # a date alone means the start of business for what the firm does ...
SETTLED_AT: Final = time(17)  # ... and its end for what the client does; due and paid alike, so on the due date is on time
DEFAULT_TERMS_DAYS: Final = 30
KNOWN_CURRENCIES: Final = frozenset(("EUR", "USD", "GBP", "CHF", "CAD", "AUD", "JPY", "PLN", "SEK", "NOK", "DKK", "INR", "SGD"))
_PAID_WHEN: Final = (Meaning.SETTLED_ON, Meaning.DAYS_TO_SETTLE, Meaning.DAYS_LATE)
_CUT_SHORT: Final = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+")
_SAMPLE: Final = 200  # rows looked at to see what the columns hold
_ACCIDENTS: Final = 20
_TURNED: Final = 9  # amounts below zero for each above among what was paid: so many credit notes nobody writes
_FEW_REPEAT: Final = 0.02  # of the rows: fewer that contradict an earlier row are errors of the book


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person said about the file on the command line; none: find out, or ask."""

    preset: Annotated[Literal["receivables", "ledger"] | None, Parameter(help="A known kind of file instead of a guess.")] = None
    columns: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--map", "--mapping"),
            help="MEANING=COLUMN, as often as needed, e.g. client_id=Customer; the rest is guessed, a blank COLUMN leaves it "
            f"out. Meanings: {', '.join(Meaning)}.",
            consume_multiple=True,
            negative="",
        ),
    ] = ()
    currency: Annotated[str | None, Parameter(help="ISO 4217 code where the file names none.")] = None
    date_order: Annotated[
        Order | None, Parameter(help="Is 3/4 in April (dmy) or in March (mdy)? 24-05-06: does the year stand first (ymd)?")
    ] = None
    decimal: Annotated[Mark | None, Parameter(help="Is 1.234 a thousand (comma) or a little more than one (point)?")] = None
    encoding: Annotated[str | None, Parameter(help="Encoding of the file where the guess is wrong, e.g. cp1252.")] = None
    timezone: Annotated[str, Parameter(help="IANA zone of dates without one.")] = "UTC"
    terms_days: Annotated[int | None, Parameter(name="--terms", help="Days from issue to due date where no column says.")] = None
    source: Annotated[str, Parameter(help="Name of the sender; part of the derived event ids.")] = "import"


@dataclass(frozen=True, slots=True)
class Plan:
    """How every row of one file is to be read. `notes` say what was assumed, for people."""

    layout: Layout
    mapping: dict[Meaning, str]
    places: dict[Meaning, int]
    orders: dict[Meaning, Order | None]
    mark: Mark
    currency: str
    zone: ZoneInfo
    terms_days: int
    source: str
    rows: int
    notes: tuple[str, ...]
    repeated: frozenset[int] = frozenset()
    numbers_repeat: bool = False
    payment_rows: int = 0
    dated_rows: int = 0
    for_figures: bool = False
    turned: bool = False
    """Whether what is owed stands below zero, as in ledgers of what a firm owes or of its liabilities, and is to be turned."""

    def key(self, client_id: str, invoice_id: str) -> int:
        """Return under which number in `repeated` an invoice is known."""
        return _key(client_id, invoice_id)

    @property
    def only_days_late(self) -> bool:
        """Whether days after due are all that the book says about when it was paid."""
        return Meaning.SETTLED_ON not in self.mapping and Meaning.DAYS_TO_SETTLE not in self.mapping

    @property
    def counts_days(self) -> str:
        """The column that counts days, where nothing else says when invoices were paid; else nothing."""
        counted = [self.mapping[meaning] for meaning in NUMBERS if meaning in self.mapping]
        return counted[0] if counted and Meaning.SETTLED_ON not in self.mapping else ""

    @property
    def dates_payments(self) -> bool:
        """Whether the book says when invoices were paid."""
        return any(meaning in self.mapping for meaning in _PAID_WHEN) or self.payment_rows > 0


@dataclass(slots=True)
class _Survey:
    rows: int = 0
    issued: dict[int, str] = field(default_factory=dict)
    repeated: set[int] = field(default_factory=set)
    elsewhere: int = 0
    payment_rows: int = 0
    credit_rows: int = 0
    dated_rows: int = 0
    below_zero: int = 0
    unnamed: int = 0
    without_terms: int = 0
    unread_terms: str = ""
    orders: dict[Meaning, OrderEvidence] = field(default_factory=dict)
    mark: MarkEvidence = field(default_factory=MarkEvidence)
    currencies: set[str] = field(default_factory=set)


def make_plan(path: Path, *, asked: Asked, home_currency: str, for_figures: bool = False) -> Plan:
    """Read the whole file once and return how to import it; raise UsageError with the option that answers what is unclear.

    `home_currency` is the firm's own, taken where neither a column, nor an amount, nor the person names one. What is read only
    `for_figures` may lack amounts (each invoice then counts as one unit), and amounts with too many decimals are rounded.
    """
    layout = read_layout(path, encoding=asked.encoding)
    sample = [row.cells for row in islice(rows(layout), _SAMPLE)]
    required = [meaning for meaning in REQUIRED if not (for_figures and meaning is Meaning.AMOUNT)]
    mapping = choose_columns(layout.header, preset=asked.preset, given=asked.columns, sample=sample, required=required)
    places = {meaning: layout.header.index(name) for meaning, name in mapping.items()}
    _check_ids(mapping, places, sample)
    survey = _look(layout, places)
    if survey.rows == 0:
        message = f"{path} has a header but no rows; there is nothing to import"
        raise UsageError(message)
    if not survey.dated_rows and Meaning.KIND not in mapping:
        survey.payment_rows += survey.credit_rows
    notes: list[str] = []
    numbers_repeat = survey.elsewhere > max(_ACCIDENTS, _FEW_REPEAT * survey.rows)
    if numbers_repeat:
        notes.append(f"{mapping[Meaning.INVOICE_ID]!r} repeats with other dates; number and date together name an invoice")
    if layout.above:
        notes.append(f"{layout.above} lines above the header are left out")
    currency = _currency(survey, mapping, asked.currency, home_currency, notes)
    if Meaning.AMOUNT not in mapping:
        perhaps = likely_option(Meaning.AMOUNT, mapping, layout.header, sample)
        notes.append(f"no amounts in the file: every invoice counts as {unit_of(currency)}{perhaps and f'; perhaps: {perhaps}'}")
    below = survey.below_zero > max(_ACCIDENTS, _TURNED * (survey.dated_rows - survey.below_zero))
    if below and for_figures:
        notes.append(f"{survey.below_zero:,} of {survey.dated_rows:,} amounts with a payment are below zero: the sign is turned")
    elif below:
        notes.append("most amounts are below zero: credit notes, which nobody owes; export the book with the sign turned")
    dated = any(meaning in mapping for meaning in _PAID_WHEN) or survey.payment_rows > 0
    if not dated and any(meaning in mapping for meaning in (Meaning.SETTLED, Meaning.OUTSTANDING, Meaning.STATUS)):
        notes.append("no dates of payment in the file: what is settled counts as paid on its due date")
    order_asked = asked.date_order or (PRESETS[asked.preset].date_order if asked.preset else None)
    return Plan(
        layout=layout,
        mapping=mapping,
        places=places,
        orders=_orders(survey, mapping, order_asked, notes),
        mark=_mark(survey, asked.decimal, currency),
        currency=currency,
        zone=_zone(asked.timezone),
        terms_days=_terms(
            mapping, asked.terms_days, notes, survey, perhaps=likely_option(Meaning.DUE_ON, mapping, layout.header, sample)
        ),
        source=asked.source,
        rows=survey.rows,
        notes=tuple(notes),
        repeated=frozenset() if numbers_repeat else frozenset(survey.repeated),
        numbers_repeat=numbers_repeat,
        payment_rows=survey.payment_rows,
        dated_rows=survey.dated_rows,
        for_figures=for_figures,
        turned=below and for_figures,
    )


def _check_ids(mapping: dict[Meaning, str], places: dict[Meaning, int], sample: Sequence[Sequence[str]]) -> None:
    for meaning in (Meaning.CLIENT_ID, Meaning.INVOICE_ID):
        place = places.get(meaning, sys.maxsize)
        cut = next((row[place] for row in sample if place < len(row) and _CUT_SHORT.fullmatch(row[place].strip())), None)
        if cut is not None:
            message = (
                f"column {mapping[meaning]!r} holds {cut}: a spreadsheet cut long numbers short, and different ones became the "
                f"same; export it anew with that column as text, or say --map {meaning}=COLUMN (blank: none)"
            )
            raise UsageError(message)


def likely_columns(plan: Plan) -> str:
    """Return for people the columns of a file with what stands in them, and what those without a meaning could be."""
    sample = [row.cells for row in islice(rows(plan.layout), _SAMPLE)]
    return f"columns: {describe_header(plan.layout.header, sample)}{proposed(plan.mapping, plan.layout.header, sample)}"


def unit_of(currency: str) -> Money:
    """Return one unit of a currency."""
    return Money(10 ** exponent(currency), currency)


def _look(layout: Layout, places: dict[Meaning, int]) -> _Survey:
    survey = _Survey(orders={meaning: OrderEvidence() for meaning in DATES if meaning in places})
    for row in shown(rows(layout), "looking at the book"):
        survey.rows += 1
        _count(survey, row, places)
        for meaning, evidence in survey.orders.items():
            if places[meaning] < len(row.cells):
                evidence.see(row.cells[places[meaning]])
        for meaning in AMOUNTS:
            place = places.get(meaning)
            if place is not None and place < len(row.cells):
                survey.mark.see(row.cells[place])
                if named := currency_in(row.cells[place]):
                    survey.currencies.add(named)
                elif meaning is Meaning.AMOUNT and row.cells[place].strip():
                    survey.unnamed += 1
    return survey


def _count(survey: _Survey, row: Row, places: dict[Meaning, int]) -> None:
    """Note invoice numbers that repeat, payments in rows of their own, and invoices with a date of payment."""

    def cell(meaning: Meaning) -> str:
        place = places.get(meaning)
        return said(row.cells[place], meaning) if place is not None and place < len(row.cells) else ""

    kind = kind_of(cell(Meaning.KIND))
    if kind is RowKind.PAYMENT:
        survey.payment_rows += 1
        return
    if on_credit_side(cell(Meaning.SIDE)) or is_credit(cell(Meaning.AMOUNT), cell(Meaning.CREDIT)):
        survey.credit_rows += 1
        return
    dated = any(map(cell, _PAID_WHEN))
    survey.dated_rows += dated
    survey.below_zero += dated and kind is RowKind.INVOICE and is_below_zero(cell(Meaning.AMOUNT))
    says_when = Meaning.DUE_ON in places or Meaning.TERMS_DAYS in places
    if says_when and not cell(Meaning.DUE_ON) and read_terms(cell(Meaning.TERMS_DAYS)) is None:
        survey.without_terms += 1
        survey.unread_terms = survey.unread_terms or cell(Meaning.TERMS_DAYS)
    if number := cell(Meaning.INVOICE_ID):
        key, issued = _key(cell(Meaning.CLIENT_ID), number.removesuffix(".0")), cell(Meaning.ISSUED_ON)
        first = survey.issued.get(key)
        if first is None:
            survey.issued[key] = issued
        else:
            survey.repeated.add(key)
            survey.elsewhere += first != issued


def _key(client_id: str, invoice_id: str) -> int:
    return hash((client_id, invoice_id))


def _orders(survey: _Survey, mapping: dict[Meaning, str], asked: Order | None, notes: list[str]) -> dict[Meaning, Order | None]:
    decided = {evidence.order for evidence in survey.orders.values()} - {None}
    shared = next(iter(decided)) if len(decided) == 1 else None
    orders: dict[Meaning, Order | None] = {}
    for meaning, evidence in survey.orders.items():
        name = mapping[meaning]
        order = asked or evidence.order or shared
        if evidence.dmy and evidence.mdy and asked is None:
            message = (
                f"column {name!r} mixes day/month and month/day; say --date-order dmy, mdy or ymd, the other lines are rejected"
            )
            raise UsageError(message)
        if order is None and evidence.doubtful is not None:
            message = f"column {name!r} could be day/month or month/day ({evidence.doubtful}); say --date-order dmy or mdy"
            raise UsageError(message)
        if asked is None and evidence.order is None and evidence.doubtful is not None and shared is not None:
            notes.append(f"dates in {name!r} are read as {shared}, because another column of the file is")
        orders[meaning] = order
    return orders


def _mark(survey: _Survey, asked: Mark | None, currency: str) -> Mark:
    evidence = survey.mark
    mark = asked or evidence.mark
    if mark is not None:
        return mark
    if evidence.doubtful is not None and not any(map(exponent, survey.currencies or {currency})):
        return "point" if "," in evidence.doubtful else "comma"  # money without decimals: it can only be thousands
    if evidence.point and evidence.comma:
        message = "some amounts have a decimal point and some a decimal comma; say --decimal point or comma"
        raise UsageError(message)
    if evidence.doubtful is not None:
        message = f"{evidence.doubtful!r} could have thousands or decimals; say --decimal point or comma"
        raise UsageError(message)
    return "point"  # whole numbers only: it makes no difference


def _currency(survey: _Survey, mapping: dict[Meaning, str], asked: str | None, home: str, notes: list[str]) -> str:
    if asked is not None:
        if (objection := unknown_currency(asked)) is not None:
            message = f"--currency: {objection}"
            raise UsageError(message)
        return asked
    if len(survey.currencies) == 1:
        return next(iter(survey.currencies))
    if len(survey.currencies) > 1 and Meaning.CURRENCY not in mapping:
        found = ", ".join(sorted(survey.currencies))
        if survey.unnamed:
            message = f"some amounts name a currency ({found}) and some none; say which those are in: --currency"
            raise UsageError(message)
        notes.append(f"the amounts name several currencies ({found}); each is kept apart")
    elif Meaning.CURRENCY not in mapping and (named := _named_in(mapping.get(Meaning.AMOUNT, "").upper())) in KNOWN_CURRENCIES:
        notes.append(f"{mapping[Meaning.AMOUNT]!r} names {named}")
        return str(named)
    elif Meaning.CURRENCY not in mapping:
        notes.append(f"no currency is named in the file: {home} assumed, the firm's own; change it with --currency")
    return home


def _named_in(title: str) -> str | None:
    """Return the currency that the name of a column names: of several words of three letters, one that is known."""
    return next((word for word in re.findall(r"[A-Z]{3,}", title) if word in KNOWN_CURRENCIES), currency_in(title))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        message = f"--timezone {name} is not an IANA zone such as Europe/Berlin"
        raise UsageError(message) from error


def _terms(mapping: dict[Meaning, str], asked: int | None, notes: list[str], survey: _Survey, *, perhaps: str) -> int:
    if asked is not None and asked < 0:
        message = f"--terms {asked} is negative; give the days from issue to due date"
        raise UsageError(message)
    if asked is None and Meaning.DUE_ON not in mapping and Meaning.TERMS_DAYS not in mapping:
        which = perhaps and f", or say which column it is (perhaps: {perhaps})"
        notes.append(f"no due date in the file: {DEFAULT_TERMS_DAYS} days after issue assumed; change it with --terms{which}")
    days = DEFAULT_TERMS_DAYS if asked is None else asked
    if survey.without_terms:
        named = survey.unread_terms and f" ({survey.unread_terms!r})"
        rows = "1 row has" if survey.without_terms == 1 else f"{survey.without_terms:,} rows have"
        notes.append(
            f"{rows} neither a due date nor terms in days{named}: {days} days after issue assumed; change it with --terms"
        )
    if Meaning.ISSUED_ON not in mapping:
        notes.append(f"no issue date in the file: {days} days before the due date assumed; change it with --terms")
    return days

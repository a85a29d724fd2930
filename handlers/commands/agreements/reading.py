"""Reads a CSV of contracts: dates, amounts and outcomes as people write them, every row that cannot be read with its reason."""

from dataclasses import dataclass, field
from datetime import UTC, time
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from handlers.commands.agreements.columns import Field, choose_fields, read_yes
from handlers.commands.book.amounts import Mark, MarkEvidence, currency_in, read_amount
from handlers.commands.book.dates import Order, OrderEvidence, read_moment
from handlers.commands.book.reading import Layout, Row, read_layout, rows
from models.money import exponent
from models.workdays import DAY_MS
from streams.runtime.errors import UsageError

_ZONE: Final = ZoneInfo("UTC")
_FIRST_REASONS: Final = 3


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class AskedContracts:
    """What the person said about the file on the command line."""

    columns: Annotated[
        tuple[str, ...],
        Parameter(name="--map", help="MEANING=COLUMN, as often as needed.", consume_multiple=True, negative=""),
    ] = ()  # fmt: skip
    period_days: Annotated[
        int | None, Parameter(name="--period", help="Days of a period, where a row is a whole contract and END the day it ended.")
    ] = None
    currency: Annotated[str | None, Parameter(help="ISO 4217 code where the file names none.")] = None
    date_order: Annotated[Order | None, Parameter(help="Is 3/4 in April (dmy) or in March (mdy)?")] = None
    decimal: Annotated[Mark | None, Parameter(help="Is 1.234 a thousand (comma) or a little more than one (point)?")] = None
    encoding: Annotated[str | None, Parameter(help="Encoding of the file where the guess is wrong, e.g. cp1252.")] = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One row: days since 1970-01-01, price in minor units; None where the file says nothing. `cost` is in whole units."""

    client: str
    contract: str
    kind: str
    start: int
    end: int | None
    minor: int
    currency: str
    renewed: bool | None = None
    raised: bool | None = None
    segment: str = ""
    cost: int | None = None


@dataclass(slots=True)
class Agreements:
    """A whole file: its rows, what each column was taken for, and what could not be read."""

    rows: list[Agreement] = field(default_factory=list)
    mapping: dict[Field, str] = field(default_factory=dict)
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Plan:
    places: dict[Field, int]
    orders: dict[Field, Order | None]
    mark: Mark
    currency: str


def read_agreements(path: Path, *, asked: AskedContracts, home_currency: str) -> Agreements:
    """Return the rows of a file of contracts; raise UsageError with the option that answers what is unclear."""
    layout = read_layout(path, encoding=asked.encoding)
    found = Agreements(mapping=choose_fields(layout.header, asked.columns))
    plan = _plan(layout, found, asked, home_currency)
    for row in rows(layout):
        try:
            found.rows.append(_agreement(row, plan))
        except ValueError as error:
            found.rejected += 1
            if len(found.reasons) < _FIRST_REASONS:
                found.reasons.append(f"line {row.line}: {error}")
    if not found.rows:
        why = f": {found.reasons[0]}" if found.reasons else ""
        message = f"{path.name} has no row that can be read{why}"
        raise UsageError(message)
    return found


def _plan(layout: Layout, found: Agreements, asked: AskedContracts, home: str) -> _Plan:
    places = {meaning: layout.header.index(name) for meaning, name in found.mapping.items()}
    dates = {meaning: OrderEvidence() for meaning in (Field.START, Field.END)}
    marks, currencies = MarkEvidence(), set()
    for row in rows(layout):
        for meaning, evidence in dates.items():
            evidence.see(_cell(row, places, meaning))
        amount = _cell(row, places, Field.AMOUNT)
        marks.see(amount)
        if named := currency_in(amount):
            currencies.add(named)
    decided = {evidence.order for evidence in dates.values()} - {None}
    shared = next(iter(decided)) if len(decided) == 1 else None
    orders = {meaning: asked.date_order or evidence.order or shared for meaning, evidence in dates.items()}
    for meaning, evidence in dates.items():
        if orders[meaning] is None and evidence.doubtful:
            message = f"column {found.mapping[meaning]!r} could be day/month or month/day ({evidence.doubtful}); say --date-order"
            raise UsageError(message)
    if not (asked.decimal or marks.mark) and marks.doubtful:
        message = f"{marks.doubtful!r} could have thousands or decimals; say --decimal point or comma"
        raise UsageError(message)
    currency = asked.currency or (next(iter(currencies)) if len(currencies) == 1 else home)
    if not asked.currency and not currencies and Field.CURRENCY not in places:
        found.notes.append(f"no currency is named in the file: {home} assumed; change it with --currency")
    return _Plan(places, orders, asked.decimal or marks.mark or "point", currency)


def _agreement(row: Row, plan: _Plan) -> Agreement:
    client = _cell(row, plan.places, Field.CLIENT)
    start = _day(row, plan, Field.START)
    if not client or start is None:
        message = "no client" if not client else "no start"
        raise ValueError(message)
    end = _day(row, plan, Field.END)
    if end is not None and end <= start:
        message = "the end is not after the start"
        raise ValueError(message)
    currency = (
        _cell(row, plan.places, Field.CURRENCY).upper() or currency_in(_cell(row, plan.places, Field.AMOUNT)) or plan.currency
    )
    amount = read_amount(_cell(row, plan.places, Field.AMOUNT), currency=currency, mark=plan.mark)
    if amount is None or amount.minor <= 0:
        message = "no amount above zero"
        raise ValueError(message)
    cost = read_amount(_cell(row, plan.places, Field.COST), currency=currency, mark=plan.mark)
    return Agreement(
        client=client,
        contract=_cell(row, plan.places, Field.CONTRACT),
        kind=_cell(row, plan.places, Field.TYPE) or "contract",
        start=start,
        end=end,
        minor=amount.minor,
        currency=currency,
        renewed=read_yes(_cell(row, plan.places, Field.RENEWED)),
        raised=read_yes(_cell(row, plan.places, Field.RAISED)),
        segment=_cell(row, plan.places, Field.SEGMENT),
        cost=None if cost is None else cost.minor // 10 ** exponent(currency),
    )


def _day(row: Row, plan: _Plan, meaning: Field) -> int | None:
    moment = read_moment(_cell(row, plan.places, meaning), order=plan.orders[meaning], zone=_ZONE, at=time(0))
    return None if moment is None else int(moment.astimezone(UTC).timestamp() * 1000) // DAY_MS


def _cell(row: Row, places: dict[Field, int], meaning: Field) -> str:
    place = places.get(meaning)
    return row.cells[place].strip() if place is not None and place < len(row.cells) else ""

"""Rows of contracts as periods, and periods as the contract records that a firm would have sent, each when it was known.

Two kinds of file. A row is a **period**: END is its renewal date, and RENEWED, or a later row of the same contract, says how it
ended. Or a row is a whole **contract**: END is the day it ended (blank: it runs), and `--period` says how often it renewed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from handlers.commands.agreements.columns import Field
from handlers.commands.agreements.reading import Agreement, Agreements
from models.events.invoices import ContractRecorded, ContractStatus
from models.learners.renewal_questions import GRACE_DAYS, RAISED
from models.money import Money
from models.workdays import DAY_MS, moment
from streams.runtime.errors import UsageError

_GAP: Final = 60  # days without a contract after which it is another one
_OVERLAP: Final = 15  # days by which a renewal may begin before its period ends
_HOUR: Final = 8
_MONTHS: Final = {30: 1, 31: 1, 90: 3, 91: 3, 92: 3, 180: 6, 182: 6, 183: 6, 365: 12, 366: 12}  # days that mean calendar months


@dataclass(frozen=True, slots=True)
class Span:
    """One period: days since 1970-01-01, its price, and how it ended; `renewed` None: not known by the end of the file."""

    client: str
    contract: str
    kind: str
    start: int
    end: int
    minor: int
    currency: str
    renewed: bool | None
    after: int = 0
    known: int = 0


@dataclass(slots=True)
class ContractHistory:
    """A file as the program reads it: periods by contract, the events, and periods of whose end nothing is known."""

    spans: dict[str, list[Span]] = field(default_factory=dict)
    events: list[ContractRecorded] = field(default_factory=list)
    unknown: set[tuple[str, int]] = field(default_factory=set)
    last_day: int = 0


def contract_history(found: Agreements, *, period_days: int | None) -> ContractHistory:
    """Return the history of a file. UsageError when it does not say whether contracts were renewed."""
    by_contract: defaultdict[str, list[Agreement]] = defaultdict(list)
    for row in sorted(found.rows, key=lambda row: (row.start, row.end or 0)):
        by_contract[f"{row.client}/{row.contract or row.kind}"].append(row)
    whole = Field.RENEWED not in found.mapping and period_days is not None
    told = Field.RENEWED in found.mapping or any(len(rows) > 1 for rows in by_contract.values())
    if not whole and not told:
        message = (
            "no row says whether a contract was renewed, and no contract has a second row; say --map renewed=COLUMN, "
            "or --period DAYS when a row is a whole contract and END the day it ended"
        )
        raise UsageError(message)
    history = ContractHistory(last_day=_last_day(found.rows, whole=whole))
    for name, rows in by_contract.items():
        for spans in _contracts(name, rows, history.last_day, period_days if whole else None):
            history.spans[spans[0].contract] = spans
            history.events += _records(spans)
            history.unknown |= {(row.contract, row.end) for row in spans if row.renewed is None}
    history.events.sort(key=lambda event: (event.received_ms, event.event_id))
    return history


def _last_day(rows: Sequence[Agreement], *, whole: bool) -> int:
    """Return the last day of which the file speaks: ends ahead of it are plans."""
    known = [row.start for row in rows]
    known += [row.end for row in rows if row.end is not None and (whole or row.renewed is not None)]
    return max(known)


def _contracts(name: str, rows: list[Agreement], last_day: int, period_days: int | None) -> Iterator[list[Span]]:
    if period_days is not None:
        for place, row in enumerate(rows):
            yield list(_unrolled(f"{name}#{place}" if place else name, row, period_days, last_day))
        return
    run: list[Agreement] = []
    place = 0
    for row in rows:
        if run and not -_OVERLAP <= row.start - (run[-1].end or row.start) <= _GAP:
            yield _chained(f"{name}#{place}" if place else name, run, last_day)
            run, place = [], place + 1
        run.append(row)
    yield _chained(f"{name}#{place}" if place else name, run, last_day)


def _chained(name: str, rows: list[Agreement], last_day: int) -> list[Span]:
    """Return rows that follow on each other as periods of one contract."""
    found = []
    for place, row in enumerate(rows):
        later = rows[place + 1] if place + 1 < len(rows) else None
        end = row.end if row.end is not None else later.start if later else last_day + GRACE_DAYS
        renewed, after, known = row.renewed, row.minor, end
        if later is not None:
            renewed, after, known = True, later.minor, later.start
        elif renewed is None and end + GRACE_DAYS < last_day:
            renewed = False if row.end is not None else None
        if renewed and row.raised and later is None:
            after = round(row.minor * (RAISED + 0.1))
        found.append(
            Span(row.client, name, row.kind, row.start, end, row.minor, row.currency, renewed, after if renewed else 0, known)
        )
    return found


def _unrolled(name: str, row: Agreement, period_days: int, last_day: int) -> Iterator[Span]:
    """Yield the periods of a contract that renewed until it ended."""
    start, count = row.start, 1
    slack = max(1, period_days // 10)
    while start <= last_day:
        end = _after(row.start, period_days, count)
        over = row.end is not None and row.end <= end + slack
        renewed = False if over else True if end <= last_day else None
        known = row.end if over and row.end is not None else end
        yield Span(row.client, name, row.kind, start, end, row.minor, row.currency, renewed, row.minor if renewed else 0, known)
        if not renewed:
            return
        start, count = end, count + 1


def _after(day: int, period_days: int, count: int) -> int:
    months = _MONTHS.get(period_days)
    if months is None:
        return day + period_days * count
    date = moment(day * DAY_MS)
    year, month = divmod(date.year * 12 + date.month - 1 + months * count, 12)
    first = datetime(year, month + 1, 1, tzinfo=UTC)
    following = datetime(year + (month == 11), (month + 1) % 12 + 1, 1, tzinfo=UTC)  # noqa: PLR2004 - December is followed by January
    return int((first + timedelta(days=min(date.day, (following - first).days) - 1)).timestamp()) // (DAY_MS // 1000)


def _records(spans: list[Span]) -> Iterator[ContractRecorded]:
    first = spans[0]
    yield _record(first, "begins", first.start, started=first.start, renews=first.end, minor=first.minor)
    for place, row in enumerate(spans):
        if row.renewed:
            following = spans[place + 1] if place + 1 < len(spans) else None
            renews = following.end if following else 2 * row.end - row.start
            yield _record(row, f"renewed-{place}", row.known, started=first.start, renews=renews, minor=row.after)
        elif row.renewed is False:
            yield _record(row, f"ended-{place}", row.known, started=first.start, renews=None, minor=row.minor)


def _record(row: Span, what: str, day: int, *, started: int, renews: int | None, minor: int) -> ContractRecorded:
    at = moment(day * DAY_MS + _HOUR * 3_600_000)
    return ContractRecorded(
        event_id=f"{row.contract}-{what}",
        source="contracts",
        client_id=row.client,
        occurred_at=at,
        received_at=at,
        contract_id=row.contract,
        status=ContractStatus.ENDED if renews is None else ContractStatus.ACTIVE,
        contract_type=row.kind,
        started_at=moment(started * DAY_MS),
        renews_at=None if renews is None else moment(renews * DAY_MS),
        amount=Money(minor, row.currency),
    )

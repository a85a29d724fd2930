"""Who moved between segments in a quarter: from where, to where, why, how sure, and the money involved."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from models.money import Money
from models.triggers import Decision, DecisionOutcome, SegmentChange
from streams.runtime.errors import UsageError

_HOW: Final = (
    "A client moves when the rules have said the same for weeks and a filter over days late agrees; each move below says why. "
    "Those who pay later than before come first, the largest open sum on top."
)
SEGMENTS: Final = ("new", "reliable", "slow", "problem")
_WORSE: Final = {name: place for place, name in enumerate(SEGMENTS[1:])}
_STYLE: Final = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.3rem .8rem;text-align:left}
td,th{border-bottom:1px solid #ddd;vertical-align:top}
td.number{text-align:right;white-space:nowrap}.worse{color:#a31}.better{color:#275}small{color:#666}"""


@dataclass(frozen=True, slots=True)
class Quarter:
    """Three months of a year, by UTC."""

    year: int
    number: int

    @property
    def name(self) -> str:
        """As in 2026Q1."""
        return f"{self.year}Q{self.number}"

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Its first moment and the first after it."""
        month = 3 * self.number - 2
        after = (self.year + 1, 1) if month + 3 > 12 else (self.year, month + 3)  # noqa: PLR2004 (months of a year)
        return datetime(self.year, month, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC)


def quarter_of(moment: datetime) -> Quarter:
    """Return the quarter of a moment."""
    return Quarter(moment.year, (moment.month + 2) // 3)


def read_quarter(text: str) -> Quarter:
    """Return the quarter written as 2026Q1; raises UsageError for anything else."""
    year, mark, number = text.upper().partition("Q")
    if mark and year.isdecimal() and len(year) == len("2026") and number in {"1", "2", "3", "4"}:
        return Quarter(int(year), int(number))
    message = f"{text!r} is no quarter; write for example 2026Q1"
    raise UsageError(message)


@dataclass(frozen=True, slots=True)
class Mover:
    """One client over a quarter: where it stood before the first move and after the last one."""

    client_id: str
    before: str
    after: str
    moves: tuple[Decision, ...]

    @property
    def last(self) -> SegmentChange:
        """The latest move."""
        return _change(self.moves[-1])

    @property
    def direction(self) -> str:
        """`worse`, `better`, `back` where it stands as before, `first` where it was new."""
        if self.before == self.after:
            return "back"
        if "new" in {self.before, self.after}:
            return "first"
        return "worse" if _WORSE[self.after] > _WORSE[self.before] else "better"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "client_id": self.client_id,
            "from": self.before,
            "to": self.after,
            "direction": self.direction,
            "moves": [
                {"at": row.decided_at.isoformat(), **_change(row).model_dump(mode="json", exclude_none=True)}
                for row in self.moves
            ],
        }


@dataclass(frozen=True, slots=True)
class Movers:
    """Everybody who moved in a quarter, those who got worse first, by the money that is open."""

    quarter: Quarter
    rows: tuple[Mover, ...]

    def table(self) -> list[tuple[str, str, int]]:
        """Return (from, to, clients) for each move that happened."""
        counts = Counter((row.before, row.after) for row in self.rows)
        return [(*pair, counts[pair]) for pair in sorted(counts, key=lambda pair: tuple(map(SEGMENTS.index, pair)))]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        names = ("from", "to", "clients")
        return {
            "quarter": self.quarter.name,
            "moves": [dict(zip(names, row, strict=True)) for row in self.table()],
            "clients": [row.as_json() for row in self.rows],
        }


def movers(decisions: Iterable[Decision], *, quarter: Quarter | None) -> Movers | None:
    """Return the movers of `quarter`, of the latest with a move where none is named; None when nobody ever moved."""
    made = (row for row in decisions if row.outcome is DecisionOutcome.SEGMENT_CHANGED)
    moves = sorted(made, key=lambda row: (row.decided_at, row.client_id))
    if not moves and quarter is None:
        return None
    chosen = quarter or quarter_of(moves[-1].decided_at)
    first, after = chosen.bounds
    by_client: dict[str, list[Decision]] = {}
    for row in moves:
        if first <= row.decided_at < after:
            by_client.setdefault(row.client_id, []).append(row)
    rows = [Mover(client, _change(own[0]).before, _change(own[-1]).after, tuple(own)) for client, own in by_client.items()]
    order = ("worse", "better", "back", "first")
    rows.sort(key=lambda row: (order.index(row.direction), -sum(money.minor for money in row.last.open), row.client_id))
    return Movers(chosen, tuple(rows))


def tell(found: Movers) -> Iterator[str]:
    """Yield the movers for people."""
    yield f"{found.quarter.name}: {len(found.rows):,} clients moved"
    for before, after, count in found.table():
        yield f"  {before:9} -> {after:9} {count:>6,}"
    for row in found.rows:
        if row.direction == "first":
            continue
        change = row.last
        times = f", {len(row.moves)} moves" if len(row.moves) > 1 else ""
        yield f"{row.moves[-1].decided_at:%Y-%m-%d} {row.client_id}: {row.before} -> {row.after} ({row.direction}{times})"
        yield f"    {change.cause}; {_sure(change)}; {_money(change)}"
    first = sum(row.direction == "first" for row in found.rows)
    if first:
        yield f"{first:,} were new and are told apart now; all with --json"


def page(found: Movers, *, source: str) -> str:
    """Return the report as one HTML page. The same movers always give the same text."""
    title = f"Who moved between segments, {found.quarter.name}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
        f"<p>{len(found.rows):,} clients moved, told from {escape(source)}. {_HOW}</p>",
        "<table><tr><th>from<th>to<th>clients",
        *(f"<tr><td>{before}<td>{after}<td class=number>{count:,}" for before, after, count in found.table()),
        "</table>",
    ]
    for direction, words in (
        ("worse", "Pay later than before"),
        ("better", "Pay sooner than before"),
        ("back", "Moved and came back"),
        ("first", "Were new, are told apart now"),
    ):
        parts += _section(words, direction, [row for row in found.rows if row.direction == direction])
    return "\n".join(parts) + "</html>\n"


def _section(words: str, direction: str, rows: Sequence[Mover]) -> Iterator[str]:
    if not rows:
        return
    yield f"<h2 class={direction}>{words}: {len(rows):,}</h2>"
    yield "<table><tr><th>client<th>from<th>to<th>on<th>why<th>how sure<th>open<th>received in 13 months"
    for row in rows:
        change = row.last
        sure = "" if change.certainty is None else f"{change.certainty:.0%}"
        why = "<br>".join(f"{escape(_change(move).cause)}" for move in row.moves)
        yield (
            f"<tr><td>{escape(row.client_id)}<td>{row.before}<td>{row.after}<td>{row.moves[-1].decided_at:%Y-%m-%d}<td>{why}"
            f"<td class=number>{sure}<td class=number>{_sums(change.open)}<td class=number>{change.received or ''}"
        )
    yield "</table>"


def _change(decision: Decision) -> SegmentChange:
    if decision.change is None:
        message = "a decision without a move is none of the movers"
        raise TypeError(message)
    return decision.change


def _sure(change: SegmentChange) -> str:
    return "the filter was not asked" if change.certainty is None else f"{change.certainty:.0%} sure"


def _money(change: SegmentChange) -> str:
    received = f"{change.received} received in 13 months" if change.received else "nothing received in 13 months"
    return f"{_sums(change.open) or 'nothing'} open, {received}"


def _sums(amounts: Sequence[Money]) -> str:
    return ", ".join(map(str, amounts))

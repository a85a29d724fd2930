"""How far a book knows what came of its invoices: found out, overruled by the person, and what is left out because of it."""

from array import array
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from handlers.commands.book.bills import Bill
from handlers.commands.book.kinds import RowKind
from handlers.commands.book.plan import Asked
from streams.runtime.errors import UsageError

if TYPE_CHECKING:
    from handlers.commands.book.withheld import Edge, End


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class AskedToJudge(Asked):
    """The same of a file by which something is judged, and how far it knows outcomes; nothing said: find out."""

    outcomes_until: Annotated[
        datetime | None, Parameter(help="Last day of which payments are known; the history of a CSV ends with it.")
    ] = None
    withheld_from: Annotated[
        datetime | None, Parameter(help="Leave out what a CSV says was issued from this day on, as its outcome is not known.")
    ] = None
    blank_is_unpaid: Annotated[
        bool, Parameter(name="--blank-is-unpaid", negative=(), help="In a CSV, what has no payment is unpaid, to the last row.")
    ] = False


@dataclass(frozen=True, slots=True)
class Horizon:
    """What of a book is told: what arrived before `end`, of what was issued (or entered) before `first`. `said` is for people."""

    end: datetime | None = None
    first: datetime | None = None
    by_entry: bool = False
    said: tuple[str, ...] = ()

    def of(self, bill: Bill) -> Bill | None:
        """Return a bill as far as it is told; none: it is left out."""
        if self.end is None and self.first is None:
            return bill
        began = bill.received_at if self.by_entry else bill.issued_at
        if bill.kind is not RowKind.PAYMENT and self.first is not None and began >= self.first:
            return None
        if self.end is None:
            return bill
        if bill.received_at >= self.end:
            return None
        return replace(bill, paid=tuple(part for part in bill.paid if part.at < self.end))


WHOLE: Final = Horizon()
"""All of the book is told: what has no payment is unpaid."""


@dataclass(slots=True)
class Outcomes:
    """The invoices of a book as days: when issued, entered, due, paid first and last (0: never), and the number of the client."""

    clients: dict[str, int] = field(default_factory=dict)
    columns: tuple["array[int]", ...] = field(default_factory=lambda: tuple(array("i") for _ in range(6)))

    def add(self, bill: Bill, zone: tzinfo) -> None:
        """Take note of what a row says; of credit notes nothing."""
        if bill.amount.minor <= 0:
            return
        moments = (bill.issued_at, bill.received_at, bill.due_at, *((bill.paid[0].at, bill.paid[-1].at) if bill.paid else ()))
        days = [moment.astimezone(zone).toordinal() for moment in moments]
        row = (self.clients.setdefault(bill.client_id, len(self.clients)), *days, *((0, 0) if not bill.paid else ()))
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)


def overruled(asked: Asked, zone: tzinfo) -> Horizon | None:
    """Return what the person said of it; none: nothing. UsageError where two of it contradict each other."""
    if not isinstance(asked, AskedToJudge):
        return None
    until, first = (moment and moment.date() for moment in (asked.outcomes_until, asked.withheld_from))
    if asked.blank_is_unpaid:
        if until or first:
            message = "--blank-is-unpaid says that all is known, --outcomes-until and --withheld-from that it is not: say one"
            raise UsageError(message)
        return WHOLE
    if until is None and first is None:
        return None
    said = [f"payments are known until {until}, as you say: the history ends with that day"] if until else []
    said += [f"of what was issued from {first} on nothing is known, as you say"] if first else []
    return Horizon(
        _start(until + timedelta(days=1), zone) if until else None, _start(first, zone) if first else None, said=tuple(said)
    )


def refuse_for_logs(asked: Asked) -> None:
    """Raise UsageError where something that only a book can lack was said of a history of another kind."""
    if overruled(asked, UTC) is not None:
        message = "--outcomes-until, --withheld-from and --blank-is-unpaid are said of a CSV; a log tells all that had arrived"
        raise UsageError(message)


def look(outcomes: Outcomes, zone: tzinfo) -> Horizon:
    """Return how far a book seems to know outcomes, and in words what was found."""
    from handlers.commands.book.withheld import find, known  # so that numpy is loaded with a book, not with every command

    edge, end = find(*known(outcomes.columns))
    said = [*([_said_of_edge(edge)] if edge else []), *([_said_of_end(end)] if end else [])]
    return Horizon(
        end=_start(date.fromordinal(end.day + 1), zone) if end else None,
        first=_start(date.fromordinal(edge.day), zone) if edge else None,
        by_entry=edge is not None and edge.by_entry,
        said=tuple(said),
    )


def _said_of_edge(edge: "Edge") -> str:
    some = f"all but {edge.paid:,} of {edge.invoices:,}" if edge.paid else f"{edge.invoices:,}"
    how = "entered" if edge.by_entry else "issued"
    return (
        f"{some} invoices {how} from {date.fromordinal(edge.day)} on have no payment, though "
        f"money for earlier ones arrives until {date.fromordinal(edge.money_until)}: what came of them is not in this file"
    )


def _said_of_end(end: "End") -> str:
    more = "1 invoice was" if end.invoices == 1 else f"{end.invoices:,} invoices were"
    return (
        f"payments end on {date.fromordinal(end.day)}, though {more} issued after it, until "
        f"{date.fromordinal(end.listed_until)}: what was paid since is not in this file"
    )


def _start(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)

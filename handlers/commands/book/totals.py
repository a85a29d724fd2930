"""What a book adds up to, per currency, and the file of rejected rows with their reasons."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from handlers.commands.book.bills import Rejection
from handlers.commands.book.column_names import Meaning
from handlers.commands.book.horizon import WHOLE, Horizon, Outcomes
from handlers.commands.book.plan import Plan
from handlers.commands.book.rows import BookReader
from handlers.terminal.waiting import shown
from models.events.invoices import CreditNoteIssued, InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import UsageError

if TYPE_CHECKING:
    from _csv import Writer


_PARTICULARS: Final = re.compile(
    r"'[^']*'|\S*\d\S*|(?<=invoice )\S+|(?<= of )\S+"
)  # what differs between rows left out for one reason
_REASONS_SHOWN: Final = 8
_FEW: Final = 20  # late payments of which most may be of one day by accident


@dataclass(slots=True)
class CurrencyTotals:
    """Counts and minor units of one currency."""

    invoices: int = 0
    invoiced: int = 0
    payments: int = 0
    settled: int = 0
    credits: int = 0
    credited: int = 0

    @property
    def open_minor(self) -> int:
        """What is open after the whole book, before any payment that has no invoice."""
        return self.invoiced - self.settled - self.credited


@dataclass(slots=True)
class Totals:
    """What has passed so far."""

    events: int = 0
    clients: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    by_currency: dict[str, CurrencyTotals] = field(default_factory=dict)
    rejected: int = 0
    summed: int = 0
    due_first: int = 0
    beyond: int = 0
    outcomes: Outcomes = field(default_factory=Outcomes)
    late_on: Counter[date] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Rejection] = field(default_factory=dict)

    def add(self, event: AnyClientEvent) -> None:
        """Count one event."""
        self.events += 1
        self.clients.add(event.client_id)
        self.kinds[event.kind] += 1
        match event:
            case InvoiceIssued():
                into = self._of(event.amount)
                into.invoices, into.invoiced = into.invoices + 1, into.invoiced + event.amount.minor
            case PaymentReceived():
                into = self._of(event.amount)
                into.payments, into.settled = into.payments + 1, into.settled + event.amount.minor
            case CreditNoteIssued():
                into = self._of(event.amount)
                into.credits, into.credited = into.credits + 1, into.credited + event.amount.minor
            case _:
                pass

    def reject(self, rejection: Rejection) -> None:
        """Count one rejected row."""
        self.rejected += 1
        alike = _PARTICULARS.sub("...", rejection.reason)
        self.reasons[alike] += 1
        self.examples.setdefault(alike, rejection)

    def lines(self) -> Iterator[str]:
        """Yield the totals for people, one line per currency."""
        for code, total in sorted(self.by_currency.items()):
            yield (
                f"{code}: {total.invoices:,} invoices {Money(total.invoiced, code)}, {total.payments:,} settlements "
                f"{Money(total.settled, code)}, {total.credits:,} credit notes {Money(total.credited, code)}, "
                f"open {Money(total.open_minor, code)}"
            )
        yield from self.doubts()
        if self.summed:
            whose = "1 invoice stands" if self.summed == 1 else f"{self.summed:,} invoices stand"
            yield f"note: {whose} on several rows with different amounts: they were taken for its line items and added up"

    @property
    def reported(self) -> tuple[date, int, int] | None:
        """The day on which half of the late payments or more came, how many, and of how many; none where they are spread.

        Nobody is paid so: it is the day of the report, and what seems paid then is open.
        """
        every = self.late_on.total()
        if every < _FEW:
            return None
        (day, count), *_ = self.late_on.most_common(1)
        return (day, count, every) if 2 * count >= every else None

    def doubts(self) -> Iterator[str]:
        """Yield for people what was read as it stands and is hardly meant."""
        if self.reported:
            day, count, every = self.reported
            yield f"note: {count:,} of {every:,} late payments came on {day}; is it the day of the report, what bears it open?"
        if self.due_first:
            was, every = "it was" if self.due_first == 1 else "they were", self.kinds["invoice.issued"]
            yield (
                f"note: {self.due_first:,} of {every:,} invoices fell due before {was} issued; are the two columns exchanged? "
                f"--map {Meaning.ISSUED_ON}=COLUMN --map {Meaning.DUE_ON}=COLUMN"
            )

    def left_out(self) -> Iterator[str]:
        """Yield for people why rows were left out: each reason once, how many rows, and the first of them."""
        for alike, count in self.reasons.most_common(_REASONS_SHOWN):
            first = self.examples[alike]
            yield f"{count:,} {'row' if count == 1 else 'rows'}, first line {first.line}: {first.reason}"
        if len(self.reasons) > _REASONS_SHOWN:
            yield f"and {len(self.reasons) - _REASONS_SHOWN} further reasons; rapport import --dry-run --rejects names every row"

    def _of(self, money: Money) -> CurrencyTotals:
        return self.by_currency.setdefault(money.currency, CurrencyTotals())


def read_book(plan: Plan, *, totals: Totals, rejects: Path | None, known: Horizon = WHOLE) -> Iterator[AnyClientEvent]:
    """Yield the events of a book as far as it is `known`, and count them; rejected rows go to the CSV at `rejects`, if needed."""
    with ExitStack() as stack:
        writer = None
        reader = BookReader(plan, known)
        for found in shown(reader.read_all(), "reading the book", total=plan.rows):
            if isinstance(found, Rejection):
                totals.reject(found)
                if rejects is not None:
                    writer = writer or _rejects_writer(rejects, plan, stack)
                    writer.writerow([found.line, found.reason, *found.cells])
                continue
            for event in found:
                totals.add(event)
                yield event
        totals.summed, totals.due_first, totals.late_on = reader.summed, reader.due_first, reader.late_on
        totals.beyond, totals.outcomes = reader.beyond, reader.outcomes


def _rejects_writer(path: Path, plan: Plan, stack: ExitStack) -> "Writer":
    try:
        file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        message = f"cannot write the rejected rows to {path} ({error.strerror}); name another place with --rejects"
        raise UsageError(message) from error
    writer = csv.writer(file)
    writer.writerow(["line", "reason", *plan.layout.header])
    return writer


def describe_plan(plan: Plan) -> Iterator[str]:
    """Yield for people how the file is read: every column with its meaning, and every assumption."""
    layout = plan.layout
    names = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
    separator = names.get(layout.separator, layout.separator)
    yield f"{layout.path.name}: {plan.rows:,} rows, {layout.encoding}, separated by {separator}"
    for meaning in Meaning:
        if meaning in plan.mapping:
            order = plan.orders.get(meaning)
            yield f"  {meaning:15} <- {plan.mapping[meaning]}{f' ({order})' if order else ''}"
    unused = [name for name in layout.header if name not in plan.mapping.values()]
    yield f"  not used: {', '.join(unused) or 'none'}"
    yield f"  decimal {plan.mark}, currency {plan.currency} where a row names none, dates without a zone in {plan.zone.key}"
    for note in plan.notes:
        yield f"  note: {note}"

"""A book or a recorded history, read once and held on disk: what is evaluated, lived through again, or learned from."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from handlers.commands.book.column_names import NUMBERS, Meaning
from handlers.commands.book.plan import Asked, likely_columns, make_plan
from handlers.commands.book.totals import Totals, describe_plan, read_book
from handlers.commands.book.unpaid_end import Ends, UnpaidEnd, is_of
from handlers.commands.held import Held, held, held_by_arrival
from handlers.commands.history import format_of
from handlers.commands.options import Format
from handlers.commands.simulate import events_of
from models.events.union import AnyClientEvent
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings


def hold_history(file: Path, *, asked: Asked, form: Format | None = None) -> tuple[Held, list[str]]:
    """Return the events of a history in order of arrival, and how it was read; UsageError when nobody could be late in it."""
    if format_of(file, form) == "jsonl":
        told = held_by_arrival(events_of(file, form="jsonl", asked=asked))
        return told, [f"{len(told):,} events told by {file.name}"]
    blank = (f"{Meaning.DISPUTED}=", f"{Meaning.SETTLED}=", f"{Meaning.OUTSTANDING}=")
    plan = make_plan(file, asked=_with_columns(asked, blank), home_currency=load_settings().firm_currency, for_figures=True)
    if not plan.dates_payments:
        message = (
            f"{file.name} has no date of payment, and a list of what is open or how old it is cannot say who pays late; export "
            "settled invoices with their dates of payment, or say which column: --map settled_on=COLUMN, --map "
            f"days_to_settle=COLUMN or --map days_late=COLUMN ({likely_columns(plan)})"
        )
        raise UsageError(message)
    totals = Totals()
    ends = Ends()
    events = held_by_arrival(_seen(read_book(plan, totals=totals, rejects=None), ends))
    if totals.reported and plan.counts_days:
        day, count, every = totals.reported
        without = " ".join(f"--map {meaning}=" for meaning in NUMBERS if meaning in plan.mapping)
        message = (
            f"{count:,} of {every:,} late payments in {file.name} would have come on {day}: {plan.counts_days!r} counts up to "
            "the day of the report, of what is open, and that cannot say who pays late; export settled invoices with their "
            f"dates of payment, or leave the column out: {without}"
        )
        raise UsageError(message)
    notes = [*describe_plan(plan), *_counted(totals, plan.rows)]
    if end := ends.unpaid():
        events = held(event for event in events if not is_of(event, end))
        notes.append(_missing(end))
    return events, notes


def _seen(events: Iterable[AnyClientEvent], ends: Ends) -> Iterator[AnyClientEvent]:
    for event in events:
        ends.see(event)
        yield event


def _missing(end: UnpaidEnd) -> str:
    return (
        f"  note: {len(end.keys):,} invoices issued from {end.since} on are open, nearly all there are, while earlier ones are "
        f"paid until {end.until}: their payments are missing from the file, and they are left out"
    )


def _counted(totals: Totals, rows: int) -> Iterator[str]:
    kinds = totals.kinds
    yield (
        f"{rows:,} rows: {kinds['invoice.issued']:,} invoices, {kinds['payment.received']:,} payments, "
        f"{kinds['credit_note.issued']:,} credit notes of {len(totals.clients):,} clients; {totals.rejected:,} rows rejected"
    )
    if kinds["credit_note.issued"] and not kinds["invoice.issued"]:
        yield "  note: every amount is below zero: a credit note, which nobody pays late; export the book with the sign turned"
    yield from (f"  {line}" for line in (*totals.doubts(), *totals.left_out()))


def _with_columns(asked: Asked, columns: Sequence[str]) -> Asked:
    return Asked(
        preset=asked.preset,
        columns=(*asked.columns, *columns),
        currency=asked.currency,
        date_order=asked.date_order,
        decimal=asked.decimal,
        encoding=asked.encoding,
        timezone=asked.timezone,
        terms_days=asked.terms_days,
        source=asked.source,
    )

"""A book or a recorded history, read once and held on disk: what is evaluated, lived through again, or learned from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from handlers.commands.book.column_names import NUMBERS, Meaning
from handlers.commands.book.horizon import refuse_for_logs
from handlers.commands.book.plan import Asked, likely_columns, make_plan
from handlers.commands.book.totals import Totals, describe_plan
from handlers.commands.held import Held, held_by_arrival
from handlers.commands.history import format_of
from handlers.commands.known_book import known_book
from handlers.commands.options import Format
from handlers.commands.simulate import events_of
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings


class Notes(list[str]):
    """How a history was read, in lines for people; the last are `unknown`: what is left out, as its outcome is not known."""

    def __init__(self, lines: Iterable[str], *, unknown: Sequence[str] = ()) -> None:
        """Take both."""
        super().__init__([*lines, *unknown])
        self.unknown = tuple(unknown)


def hold_history(file: Path, *, asked: Asked, form: Format | None = None) -> tuple[Held, Notes]:
    """Return the events of a history in order of arrival, and how it was read; UsageError when nobody could be late in it.

    What a book does not know the outcome of is left out.
    """
    if format_of(file, form) == "jsonl":
        refuse_for_logs(asked)
        told = held_by_arrival(events_of(file, form="jsonl", asked=asked))
        return told, Notes([f"{len(told):,} events told by {file.name}"])
    blank = (f"{Meaning.DISPUTED}=", f"{Meaning.SETTLED}=", f"{Meaning.OUTSTANDING}=")
    read_as = replace(asked, columns=(*asked.columns, *blank))
    plan = make_plan(file, asked=read_as, home_currency=load_settings().firm_currency, for_figures=True)
    if not plan.dates_payments:
        message = (
            f"{file.name} has no date of payment, and a list of what is open or how old it is cannot say who pays late; export "
            "settled invoices with their dates of payment, or say which column: --map settled_on=COLUMN, --map "
            f"days_to_settle=COLUMN or --map days_late=COLUMN ({likely_columns(plan)})"
        )
        raise UsageError(message)
    events, totals, unknown = known_book(plan, asked)
    if totals.reported and plan.counts_days:
        day, count, every = totals.reported
        without = " ".join(f"--map {meaning}=" for meaning in NUMBERS if meaning in plan.mapping)
        message = (
            f"{count:,} of {every:,} late payments in {file.name} would have come on {day}: {plan.counts_days!r} counts up to "
            "the day of the report, of what is open, and that cannot say who pays late; export settled invoices with their "
            f"dates of payment, or leave the column out: {without}"
        )
        raise UsageError(message)
    return events, Notes([*describe_plan(plan), *_counted(totals, plan.rows)], unknown=unknown)


def _counted(totals: Totals, rows: int) -> Iterator[str]:
    kinds = totals.kinds
    yield (
        f"{rows:,} rows: {kinds['invoice.issued']:,} invoices, {kinds['payment.received']:,} payments, "
        f"{kinds['credit_note.issued']:,} credit notes of {len(totals.clients):,} clients; {totals.rejected:,} rows rejected"
    )
    if kinds["credit_note.issued"] and not kinds["invoice.issued"]:
        yield "  note: every amount is below zero: a credit note, which nobody pays late; export the book with the sign turned"
    yield from (f"  {line}" for line in (*totals.doubts(), *totals.left_out()))

"""A book by which something is judged, held on disk as far as it knows what came of its invoices."""

import sys
from collections.abc import Sequence
from pathlib import Path

from handlers.commands.book.horizon import WHOLE, Horizon, look, overruled
from handlers.commands.book.plan import Asked, Plan
from handlers.commands.book.totals import Totals, read_book
from handlers.commands.held import Held, held_by_arrival


def known_book(plan: Plan, asked: Asked) -> tuple[Held, Totals, list[str]]:
    """Return the events of a book in order of arrival and what they add up to; and in words what is left out as unknown, if any.

    What the person said holds; else what the book itself shows.
    """
    said = overruled(asked, plan.zone)
    events, totals = _read(plan, said or WHOLE)
    if said is None and plan.dates_payments and (found := look(totals.outcomes, plan.zone)) != WHOLE:
        events, totals = _read(plan, found)
        return events, totals, _told(found, totals, found=True)
    return events, totals, _told(said or WHOLE, totals, found=False)


def say_unknown(file: Path, lines: Sequence[str]) -> None:
    """Say on stderr what is left out of a book, if anything, where figures alone are printed."""
    if lines:
        print("\n".join((f"{file.name}:", *lines)), file=sys.stderr)


def _read(plan: Plan, known: Horizon) -> tuple[Held, Totals]:
    totals = Totals()
    return held_by_arrival(read_book(plan, totals=totals, rejects=None, known=known)), totals


def _told(known: Horizon, totals: Totals, *, found: bool) -> list[str]:
    if not known.said:
        return []
    rows = "1 row is" if totals.beyond == 1 else f"{totals.beyond:,} rows are"
    ends = ", and the history ends with the last payment" if found and known.end is not None else ""
    otherwise = "; if what has no payment is unpaid all the same, say --blank-is-unpaid" if found else ""
    return [f"  note: {line}" for line in (*known.said, f"{rows} left out for that{ends}{otherwise}")]

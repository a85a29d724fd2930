"""`rapport import`: adopt an existing receivables book. Exposes the function `import_book`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handlers.commands.book.horizon import look
from handlers.commands.book.plan import Asked, make_plan
from handlers.commands.book.totals import Totals, describe_plan, read_book
from handlers.commands.files import check_target, writing
from handlers.commands.history import deliveries, write_contracts
from handlers.commands.replay import send_all
from handlers.commands.sending import Sent
from streams.runtime.settings import load_settings


def import_book(
    file: Annotated[Path, Parameter(help="The receivables book, a CSV.")],
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Say what would be imported and what would be rejected.")] = False,
    to: Annotated[Path | None, Parameter(help="Write the events to this file (jsonl) instead of sending them.")] = None,
    rejects: Annotated[Path | None, Parameter(help="Where rejected rows go; default FILE.rejects.csv in this folder.")] = None,
    asked: Asked | None = None,
) -> int:
    """Adopt a receivables book: a CSV of invoices with their settlements, or a journal of invoices and payments.

    Columns are guessed from their names and shown; overrule them with --map, e.g. --map invoice_id=InvoiceNumber. Meanings:
    client_id, issued_on and amount are needed; invoice_id, recorded_on, due_on, terms_days, currency, settled_on, days_to_settle,
    days_late, settled, outstanding, kind, side, status, credit, disputed, name, email, phone, country, timezone, method,
    service_line help. Rows
    that share an invoice are its lines, its payments or repetitions; in a journal (kind) payments have rows of their own. Where
    a date could be day/month or month/day, or an amount could have thousands or decimals, the command asks instead of guessing.
    Rows that cannot be read go to a rejects file with line and reason; totals are shown per currency. Mend them in the book and
    import it again: what is known already changes nothing.

    History builds states, segments and scores; it sends nothing: its events carry their own, past, time of arrival.

    Example: rapport import book.csv --dry-run

    Exit codes: 0 imported, every row of it; 1 rows were rejected (all others are imported, or would be with --dry-run), or Kafka
    is away; 2 wrong usage.
    """
    settings = load_settings()
    plan = make_plan(file, asked=asked or Asked(), home_currency=settings.firm_currency)
    check_target(to, "--to")
    check_target(rejects, "--rejects")
    print("\n".join(describe_plan(plan)))
    totals, target = Totals(), rejects or Path(f"{file.stem}.rejects.csv")
    events = read_book(plan, totals=totals, rejects=None if dry_run else target)
    code = 0
    if dry_run:
        for _ in events:
            pass
        print("nothing was sent (--dry-run)")
    elif to is not None:
        with writing(to, "--to"):
            print(f"wrote {write_contracts(events, to):,} events to {to}")
    else:
        code = send_all(deliveries(events), settings=settings, sent=Sent())
    _tell(totals, None if dry_run else target)
    if dry_run and plan.dates_payments:
        for line in look(totals.outcomes, plan.zone).said:
            print(f"  note: {line}; to an import these invoices are open")
    return code if totals.events and not totals.rejected else 1


def _tell(totals: Totals, target: Path | None) -> None:
    print(f"{totals.events:,} events of {len(totals.clients):,} clients")
    for line in totals.lines():
        print(f"  {line}")
    if not totals.rejected:
        return
    where = f", all in {target}" if target else ""
    rest = ", the others are not" if totals.events else ""
    print(f"{totals.rejected:,} rows rejected{where}{rest}:", file=sys.stderr)
    for line in totals.left_out():
        print(f"  {line}", file=sys.stderr)

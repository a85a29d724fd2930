"""`rapport overrides report|list` (`overrides`, a cyclopts App)."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.book.plan import Asked
from handlers.commands.history import Format
from handlers.commands.overrides.scoring import Scored, by_author, score
from handlers.commands.policies.commands import chosen_policy
from handlers.commands.simulate import events_of
from models.events.envelope import ClientEvent
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.workdays import moment
from streams.runtime.settings import Settings, load_settings
from streams.wire.codec import decode_event
from streams.wire.reading import read_topic
from streams.wire.topics import CLIENT_EVENTS

overrides = App(
    name="overrides",
    help="""Look at what relationship managers decided over the head of the policy, and how it turned out.

    An override is an event override.set on `signals`: a client, an effect (hold, release, segment), a reason, an author, an
    expiry. It is honoured until it expires or is cleared; here it is held against what would have been done without it.
    """,
)


@overrides.command
def report(
    file: Annotated[Path | None, Parameter(help="A history; none: the client log of the running system.")] = None,
    /,
    *,
    policy: Annotated[
        Path | None, Parameter(name="--policy", help="The policy file; default: RAPPORT_POLICY_FILE, else the shipped policy.")
    ] = None,
    form: Annotated[Format | None, Parameter(name="--format", help="jsonl or csv; default: by the name of the file.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), help="One JSON document, for programs.")] = False,
    asked: Asked | None = None,
) -> int:
    """Score every override against what rules and learner would have done: who set it, what came of it, who was nearer.

    Each client's history is lived through as it was and once without the override. A segment is judged by the invoices that fell
    due in its time, a hold by whether what was open got paid without the messages it stopped. "open" means: nobody can say.

    Example: rapport overrides report history.jsonl

    Exit codes: 0 told, 1 there is no override or a server is away, 2 wrong usage.
    """
    if file is None:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is said once, by us
        events = asyncio.run(_logged(load_settings()))
    else:
        events = list(events_of(file, form=form, asked=asked or Asked()))
    events.sort(key=lambda event: event.received_ms)
    rows = score(events, chosen_policy(policy), BASELINE)
    if as_json:
        print(json.dumps([row.as_json() for row in rows], ensure_ascii=False, indent=2))
    elif rows:
        _print(rows)
    else:
        print("there is no override")
    return 0 if rows else 1


def _print(rows: list[Scored]) -> None:
    out = Console(width=120, highlight=False)
    table = Table(title="overrides by author", title_justify="left")
    for name in ("author", "overrides", "override nearer", "rules or learner nearer", "open"):
        table.add_column(name)
    for author, *counts in by_author(rows):
        table.add_row(author, *map(str, counts))
    out.print(table)
    for row in rows:
        for line in _lines(row):
            out.print(line, markup=False)


def _lines(row: Scored) -> Iterator[str]:
    said = "" if row.learner_said is None else f", learner {row.learner_said:.0%} late"
    sums = ", ".join(map(str, row.open)) or "nothing"
    span = f"{moment(row.set_ms):%Y-%m-%d} to {moment(row.end_ms):%Y-%m-%d}"
    yield f"{row.client_id}: {row.effect} {row.value}".rstrip() + f" by {row.author}, {span} ({row.reason})"
    yield f"    then: rules {row.rules_said}{said}, {sums} open; sent {row.sent}, without it {row.would_send}"
    yield f"    {row.nearer}: {row.words}"


async def _logged(settings: Settings) -> list[AnyClientEvent]:
    """Return the events of all clients that were ever overridden, in the order of their log."""
    topic = await read_topic(settings, CLIENT_EVENTS.name, partitions=list(range(settings.partitions)))
    records = [record for part in topic.values() for record in part if record.key]
    concerned = {record.key for record in records if b'"override.set"' in record.value}
    found = (decode_event(record.value) for record in records if record.key in concerned)
    return [event for event in found if isinstance(event, ClientEvent)]

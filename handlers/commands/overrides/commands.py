"""`rapport overrides set|list|lift|report` (`overrides`, a cyclopts App)."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.book.plan import Asked
from handlers.commands.history import read_controls
from handlers.commands.journey_choice import journey_named, own_names
from handlers.commands.options import Author, Format, FormOption, JsonOption, PolicyOption
from handlers.commands.overrides.desk import (
    chosen,
    conflicts,
    end,
    known_state,
    publish,
    read_all,
    read_state,
    row_as_json,
    standing,
    word,
)
from handlers.commands.overrides.pooled import by_author, by_effect, conflicting
from handlers.commands.overrides.reckoning import page_lines, read_log
from handlers.commands.overrides.scoring import Scored, score
from handlers.commands.policies.choosing import chosen_policy
from handlers.commands.regime_changes import author_named
from handlers.commands.simulate import events_of
from handlers.terminal.documents import in_json
from models.events.envelope import epoch_ms
from models.events.signals import OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent, AnyControlEvent
from models.learners.baseline import BASELINE
from models.policy.favourable import read_seasons
from models.state.client import Override, Segment
from models.triggers import Tone
from models.workdays import moment, zone_named
from streams.runtime.clock import make_clock, monotonic
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.topics import CHANNELS

T = TypeVar("T")

_USUAL_DAYS: Final = 30
_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1

overrides = App(
    name="overrides",
    help="""Decide over the head of the policy about one client, and see later how it turned out.

    An override has a scope (a client, or one journey of it), an effect, a reason, an author and an expiry:

    - hold: nothing is sent; what is on its way is taken back. Of one invoice: this one is in no message, others are
    - legal_hold: nothing is sent to the client, of whatever purpose; tasks for colleagues go on. It needs its last day (--until),
      and whoever lifts it says why
    - segment: the client is treated as one of the segment you name, whatever the rules say
    - channel, tone, urgency: through what, how and how soon messages speak; channel and urgency also of one invoice
    - window: the days of every year in which the client can decide about money (a fiscal year, a grant): care before a renewal
      begins within them
    - release: a book that was taken over late may be written about although nobody looked at it yet

    It travels through the log like everything else, every decision under it says so, and when its time is over `report` holds
    it against what rules and learner would have done.

    Exit codes: 0 in force, or told; 1 a server is away, or no worker has taken it up within 10 seconds (it is on the log, and
    holds as soon as one runs), or there is none to report; 2 wrong usage, or nobody knows the client.
    """,
)


@overrides.command(name="set")
def set_override(
    client_id: Annotated[str, Parameter(help="Whom it is about.")],
    /,
    *,
    effect: Annotated[OverrideEffect, Parameter(help="What is decided.")],
    reason: Annotated[str, Parameter(help="Why, for colleagues and for the later reckoning; at least three letters.")],
    segment: Annotated[Segment | None, Parameter(help="Of effect segment: which.")] = None,
    channel: Annotated[str | None, Parameter(help="Of effect channel: through which messages go.")] = None,
    tone: Annotated[Tone | None, Parameter(help="Of effect tone: which; the segment's ceiling stays.")] = None,
    days: Annotated[int | None, Parameter(help="Of effect urgency: so many days later; sooner with --days=-5.")] = None,
    invoice: Annotated[str | None, Parameter(help="Of hold, channel and urgency: this invoice only.")] = None,
    window: Annotated[
        str | None, Parameter(help="Of effect window: from and to, as 07-01..09-15, of every year; several with commas.")
    ] = None,
    journey: Annotated[
        str | None,
        Parameter(
            help="This journey only, ours or your own by its name, own_journeys: all of your own; none: the client as a whole."
        ),
    ] = None,
    until: Annotated[date | None, Parameter(help="The day on which it ends; none: in 30 days.")] = None,
    author: Author = None,
) -> int:
    """Decide over the head of the policy about a client, until a day. The same author's next word on it takes its place.

    Overrides that say otherwise are shown, with which of the two holds.

    For example:

        rapport overrides set cus_1a2b3c --effect hold --reason "new finance lead, calls back" --until 2026-04-15
        rapport overrides set cus_1a2b3c --effect hold --invoice R-17 --reason "Lea checks the hours in it"
        rapport overrides set cus_1a2b3c --effect legal_hold --reason "with counsel, ask Lea" --until 2027-06-30
        rapport overrides set cus_1a2b3c --effect segment --segment reliable --reason "paid by parent from now on"
        rapport overrides set cus_1a2b3c --effect channel --channel sms --invoice R-17 --reason "asked for a text"
        rapport overrides set cus_1a2b3c --effect window --window 07-01..09-15 --reason "their fiscal year" --until 2028-07-01
    """
    settings = load_settings()
    now = make_clock(settings.clock_file).now()
    if effect is OverrideEffect.LEGAL_HOLD and until is None:
        message = "a legal hold ends on a day that somebody has thought of: add --until 2027-06-30"
        raise UsageError(message)
    ends = (
        now + timedelta(days=_USUAL_DAYS)
        if until is None
        else datetime.combine(until, time(), zone_named(settings.firm_timezone, "UTC"))
    )
    told = word(
        client_id,
        effect,
        value=_said(segment=segment, channel=channel, tone=tone, days=days, window=window),
        invoice_id=invoice,
        journey=journey_named(journey, own_names),
        reason=reason,
        author=author_named(author),
        until=ends,
        now=now,
    )
    return _run(_set(settings, told))


def _said(*, segment: Segment | None, channel: str | None, tone: Tone | None, days: int | None, window: str | None) -> str | None:
    """Return what was said with the effect, None where nothing was."""
    if channel is not None and channel not in CHANNELS:
        message = f"no worker delivers by {channel}; channels are {', '.join(sorted(CHANNELS))}"
        raise UsageError(message)
    if window is not None and not read_seasons(window):
        message = f"{window!r} are no days of a year; write for example 07-01..09-15, or two: 03-01..03-31,09-01..09-30"
        raise UsageError(message)
    told = None if days is None else str(days)
    said = (segment.value if segment else None, channel, tone.value if tone else None, told, window)
    values = [value for value in said if value is not None]
    if len(values) > 1:
        message = "one word at a time: only the option that belongs to --effect"
        raise UsageError(message)
    return values[0] if values else None


async def _set(settings: Settings, told: OverrideSet) -> int:
    state = await known_state(settings, told.client_id)
    for line in conflicts(state, told, max(state.now_ms, told.occurred_ms)):
        print(f"says otherwise: {line}")
    await publish(settings, told)
    what = " ".join(filter(None, (told.effect.value, told.value or "", told.journey or "", told.invoice_id or "")))
    print(f"{told.override_id[:12]}: {what} for {told.client_id} by {told.author} until {told.expires_at:%Y-%m-%d}")
    return await _until_folded(settings, told.client_id, lambda row: row.set_at >= told.occurred_ms, told.override_id)


@overrides.command(name="list")
def list_overrides(
    client_id: Annotated[str | None, Parameter(help="One client; none: all.")] = None, /, *, as_json: JsonOption = False
) -> int:
    """List the overrides in force, the one that ends first first.

    Example: rapport overrides list
    """
    settings = load_settings()
    now_ms = epoch_ms(make_clock(settings.clock_file).now())
    found = _run(_in_force(settings, client_id, now_ms))
    if as_json:
        print(in_json([row_as_json(client, row) for client, row in found]))
        return 0
    if not found:
        print("no override is in force")
    for client, row in found:
        what = " ".join(filter(None, (row.effect, row.value, row.journey, row.invoice_id)))
        print(f"{row.override_id[:12]}  until {moment(row.expires_ms):%Y-%m-%d}  {client}: {what} by {row.author} ({row.reason})")
    return 0


@overrides.command
def lift(
    client_id: Annotated[str, Parameter(help="Whom it is about.")],
    override_id: Annotated[
        str | None, Parameter(help="The id that `list` shows, or its beginning; needed if several hold.")
    ] = None,
    /,
    *,
    reason: Annotated[str | None, Parameter(help="Why, for the log; a legal hold is not lifted without.")] = None,
    author: Author = None,
) -> int:
    """End an override before its expiry.

    For example:

        rapport overrides lift cus_1a2b3c
        rapport overrides lift cus_1a2b3c 3f2c9a --reason "settled on 3 March, counsel agrees"
    """
    return _run(_lift(load_settings(), client_id, override_id, author_named(author), reason))


async def _lift(settings: Settings, client_id: str, override_id: str | None, author: str, reason: str | None) -> int:
    now = make_clock(settings.clock_file).now()
    state = await known_state(settings, client_id)
    rows = standing(state, max(state.now_ms, epoch_ms(now)))
    row = chosen(rows, override_id, client_id)
    ended = end(row, client_id, author=author, now=now, reason=reason)
    await publish(settings, ended)
    print(f"{row.override_id[:12]}: {row.effect} for {client_id} ended by {author}")
    return await _until_folded(settings, client_id, lambda known: known.cleared_at >= ended.occurred_ms, row.override_id)


async def _in_force(settings: Settings, client_id: str | None, now_ms: int) -> list[tuple[str, Override]]:
    if client_id is None:
        states = [state async for state in read_all(settings) if state.person.overrides]
    else:
        states = [await known_state(settings, client_id)]
    found = {(state.client_id, row.override_id): row for state in states for row in standing(state, max(state.now_ms, now_ms))}
    return sorted([(client, row) for (client, _), row in found.items()], key=lambda told: (told[1].expires_ms, told[0]))


async def _until_folded(settings: Settings, client_id: str, holds: Callable[[Override], bool], override_id: str) -> int:
    """Wait until the state knows; says so, and returns 1, when no worker takes it up."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        state = await read_state(settings, client_id)
        if state is not None and any(row.override_id == override_id and holds(row) for row in state.person.overrides):
            return 0
        if monotonic() > deadline:
            print("it is on the log, but no worker has taken it up yet; rapport lag shows how far they are")
            return 1
        await asyncio.sleep(_PAUSE_SECONDS)


def _run(step: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(step)


@overrides.command
def report(
    file: Annotated[Path | None, Parameter(help="A history; none: the client log of the running system.")] = None,
    /,
    *,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Score every override against what rules and learner would have done: who set it, what came of it, who was nearer.

    Each client's history is lived through as it was and once without the override; what would have been sent without it is told.
    A segment is judged by the invoices that fell due in its time, a hold by whether what was open got paid without the messages
    it stopped, a channel, tone or urgency by whether invoices went otherwise than expected when it was set, a window by renewals.
    "open" means: nobody can say. Then all of one effect and author together, beyond chance or not, and words that conflicted.
    Nothing that became known after an override's end is read. It shows what went along with an override, not what it caused.

    Example: rapport overrides report history.jsonl

    Exit codes: 0 told, 1 there is no override or a server is away, 2 wrong usage.
    """
    chosen = chosen_policy(policy)
    events, controls = _run(read_log(load_settings())) if file is None else _told(file, form, asked or Asked())
    events.sort(key=lambda event: event.received_ms)
    rows = score(events, chosen, BASELINE, controls=controls)
    if as_json:
        told = {
            "overrides": [row.as_json() for row in rows],
            "groups": [row.as_json() for row in by_effect(rows)],
            "conflicts": list(conflicting(rows)),
        }
        print(in_json(told))
    elif rows:
        _print(rows)
    else:
        print("there is no override")
    return 0 if rows else 1


def _told(file: Path, form: Format | None, asked: Asked) -> tuple[list[AnyClientEvent], list[AnyControlEvent]]:
    return list(events_of(file, form=form, asked=asked)), read_controls(file)


def _print(rows: list[Scored]) -> None:
    out = Console(width=120, highlight=False)
    table = Table(title="overrides by author", title_justify="left")
    for name in ("author", "overrides", "override nearer", "rules or learner nearer", "open"):
        table.add_column(name)
    for author, *counts in by_author(rows):
        table.add_row(author, *map(str, counts))
    out.print(table)
    for line in page_lines(rows):
        out.print(line, markup=False)

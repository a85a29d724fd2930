"""`rapport simulate`: tell a history as the program sees it, without servers. Exposes the function `simulate`."""

import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from handlers.commands.book.plan import Asked
from handlers.commands.export import history_of
from handlers.commands.history import BadLine, Delivery, format_of, read_controls, read_history
from handlers.commands.log_file import head_of
from handlers.commands.options import Format, FormOption, LiveOption, PolicyOption, end_of_day_ms
from handlers.commands.policies.choosing import chosen_policy
from handlers.commands.policies.trying import without_outcomes
from handlers.commands.recorded import recorded
from handlers.commands.simulation import Happening, Simulation
from handlers.commands.tour import Story, Totals
from models.events.control import WAKING
from models.events.union import AnyClientEvent, AnyControlEvent
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings

SAMPLE: Final = "sample_history.jsonl"


def simulate(
    file: Annotated[Path | None, Parameter(help="The history to tell; none: a short one of three clients.")] = None,
    /,
    *,
    client: Annotated[str | None, Parameter(help="Tell the story of this client only.")] = None,
    until: Annotated[datetime | None, Parameter(help="Let time pass up to this day, also after the last event.")] = None,
    form: FormOption = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), help="One JSON object per happening, for programs.")] = False,
    policy: PolicyOption = None,
    live: LiveOption = False,
    asked: Asked | None = None,
) -> int:
    """Tell a history as the program sees it: event, what changed, score, decision with reasons - also what was not sent, and why.

    No server is needed: the same fold, timers, gate and policy run in memory, and time is the time of the history. Without a
    FILE a short history of three clients is told. FILE is what rapport replay takes: lines of our contracts, recorded webhooks,
    Stripe events, or a receivables CSV. Stops, late sources and activations of policies hold where they stand among the lines.
    The log of a deployment (`rapport export` without --since, or --live) is told as it was lived, by its own time and outcomes:
    the decisions are those that were made. With --policy it is told as that policy would have had it.

    Example: rapport simulate --client marlow-finch

    Exit codes: 0 told, 1 a server is away (--live), 2 the file or the policy cannot be read, or the history knows no such client.
    """
    in_force = chosen_policy(policy)
    totals, story, known = Totals(), Story(client=client, as_json=as_json), set[str]()
    with history_of(file, live=live) as history:
        head = head_of(history)
        if history is not None and head is not None and head.whole and policy is None:
            end_ms = None if until is None else end_of_day_ms(until)
            happenings = recorded(history, policy=in_force, partitions=head.partitions, until_ms=end_ms)
        else:
            events = events_of(history, form=form, asked=asked or Asked())
            controls = [row for row in read_controls(history) if policy is None or not isinstance(row, WAKING)]
            told = events if head is None else without_outcomes(events)
            happenings = _happenings(Simulation(policy=in_force), told, until=until, controls=controls)
        for happening in happenings:
            known.add(happening.client_id)
            if client in (None, happening.client_id):
                totals.add(happening)
            for line in story.tell(happening):
                print(line)
    _check_known(known, file, client)
    if not as_json:
        print("\n".join(totals.lines()))
        if story.cut:
            print(f"\nThe story was cut after {story.told} happenings; tell one client's: rapport simulate ... --client ID")
    return 0


def _check_known(known: Collection[str], file: Path | None, client: str | None) -> None:
    if not known:
        message = "the history is empty" if file is None else f"no line of {file} could be read as an event"
        raise UsageError(message)
    if client is not None and client not in known:
        some = ", ".join(sorted(known)[:5])
        message = f"the history knows no client {client!r}; it knows {len(known)}, for example {some}"
        raise UsageError(message)


def events_of(file: Path | None, *, form: Format | None, asked: Asked) -> Iterator[AnyClientEvent]:
    """Yield the events of a history in the order it tells them; none: the shipped one. Lines that cannot be read are told."""
    home = load_settings().firm_currency
    if file is None:
        with as_file(files("handlers.commands").joinpath(SAMPLE)) as sample:
            yield from _read(read_history(sample, form="jsonl", asked=asked, home_currency=home), SAMPLE)
    else:
        yield from _read(read_history(file, form=format_of(file, form), asked=asked, home_currency=home), str(file))


def _read(history: Iterable[Delivery | BadLine], name: str) -> Iterator[AnyClientEvent]:
    bad = told = events = 0
    for found in history:
        if isinstance(found, BadLine):
            bad, told = bad + found.alike, told + 1
            if told <= 3:  # noqa: PLR2004 (examples for the screen)
                print(f"line {found.line}: {found.reason}", file=sys.stderr)
            continue
        events += len(found.events)
        yield from found.events
    if bad:
        print(f"{bad:,} lines could not be read", file=sys.stderr)
    if not events:
        message = f"{name} tells nothing about a client; name a history to read"
        raise UsageError(message)


def _happenings(
    simulation: Simulation, events: Iterable[AnyClientEvent], *, until: datetime | None, controls: Iterable[AnyControlEvent]
) -> Iterator[Happening]:
    end_ms = None if until is None else end_of_day_ms(until)
    waiting = deque(controls)
    for event in events:
        if end_ms is not None and event.received_ms > end_ms:
            break
        while waiting and waiting[0].received_ms <= event.received_ms:
            yield from simulation.govern(waiting.popleft())
        yield from simulation.feed(event)
    while waiting and end_ms is not None and waiting[0].received_ms <= end_ms:
        yield from simulation.govern(waiting.popleft())
    if end_ms is not None:
        yield from simulation.run_until(end_ms)

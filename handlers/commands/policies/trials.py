"""`rapport policy backtest|forecast|adopt`: what a policy would have done, is about to do, and would do with an old book."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from handlers.commands.book.horizon import AskedToJudge
from handlers.commands.book.plan import Asked
from handlers.commands.export import history_of
from handlers.commands.files import check_target, writing
from handlers.commands.held import Held, held
from handlers.commands.options import AgainstOption, Format, FormOption, JsonOption, LiveOption, PolicyOption, end_of_day_ms
from handlers.commands.policies import adoption, backtest
from handlers.commands.policies.choosing import chosen_policy
from handlers.commands.policies.standing import Standing, read_standing
from handlers.commands.policies.trying import Contact, Life, held_in, live
from handlers.commands.simulate import events_of
from handlers.terminal.documents import in_json
from models.events.union import AnyControlEvent
from models.policy.policy import Policy
from models.state.client import ClientState
from models.workdays import DAY_MS, moment
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings
from streams.wire.codec import encode_event

HistoryOption: TypeAlias = Annotated[
    Path | None, Parameter(help="Lines of our contracts, recorded webhooks, Stripe events or a receivables CSV; none: a sample.")
]
UntilOption: TypeAlias = Annotated[datetime | None, Parameter(help="Let time pass up to this day; default: the last event.")]


def try_policy(
    *,
    file: Annotated[Path, Parameter(name="--policy", help="The new policy file.")],
    history: HistoryOption = None,
    against: AgainstOption = None,
    until: UntilOption = None,
    from_live: LiveOption = False,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Tell a history under two policies and print who gains or loses which contacts, per step and segment, with reasons.

    The same fold, timers and gate as in production run in memory; messages are delivered in the simulation alone. With --live
    the history is the log of the running deployment, and what it is held against are the policies that were in force.

    Example: rapport policy backtest --history book.csv --policy new.yaml

    Exit codes: 0 told, 1 a server is away (--live), 2 a file cannot be read.
    """
    policies = [(chosen_policy(name), name is not None) for name in (against, file)]
    with history_of(history, live=from_live) as path:
        events = told_events(path, form=form, asked=asked or AskedToJudge())
        until_ms = _last_ms(events) if until is None else end_of_day_ms(until)
        old, new = (live(chosen, events, until_ms=until_ms, controls=held_in(path, fixed=fixed)) for chosen, fixed in policies)
    found = backtest.compare(old, new)
    print(in_json(found.as_json()) if as_json else "\n".join(backtest.tell(found)))
    return 0


def forecast(
    *,
    history: HistoryOption = None,
    days: Annotated[int, Parameter(help="How far ahead.")] = 14,
    as_of: Annotated[datetime | None, Parameter(help="Look ahead from this day; default: the last event.")] = None,
    client: Annotated[str | None, Parameter(help="This client only.")] = None,
    from_live: Annotated[
        bool, Parameter(name="--live", negative=(), help="From the running deployment as it stands now.")
    ] = False,
    file: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Say which contacts would leave on which day if nothing else happens, per client, and what waits for what.

    With --live it begins from each client's committed state: its segment, holds, overrides, promises, the steps taken and the
    policy version they are pinned to; under the policy, learners, stops and late sources in force, with what has not left yet.

    Example: rapport policy forecast --history book.csv --days 14

    Exit codes: 0 told, 1 a server is away (--live), 2 a file cannot be read.
    """
    if days < 1:
        message = f"--days {days}: look at least one day ahead"
        raise UsageError(message)
    if from_live:
        if history is not None or as_of is not None or file is not None:
            message = (
                "--live begins now, from the running deployment under what is in force: leave out --history, --as-of and --policy"
            )
            raise UsageError(message)
        return _from_live(days=days, client=client, as_json=as_json)
    start_ms, life, before = _ahead(
        chosen_policy(file),
        told_events(history, form=form, asked=asked or AskedToJudge()),
        days=days,
        as_of_ms=None if as_of is None else end_of_day_ms(as_of),
        controls=held_in(history, fixed=file is not None),
    )
    _tell_forecast(life, life.contacts[before:], start_ms=start_ms, days=days, client=client, as_json=as_json, assumed=())
    return 0


def _from_live(*, days: int, client: str | None, as_json: bool) -> int:
    standing = read_standing(load_settings(), chosen_policy(None))
    _check_client(standing, client)
    life = standing.life_until(standing.now_ms + days * DAY_MS)
    _tell_forecast(
        life,
        life.contacts,
        start_ms=standing.now_ms,
        days=days,
        client=client,
        as_json=as_json,
        assumed=tuple(standing.assumed()),
    )
    return 0


def _check_client(standing: Standing, client: str | None) -> None:
    if client is not None and client not in {state.client_id for state in standing.states}:
        message = f"no client {client!r} is known to the running deployment; rapport inspect client {client} says more"
        raise UsageError(message)


def _tell_forecast(
    life: Life,
    contacts: list[Contact],
    *,
    start_ms: int,
    days: int,
    client: str | None,
    as_json: bool,
    assumed: tuple[str, ...],
) -> None:
    coming = [contact for contact in contacts if client in (None, contact.client_id)]
    if as_json:
        rows = [contact.as_json() for contact in coming]
        said = {"as_of": moment(start_ms).isoformat(), "days": days, "contacts": rows, "assumed": list(assumed)}
        print(in_json(said))
        return
    print("\n".join(_forecast_lines(life, coming, start_ms=start_ms, days=days, client=client)))
    if assumed:
        print("\nAssumed:")
        print("\n".join(f"  {line}" for line in assumed))


def adopt(
    book: Annotated[Path, Parameter(help="The receivables book: a CSV, or its events as jsonl.")],
    /,
    *,
    per_day: Annotated[int, Parameter(help="Most clients who hear from us for the first time on one day.")] = 10,
    as_of: Annotated[datetime | None, Parameter(help="Day of the takeover; default: the last event of the book.")] = None,
    holds: Annotated[
        Path | None, Parameter(help="Write the holds that make the plan come true (jsonl, for rapport replay).")
    ] = None,
    file: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Plan the takeover of an existing receivables book: who would be contacted when, at which stage; nothing is sent.

    History builds segments; stages start at the beginning. What is overdue for longer than the policy adopts by itself waits
    for a person. To carry the plan out, replay the file written by --holds before the book is imported.

    Example: rapport policy adopt book.csv --per-day 10

    Exit codes: 0 planned, 2 a file cannot be read.
    """
    if per_day < 1:
        message = f"--per-day {per_day}: at least one client a day must be allowed"
        raise UsageError(message)
    chosen = chosen_policy(file)
    check_target(holds, "--holds")
    events = told_events(book, form=form, asked=asked or Asked())
    moment_ms = _last_ms(events) if as_of is None else end_of_day_ms(as_of)
    known = [event for event in events if event.received_ms <= moment_ms]
    if not known:
        message = f"{book} tells nothing up to {moment(moment_ms):%Y-%m-%d}; name a later day with --as-of"
        raise UsageError(message)
    found = adoption.plan(chosen, known, as_of=moment(moment_ms), per_day=per_day)
    if holds is not None:
        with writing(holds, "--holds"):
            holds.write_bytes(b"".join(encode_event(hold) + b"\n" for hold in found.holds))
    print(in_json(found.as_json()) if as_json else "\n".join(adoption.tell(found)))
    return 0


def told_events(file: Path | None, *, form: Format | None, asked: Asked) -> Held:
    """Return the events of a history; of a book that is AskedToJudge only what it knows the outcome of."""
    return held(events_of(file, form=form, asked=asked))


def _last_ms(events: Held) -> int:
    return max(event.received_ms for event in events)


def _ahead(
    policy: Policy, events: Held, *, days: int, as_of_ms: int | None, controls: list[AnyControlEvent]
) -> tuple[int, Life, int]:
    """Return the moment looked ahead from, the life up to `days` later, and how many of its contacts lie before."""
    start_ms = _last_ms(events) if as_of_ms is None else as_of_ms
    life = live(policy, events, until_ms=start_ms, controls=controls)
    before = len(life.contacts)
    life.take(life.simulation.run_until(start_ms + days * DAY_MS))
    return start_ms, life, before


def _forecast_lines(life: Life, coming: list[Contact], *, start_ms: int, days: int, client: str | None) -> Iterator[str]:
    start = datetime.fromtimestamp(start_ms / 1000, UTC)
    people = len({contact.client_id for contact in coming})
    ahead = f"in the {days} days from {start:%Y-%m-%d} on"
    yield f"If nothing happens {ahead}, {len(coming):,} contacts of {people:,} clients would leave"
    yield f"by policy {life.policy.version}; a payment, dispute, promise or word of a colleague changes that."
    yield ""
    for contact in coming:
        trigger = contact.trigger
        step = f"{trigger.step} by {trigger.channel} ({trigger.segment}, {trigger.tone})"
        yield f"{contact.at:%Y-%m-%d %H:%M}  {contact.client_id}: {step}"
        yield f"{'':18}{'; '.join(trigger.reasons[:2])}"
    held = [
        (key, decision)
        for key, decision in sorted(life.silences.items())
        if client in (None, key[0]) and decision.decided_at >= start and _is_open(life.simulation.states.get(key[0]))
    ]
    if held:
        yield ""
        yield "What would not leave, and why:"
    for (client_id, _, anchor), decision in held:
        yield f"  {decision.decided_at:%Y-%m-%d}  {client_id}: {decision.step or anchor}: {decision.reasons[0]}"


def _is_open(state: ClientState | None) -> bool:
    return state is not None and not state.erased_ms

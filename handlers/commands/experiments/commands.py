"""`rapport experiments list|report|holdouts|steps` (`experiments`, a cyclopts App)."""

import asyncio
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import App, Parameter
from rich.console import Console

from handlers.commands.book.plan import Asked
from handlers.commands.canary.story import is_canary
from handlers.commands.experiments.accounts import accounts_of
from handlers.commands.experiments.companies import companies_of, decided_in_one_name, in_one_name, names_beside
from handlers.commands.experiments.holdouts import lift_json, lifts_of, tell_lift
from handlers.commands.experiments.reckoning import result_of
from handlers.commands.experiments.steps import RESPONSE_DAYS, is_message, rows_of
from handlers.commands.experiments.telling import result_json, step_table, tell_experiment, tell_result
from handlers.commands.options import Format, FormOption, JsonOption
from handlers.commands.policies.choosing import chosen_policy, policy_of_history
from handlers.commands.policies.trying import held_in, lived, without_outcomes
from handlers.commands.regime_changes import regimes_now
from handlers.commands.simulate import events_of
from handlers.commands.simulation import Simulation
from handlers.terminal.documents import in_json
from models.events.envelope import ClientEvent, epoch_ms
from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument, policy_of
from models.policy.policy import Policy
from models.triggers import Decision, DecisionOutcome
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.codec import decode_event
from streams.wire.partitioning import partition_of
from streams.wire.reading import read_each
from streams.wire.topics import CLIENT_EVENTS, DECISIONS

experiments = App(
    name="experiments",
    help="""Show the experiments of a policy, how each stands, what care is worth, and how the steps of all sequences do.

    An experiment is a part of the policy file: arms of a step that differ in words, tone, channel or a wait. Companies are drawn
    by a digest and keep their arm. End one at once, for everybody: rapport halt experiment NAME --reason "..."
    """,
)

PolicyOption: TypeAlias = Annotated[
    Path | None,
    Parameter(name="--policy", help="The policy file; default: the activated policy, RAPPORT_POLICY_FILE, the shipped one."),
]
HistoryOption: TypeAlias = Annotated[
    Path | None, Parameter(help="A history, lived through in memory under the policy; none: what the running system did.")
]


@dataclass(frozen=True, slots=True)
class _Told:
    events: list[AnyClientEvent]
    decisions: list[Decision]
    now_ms: int


@experiments.command(name="list")
def list_experiments(*, policy: PolicyOption = None) -> None:
    """List the experiments of a policy: what is compared, with whom, and what was fixed before it began.

    Example: rapport experiments list --policy firm.yaml
    """
    settings = load_settings()
    chosen = chosen_policy(policy) if policy else _in_force(settings)
    for row in chosen.experiments:
        print("\n".join(tell_experiment(row)))
    if not chosen.experiments:
        print(f"The policy {chosen.version} has no experiment.")


@experiments.command
def report(
    history: HistoryOption = None,
    /,
    *,
    name: Annotated[str | None, Parameter(help="This experiment only.")] = None,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Say how each experiment stands: difference in days to pay and in money, with a range that holds however often you look.

    One outcome per company, adjusted by its own past days late within segment and size. Clients that were merged, and clients one
    of which pays for the other, are one company, in the arm of the one that stands. "Not decidable" is an answer, and says how
    many companies would tell. An alarm says that the groups cannot have come from the draw; STOP that a guardrail (opt-outs,
    complaints, disputes, holds, sent after paid) is worse than in the first arm beyond its limit and beyond chance.

    Of a HISTORY the program lives through, the clients did what they did under other messages: it tries the experiment out and
    shows who would be exposed, and its differences mean nothing.

    For example:

        rapport experiments report
        rapport experiments report history.jsonl --policy firm.yaml --name help_at_once

    Exit codes: 0 told, 1 a draw is broken or a guardrail says stop, 2 no such experiment, or a file cannot be read.
    """
    settings = load_settings()
    chosen = chosen_policy(policy) if policy or history else _in_force(settings)
    wanted = [row for row in chosen.experiments if name in {None, row.name}]
    if not wanted:
        known = ", ".join(row.name for row in chosen.experiments) or "none"
        message = f"the policy {chosen.version} has no experiment{f' {name}' if name else ''}; it has: {known}"
        raise UsageError(message)
    names = {row.name for row in wanted}

    def matters(decision: Decision) -> bool:
        return decision.experiment.name in names if decision.experiment else decision.outcome is DecisionOutcome.SENT_AFTER_PAID

    parts = list(_told(settings, history, chosen, matters, fixed=policy is not None, form=form, asked=asked))
    events = [event for part in parts for event in part.events]
    if history is None:
        events += _beside(settings, events, {decision.client_id for part in parts for decision in part.decisions})
    told = _of_companies(events, [row for part in parts for row in part.decisions], max(part.now_ms for part in parts))
    accounts = accounts_of(told.events)
    results = [result_of(row, told.events, told.decisions, accounts, now_ms=told.now_ms) for row in wanted]
    if as_json:
        print(in_json([result_json(row) for row in results]))
    else:
        for row in results:
            print("\n".join(tell_result(row)))
    return int(any(row.is_alarming or any(each.stops for each in row.differences) for row in results))


@experiments.command
def holdouts(
    history: HistoryOption = None,
    /,
    *,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Say what each journey is worth: companies that got its care held against those left without it on purpose.

    A holdout is a part of the policy file (holdout.percent, holdout.journeys); servicing is withheld from nobody. One outcome per
    company from the moment at which a contact would have left, adjusted by its own past within segment and size, with a range
    that holds however often you look. Journeys before a renewal are judged by contracts that go on, check-ins by money received
    within 90 days, all others by the days late of what became due within 60. "Not decidable" is an answer. Older decision records
    do not say who was left out. An alarm says that the groups cannot have come from the draw.

    For example:

        rapport experiments holdouts
        rapport experiments holdouts history.jsonl --policy firm.yaml

    Exit codes: 0 told, 1 a draw is broken, 2 a file cannot be read.
    """
    settings = load_settings()
    chosen = policy_of_history(policy, history)
    parts = list(
        _told(settings, history, chosen, lambda row: bool(row.holdouts), fixed=policy is not None, form=form, asked=asked)
    )
    decisions = [decision for part in parts for decision in part.decisions]
    events = [event for part in parts for event in part.events]
    if history is None:
        events += _beside(settings, events, {decision.client_id for decision in decisions})
    events.sort(key=lambda event: event.received_ms)
    company, now_ms = companies_of(events), max(part.now_ms for part in parts)
    told = in_one_name(events, company)
    lifts = lifts_of(told, decisions, accounts_of(told), company, now_ms=now_ms)
    if as_json:
        print(in_json([lift_json(row) for row in lifts]))
    else:
        for row in lifts:
            print("\n".join(tell_lift(row)))
        if not lifts:
            print("No company was left without care, so nothing can be compared: set holdout.percent or .journeys in the policy.")
    return int(any(row.is_alarming for row in lifts))


@experiments.command
def steps(
    history: HistoryOption = None,
    /,
    *,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Say how every step of every sequence does: response and days to pay per segment and arm, with the counts they rest on.

    Response: the client paid, answered, promised, asked for something or disputed within two weeks. Days: from the message until
    its invoice was paid, at the median, counted up to sixty. It says what followed, not what was caused: for that, compare arms.

    For example:

        rapport experiments steps
        rapport experiments steps history.jsonl

    Exit codes: 0 told, 1 a server is away, 2 a file cannot be read.
    """
    settings = load_settings()
    chosen = policy_of_history(policy, history)
    parts = _told(settings, history, chosen, is_message, fixed=policy is not None, form=form, asked=asked)
    rows = rows_of((told.events, told.decisions, told.now_ms) for told in parts)
    if as_json:
        print(in_json([row.as_json() for row in rows]))
        return 0
    Console(width=None if sys.stdout.isatty() else 150, highlight=False).print(step_table(rows))
    print(f"response within {RESPONSE_DAYS} days, of messages that old or answered; - means too few to say")
    return 0


def _in_force(settings: Settings) -> Policy:
    """Return the policy that was activated last, else the one a worker would start with."""
    active = next((found for regime in regimes_now(settings) if (found := regime.policy()) is not None), None)
    if active is None:
        return chosen_policy(None)
    return policy_of(PolicyDocument.model_validate_json(active.document), home_zone=settings.firm_timezone)


def _told(
    settings: Settings,
    history: Path | None,
    policy: Policy | None,
    matters: Callable[[Decision], bool],
    *,
    fixed: bool,
    form: Format | None,
    asked: Asked | None,
) -> Iterator[_Told]:
    """Yield what was told and done: of a history at once, of the running system partition by partition, and what matters only.

    Stops and late sources that a history tells hold; a policy that was named (`fixed`) decides to its end.
    """
    if history is None or policy is None:
        for partition in range(settings.partitions):
            yield asyncio.run(_logged(settings, partition, matters))
        return
    events: list[AnyClientEvent] = []
    decisions: list[Decision] = []
    simulation = Simulation(policy=policy)
    told = without_outcomes(events_of(history, form=form, asked=asked or Asked()))
    for happening in lived(simulation, told, held_in(history, fixed=fixed)):
        if isinstance(happening.event, ClientEvent):
            events.append(happening.event)
        decisions += [output for output in happening.outputs if isinstance(output, Decision)]
    yield _Told(events, decisions, simulation.now_ms)


def _of_companies(events: list[AnyClientEvent], decisions: list[Decision], now_ms: int) -> _Told:
    """Return what was told and decided as of companies, which may go by several names, in the order of arrival."""
    told = sorted(events, key=lambda event: event.received_ms)
    company = companies_of(told)
    return _Told(in_one_name(told, company), decided_in_one_name(decisions, company), now_ms)


def _beside(settings: Settings, events: list[AnyClientEvent], known: set[str]) -> list[AnyClientEvent]:
    """Return what was told of the same companies in names that were not read yet."""
    found: list[AnyClientEvent] = []
    while names := names_beside([*events, *found]) - known:
        for partition in sorted({partition_of(name, settings.partitions) for name in names}):
            found += asyncio.run(_events_of(settings, partition, {name.encode() for name in names}))
        known = known | names
    return found


async def _events_of(settings: Settings, partition: int, clients: Collection[bytes]) -> list[AnyClientEvent]:
    """Return the events of some clients of a partition; those of others are read, not kept."""
    events = list[AnyClientEvent]()

    def keep(record: Any) -> None:  # noqa: ANN401 - what a client library returned
        if record.key in clients and isinstance(event := decode_event(record.value), ClientEvent):
            events.append(event)

    if clients:
        await read_each(settings, CLIENT_EVENTS.name, partitions=[partition], see=keep)
    return events


async def _logged(settings: Settings, partition: int, matters: Callable[[Decision], bool]) -> _Told:
    """Return the decisions that matter, each once, and the events of their clients; the rest is read, not kept."""
    clients, decisions = set[bytes](), dict[str, Decision]()

    def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
        decision = Decision.model_validate_json(record.value)
        if matters(decision) and not is_canary(decision.client_id):
            clients.add(decision.client_id.encode())
            decisions.setdefault(decision.decision_id, decision)

    await read_each(settings, DECISIONS.name, partitions=[partition], see=see)
    events = await _events_of(settings, partition, clients)
    now_ms = epoch_ms(make_clock(settings.clock_file).now())
    return _Told(sorted(events, key=lambda event: event.received_ms), list(decisions.values()), now_ms)

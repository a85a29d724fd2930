"""`rapport policy migrate`: show what changes if runs under way go on by another policy, and with a yes let them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from handlers.commands.book.plan import Asked
from handlers.commands.history import read_controls
from handlers.commands.options import Author, FormOption, JsonOption, end_of_day_ms
from handlers.commands.policies.activation import activated, sound_policy
from handlers.commands.policies.choosing import chosen_policy
from handlers.commands.policies.migration import Preview, Scope, preview, tell, unknown
from handlers.commands.policies.standing import read_standing
from handlers.commands.policies.trials import HistoryOption, told_events
from handlers.commands.policies.trying import live
from handlers.commands.regime_changes import author_named, put_in_force, worded
from handlers.terminal.documents import in_json
from models.events.control import MOST_CLIENTS, RunsMigrated
from models.events.envelope import epoch_ms
from models.state.client import ClientState
from models.workdays import moment
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.control import control_id

JourneysOption: TypeAlias = Annotated[
    tuple[str, ...], Parameter(name="--journey", help="Only runs of this journey; may be given again. Default: of every one.")
]
ClientsOption: TypeAlias = Annotated[
    tuple[str, ...], Parameter(name="--client", help="Only runs of this client; may be given again. Default: of every one.")
]


def migrate(
    file: Annotated[
        Path | None, Parameter(help="The policy that runs would go on by once it is activated; default: the one in force.")
    ] = None,
    /,
    *,
    history: HistoryOption = None,
    from_live: Annotated[
        bool, Parameter(name="--live", negative=(), help="The clients of the running deployment as they stand now.")
    ] = False,
    as_of: Annotated[datetime | None, Parameter(help="Look at a history as of this day; default: its last event.")] = None,
    journeys: JourneysOption = (),
    clients: ClientsOption = (),
    yes: Annotated[
        bool, Parameter(name="--yes", negative=(), help="Let what is shown go on by the policy in force, with --live.")
    ] = False,
    reason: Annotated[str, Parameter(help="Why; with --yes, it is kept with every run that moves.")] = "",
    author: Author = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Show what changes for runs under way if they go on by another policy; only with --yes are they moved.

    An activation leaves what has begun as it was begun. This shows, per client and journey, which steps a run would gain and
    lose, and which would come on another day or in another tone; days are those on which a step is due by itself. A run keeps its
    place by the names of its steps: it goes on behind the last one it has taken, never says one twice and passes over none.

    With --yes the move travels through the log of every partition, once. What is on its way, waits for a yes or lies with a
    colleague ends first as it was begun. Runs without a step left stay where they are. A policy from a FILE is activated first.

    With --journey or --client only these are shown and moved, at most 20 clients at once; all others stay as they are and may be
    moved later. Both together mean runs of these journeys of these clients.

    For example:

        rapport policy migrate firm.yaml --history history.jsonl
        rapport policy migrate --live --reason "the gentler letters hold for all" --yes
        rapport policy migrate --live --client hollis-wray --client ada --journey pre_renewal --reason "as agreed with them" --yes

    Exit codes: 0 shown or moved, 1 a server is away or a worker has not followed yet, 2 wrong usage, or a file cannot be read.
    """
    settings, scope = load_settings(), Scope(tuple(dict.fromkeys(journeys)), tuple(dict.fromkeys(clients)))
    _check_usage(file, history, as_of, scope=scope, from_live=from_live, yes=yes, reason=reason)
    read = None if file is None else sound_policy(file, settings)
    bound, states, now_ms = (
        _as_it_stands(settings, to_move=yes) if from_live else _told(history, as_of=as_of, form=form, asked=asked)
    )
    if (objection := unknown(scope, bound, states)) is not None:
        raise UsageError(objection)
    target = None if read is None else activated(read, settings, moment(now_ms), author=author, reason=reason)
    found = preview(bound, states, now_ms=now_ms, target=target, scope=scope)
    print(in_json(found.as_json()) if as_json else "\n".join(tell(found, regime=bound.regime)))
    if yes:
        return _carry_out(settings, found, scope, reason=reason, author=author, as_json=as_json)
    if found.rows and not as_json:
        first = f"rapport policy activate {file} --reason ..., then " if file is not None else ""
        print(f"\nNothing was changed. To let them: {first}rapport policy migrate --live{scope.options} --reason ... --yes")
    return 0


def _check_usage(
    file: Path | None,
    history: Path | None,
    as_of: datetime | None,
    *,
    scope: Scope,
    from_live: bool,
    yes: bool,
    reason: str,
) -> None:
    message = ""
    if from_live and (history is not None or as_of is not None):
        message = "--live begins now, from the running deployment: leave out --history and --as-of"
    elif yes and not from_live:
        message = "--yes moves the runs of the running deployment: add --live"
    elif yes and file is not None:
        message = f"runs can be moved to a policy in force only; first: rapport policy activate {file}, then without the file"
    elif yes and len(scope.clients) > MOST_CLIENTS:
        message = f"{len(scope.clients)} clients are named, {MOST_CLIENTS} can be moved at once: say it in several commands"
    elif yes and not reason.strip():
        message = 'say why: --reason "..."; it stands in the record of every run that moves'
    if message:
        raise UsageError(message)


def _as_it_stands(settings: Settings, *, to_move: bool) -> tuple[ClientProgram, tuple[ClientState, ...], int]:
    """Return what holds in the running deployment, its clients, and now."""
    standing = read_standing(settings, chosen_policy(None))
    if to_move and standing.travelling:
        message = "another change is on its way through the partitions; look once more when it holds in all: rapport lag"
        raise UsageError(message)
    return standing.bound, standing.states, standing.now_ms


def _told(
    history: Path | None, *, as_of: datetime | None, form: FormOption, asked: Asked | None
) -> tuple[ClientProgram, tuple[ClientState, ...], int]:
    """Return what holds at the end of a history, and its clients then."""
    chosen = chosen_policy(None)
    events = told_events(history, form=form, asked=asked or Asked())
    now_ms = max(event.received_ms for event in events) if as_of is None else end_of_day_ms(as_of)
    life = live(chosen, events, until_ms=now_ms, controls=read_controls(history))
    states = life.simulation.states
    return life.simulation.bound, tuple(states[name] for name in sorted(states) if not states[name].erased_ms), now_ms


def _carry_out(settings: Settings, found: Preview, scope: Scope, *, reason: str, author: str | None, as_json: bool) -> int:
    if not found.rows:
        if not as_json:
            print("Nothing was changed.")
        return 0
    now = make_clock(settings.clock_file).now()
    with worded():
        event = RunsMigrated(
            event_id=control_id("migrate", found.version, *found.versions, *scope.journeys, *scope.clients, epoch_ms(now)),
            source="cli",
            occurred_at=now,
            received_at=now,
            author=author_named(author),
            reason=reason,
            version=found.version,
            versions=found.versions,
            journeys=scope.journeys or None,
            clients=scope.clients or None,
        )
    count = put_in_force(settings, event)
    if not as_json:
        print(f"\nThey go on by {found.version}: in force on all {count} partitions; rapport inspect client ID says so of each")
    return 0

"""`rapport learners`: versions, what is in force, checks, payback, cohorts and seasons (`learners`, a cyclopts App)."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from handlers.commands.book.horizon import AskedToJudge
from handlers.commands.learners.budgeting import budget
from handlers.commands.learners.checking import check as run_check
from handlers.commands.learners.choosing import challenger, champion, pinned, promoted, rolled_back, trusted
from handlers.commands.learners.curves import cohort_lines, season_lines
from handlers.commands.learners.desk import Stand, read_stand
from handlers.commands.learners.from_file import pay_cohorts
from handlers.commands.learners.regenerating import regenerate
from handlers.commands.learners.telling import as_json, checked_words, payback_lines, show_lines, table_of
from handlers.commands.options import JsonOption
from handlers.commands.regime_changes import author_named, put_in_force
from handlers.terminal.documents import in_json
from handlers.terminal.waiting import counted
from models.events.control import LearnerActivated
from models.learners.activation import LATENESS, RENEWAL
from models.learners.cohorts import PayCohorts, RenewalCohorts, cohort_rows
from models.learners.renewal_snapshot import load_renewal
from models.learners.seasons import halves_of
from models.regime import encode_regime
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.policy_file import policy_in_force

learners = App(
    name="learners",
    help="""Show the versions of the learners and how good they are, and choose which of them decides.

    `rapport run-trainer` publishes a version a day and, unless RAPPORT_LEARNER_ACTIVATION=manual, activates it when it was not
    worse than the plain rules. What you choose here travels through the log of clients: every partition scores by it from that
    record on, decisions name it, and a replay does the same.

    Exit codes: 0 in force, or shown; 1 a server is away, or no worker has taken it up within 10 seconds
    (it is on the log, and in force as soon as one runs); 2 no such version, or this release cannot use it.
    """,
)

learners.command(regenerate)


Why = Annotated[str, Parameter(help="Why, for whoever reads the log later.")]
Learner = Annotated[Literal["lateness", "renewal"], Parameter(help="Which learner, where no version says it.")]
Anyway = Annotated[bool, Parameter(negative=(), help="Although the last check of stored features failed.")]
Book = Annotated[Path | None, Parameter(help="A receivables CSV; none: what the running trainer knows.")]
Version = Annotated[str, Parameter(help="A version that `list` shows, or its beginning.")]


@learners.command(name="list")
def list_versions(*, json_: JsonOption = False) -> None:
    """List the versions, the latest last: from when, how good at that time, and which one decides.

    Log loss (lower is better) is over about the last 500 questions that were answered before the version was taken, each judged
    before it was learned. `rules` is what the plain rules scored on the same ones: of an invoice the client's own share of late
    ones, of a renewal the share renewed of the contract's type.

    Example: rapport learners list
    """
    stand = _stand(load_settings())
    if json_:
        print(in_json([as_json(row, stand) for row in stand.versions]))
    elif stand.versions:
        print("\n".join(table_of(stand)))
    else:
        print("No version yet: the rules decide. Start rapport run-trainer; it publishes one a day of answered questions.")


@learners.command
def show(
    version: Annotated[str | None, Parameter(help="A version; default: what is in force, of all learners.")] = None, /
) -> None:
    """Show what is in force and how good it is: log loss, AUC, reliability by tenths, how often the pay-date range held, drift.

    With a VERSION: that one, as it was published.

    Example: rapport learners show
    """
    stand = _stand(load_settings())
    print("\n".join(show_lines(stand, None if version is None else stand.version(version))))


@learners.command
def activate(version: Version, /, *, anyway: Anyway = False, reason: Why = "chosen by a person") -> int:
    """Let a version decide from now on, until a later one passes the guard. Frees what was pinned.

    Example: rapport learners activate lateness-7a50.4210 --reason "reviewed on Monday"
    """
    settings = load_settings()
    stand = _stand(settings)
    found = stand.version(version)
    trusted(stand, found, anyway=anyway)
    return _put(settings, [champion(settings, found, reason, pinned=False)])


@learners.command
def pin(
    version: Annotated[str | None, Parameter(help="A version; default: the one that decides now.")] = None,
    /,
    *,
    learner: Learner = LATENESS,
    anyway: Anyway = False,
    reason: Why = "pinned by a person",
) -> int:
    """Let a version decide and keep it: automatic activation stops until `rapport learners activate`.

    Example: rapport learners pin --reason "no changes before the audit"
    """
    settings = load_settings()
    return _put(settings, pinned(settings, _stand(settings), version, reason, learner=learner, anyway=anyway))


@learners.command
def rollback(version: Version, /, *, reason: Why) -> int:
    """Go back to an earlier version and keep it, as `pin` does, so that the one that disappointed does not come back by itself.

    Example: rapport learners rollback lateness-7a50.3980 --reason "scores new clients too high since Tuesday"
    """
    settings = load_settings()
    return _put(settings, rolled_back(settings, _stand(settings), version, reason))


@learners.command
def shadow(
    version: Annotated[str | None, Parameter(help="The version to score beside the one that decides.")] = None,
    /,
    *,
    stop: Annotated[bool, Parameter(negative=(), help="End it.")] = False,
    learner: Learner = LATENESS,
    reason: Why = "a challenger",
) -> int:
    """Score a challenger beside the champion: it decides nothing, decisions and examples record both, `show` compares them.

    Only questions put after the challenger was trained count, so it never answers what it has learned.

    Example: rapport learners shadow lateness-7a50.4210
    """
    if (version is None) != stop:
        message = "name the version of the challenger, or say --stop"
        raise UsageError(message)
    settings = load_settings()
    found = None if version is None else _stand(settings).version(version)
    return _put(settings, [challenger(settings, found, reason, learner=learner)])


@learners.command
def promote(*, learner: Learner = LATENESS, anyway: Anyway = False, reason: Why = "the challenger was better") -> int:
    """Let the challenger decide, in the place of the champion.

    Example: rapport learners promote --reason "log loss .39 against .41 on 600 invoices"
    """
    settings = load_settings()
    return _put(settings, promoted(settings, _stand(settings), reason, learner=learner, anyway=anyway))


@learners.command
def check(
    *,
    share: Annotated[float, Parameter(help="Share of the clients, another sample each night.")] = 0.02,
    days: Annotated[int, Parameter(help="Only what was answered in so many days.")] = 30,
    settle_minutes: Annotated[float, Parameter(help="Leave out what may still be on its way.")] = 15.0,
    json_: JsonOption = False,
) -> int:
    """Fold the log of a sample of clients anew, and compare features and answer of each answered question.

    The trainer does so by itself once a day (RAPPORT_LEARNER_CHECK_HOURS). A learner that is served other features than it
    learned from is wrong in ways nobody sees; so while the latest check has failed (more than 1 question in 1,000 differs, is
    missing or too many), no version puts itself in force, and `activate`, `promote` and `pin` refuse another one. It reads the
    client log and the examples once; memory goes with the share. Where the share holds fewer than 100 questions, more clients
    are taken.

    Example: rapport learners check --share 0.05

    Exit codes: 0 the same or nothing to compare, 1 they differ or a server is away.
    """
    settings = load_settings()
    now = make_clock(settings.clock_file).now()
    author = author_named(None)
    result = asyncio.run(
        run_check(settings, share=share, days=days, settle_minutes=settle_minutes, now=now, author=author, counted=counted)
    )
    print(result.model_dump_json(indent=2) if json_ else checked_words(result))
    return 0 if result.passed else 1


@learners.command
def payback() -> int:
    """Show in how many months won clients pay back what winning them cost: the firm, each contract type, each segment.

    What winning cost is told with the contract (`acquisition_cost`), else by the policy (`value.acquisition_units`); margin and
    servicing cost are the policy's. Learned from answered renewals by `rapport run-trainer`, with a range.

    Example: rapport learners payback

    Exit codes: 0 shown, 1 no learner of renewals is active or a server is away.
    """
    settings = load_settings()
    started, stand = policy_in_force(settings), _stand(settings)
    active = stand.active(learner=RENEWAL)
    if active is None:
        print("no learner of renewals is active yet: rapport run-trainer learns one from answered renewals")
        return 1
    bound = ClientProgram(started).under(encode_regime(stand.regimes[0]))
    print("\n".join(payback_lines(load_renewal(active.snapshot), bound.policy.value)))
    return 0


learners.command(budget)


@learners.command
def cohorts(file: Book = None, /, *, asked: AskedToJudge | None = None, json_: JsonOption = False) -> int:
    """Show how clients of one onboarding month, service line or contract type go: days to pay, renewals, raises.

    "paid by day 30" is the share of invoices paid within 30 days after they were issued; "kept" is the share of contracts still
    there after the first, second, third renewal, "raised" the share of the renewed that went up by a tenth or more. Kept by
    `rapport run-trainer` with every answered invoice and renewal; blank where fewer than five are known. With FILE, a
    receivables CSV, it needs no server: the invoices of the book are told as in `rapport evaluate`; it says nothing of renewals.

    Example: rapport learners cohorts book.csv

    Exit codes: 0 shown, 1 nothing is answered yet or a server is away, 2 wrong usage.
    """
    rows = list(cohort_rows(*_tallies(file, asked)))
    if not rows:
        print(_nothing(file))
        return 1
    print(in_json([asdict(row) for row in rows]) if json_ else "\n".join(cohort_lines(rows)))
    return 0


@learners.command
def seasons(file: Book = None, /, *, asked: AskedToJudge | None = None, json_: JsonOption = False) -> int:
    """Show the year by half months: when many contracts renew (cliff), when less goes well (freeze), and more (favourable).

    A half month is marked when it differs from the rest of the year in two years at least, by more than chance and by enough to
    matter: twice as many renewals, or a tenth more or fewer that go well. Cliffs are printed as the policy file takes them.
    With FILE, a receivables CSV, it needs no server and says nothing of renewals.

    Example: rapport learners seasons book.csv

    Exit codes: 0 shown, 1 nothing is answered yet or a server is away, 2 wrong usage.
    """
    pay, known = _tallies(file, asked)
    renewals, invoices = halves_of(known.due, crowds=True), halves_of(pay.due)
    if not any(row.known for row in (*renewals, *invoices)):
        print(_nothing(file))
        return 1
    if json_:
        said = {"renewals": [asdict(row) for row in renewals], "invoices": [asdict(row) for row in invoices]}
        print(in_json(said))
    else:
        print("\n".join(season_lines(renewals, invoices)))
    return 0


def _nothing(file: Path | None) -> str:
    if file is None:
        return "no invoice and no renewal is answered yet; rapport run-trainer counts them"
    return f"no invoice of {file.name} is answered: none fell due a month before its end"


def _tallies(file: Path | None, asked: AskedToJudge | None) -> tuple[PayCohorts, RenewalCohorts]:
    """Return what is known of invoices and renewals, by the running trainer or from a file."""
    settings = load_settings()
    if file is not None:
        return pay_cohorts(file, asked=asked or AskedToJudge(), settings=settings), RenewalCohorts()
    if asked is not None:
        message = "how a file is to be read was said, but not which: name it first"
        raise UsageError(message)
    stand = _stand(settings)
    return stand.pay, stand.renewals


def _stand(settings: Settings) -> Stand:
    return asyncio.run(read_stand(settings))


def _put(settings: Settings, events: list[LearnerActivated]) -> int:
    count = put_in_force(settings, *events)
    first = events[0]
    pinned = ", pinned" if first.pinned else ""
    print(f"{first.learner}: {first.version} as {first.role.value}{pinned}: in force on all {count} partitions")
    return 0

"""`rapport segments evaluate|movers|reviews|tiers|graces|observe|backtest|windows` (`segments`, a cyclopts App)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.book.horizon import AskedToJudge
from handlers.commands.export import needed_history
from handlers.commands.files import check_target, writing
from handlers.commands.held_history import hold_history
from handlers.commands.known_book import say_unknown
from handlers.commands.options import (
    AgainstOption,
    Author,
    BookOption,
    Format,
    FormOption,
    JsonOption,
    LiveOption,
    PolicyOption,
    ReportOption,
    SampleOption,
)
from handlers.commands.policies.choosing import chosen_policy, policy_held_against, policy_of_history
from handlers.commands.regime_changes import author_named
from handlers.commands.segments.decided import moves_decided
from handlers.commands.segments.deciding import as_json as proposed_json
from handlers.commands.segments.deciding import proposals
from handlers.commands.segments.deciding import tell as proposed_lines
from handlers.commands.segments.graces import learn, yaml
from handlers.commands.segments.judging import Judged, judge
from handlers.commands.segments.living import Living
from handlers.commands.segments.movers import movers as found_movers
from handlers.commands.segments.movers import page, read_quarter, tell
from handlers.commands.segments.observing import observe as watched
from handlers.commands.segments.observing import page as observed_page
from handlers.commands.segments.observing import tell as observed_lines
from handlers.commands.segments.reviewing import Review, end, kept
from handlers.commands.segments.reviewing import tell as told
from handlers.commands.segments.shifts import compare_sample as tried
from handlers.commands.segments.shifts import tell as trial_lines
from handlers.commands.segments.tiers import FIELDS, LEAST, propose
from handlers.terminal.documents import in_json
from handlers.terminal.waiting import counted
from models.events.union import AnyClientEvent
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_reviews import RedisReviews
from streams.state.redis_store import connect_redis

segments = App(
    name="segments",
    help="""Look at segments as a whole: how steady they are, who moved and why, where the tiers could be cut.

    Everything here reads and tells; nothing moves a client, writes a state or sends a message.
    """,
)


@segments.command
def evaluate(
    file: BookOption = None,
    /,
    *,
    live: LiveOption = False,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Live a history three times and say how steady segments are: rules alone, filter alone, and both as in production.

    Flips are moves between reliable, slow and problem per client and year; the Rand index holds each Monday's segments against
    the next (1: nobody moved); "late ahead" is the share of invoices falling due in the next 90 days that were more than five
    days late: far apart is good. Columns of a CSV are found as in rapport import; those that tell the future are left out.

    Example: rapport segments evaluate book.csv

    Exit codes: 0 evaluated, 1 nobody was known long enough or a server is away (--live), 2 wrong usage.
    """
    chosen = chosen_policy(policy)
    found = judge(_history(file, live=live, form=form, asked=asked), chosen)
    if as_json:
        print(in_json([_judged_json(row) for row in found]))
    else:
        Console(width=130, highlight=False).print(_judged_table(_name(file), found))
    return 0 if any(row.client_years for row in found) else 1


@segments.command
def movers(
    file: Annotated[Path | None, Parameter(help="A history to live through; none: the decisions of the running system.")] = None,
    /,
    *,
    quarter: Annotated[str | None, Parameter(help="As 2026Q1; default: the latest in which somebody moved.")] = None,
    report: ReportOption = None,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Report who moved between segments in a quarter: from, to, why, how sure, and the money involved.

    Without FILE the decisions topic of the running system is read; with FILE the history is lived through under the policy.

    Example: rapport segments movers book.csv --quarter 2026Q1 --report movers.html

    Exit codes: 0 told, 1 nobody ever moved or a server is away, 2 wrong usage.
    """
    wanted, chosen = None if quarter is None else read_quarter(quarter), policy_of_history(policy, file)
    check_target(report, "--report")
    if file is None or chosen is None:
        decisions, source = asyncio.run(moves_decided(load_settings(), counted=counted)), "the log of decisions"
    else:
        living = Living(chosen).live(_history(file, live=False, form=form, asked=asked))
        decisions, source = living.moves, file.name
    found = found_movers(decisions, quarter=wanted)
    if found is None:
        print("nobody has moved yet")
        return 1
    print(in_json(found.as_json()) if as_json else "\n".join(tell(found)))
    if report is not None:
        _write(report, page(found, source=source))
    return 0


@segments.command
def tiers(
    file: BookOption = None,
    /,
    *,
    live: LiveOption = False,
    policy: PolicyOption = None,
    form: FormOption = None,
    asked: AskedToJudge | None = None,
) -> int:
    """Propose cut-points of the recency, frequency and monetary tiers from the firm's own quartiles, ready for the policy file.

    Shows how many clients are in each tier by the policy's cut-points and by the proposed ones. Nothing is changed.

    Example: rapport segments tiers book.csv

    Exit codes: 0 proposed, 1 too few clients have paid or a server is away (--live), 2 wrong usage.
    """
    chosen = chosen_policy(policy)
    living = Living(chosen).live(_history(file, live=live, form=form, asked=asked))
    found = propose(living.states.values(), chosen)
    if found is None:
        print(f"fewer than {LEAST} clients have paid: quartiles would be an accident")
        return 1
    table = Table(title=f"{found.clients:,} clients with a payment, by tier", title_justify="left")
    for name in ("tier", "cut-points", "1 (low)", "2", "3", "4 (high)"):
        table.add_column(name)
    for name, counts in found.now.items():
        field = FIELDS[name]
        table.add_row(f"{name}, policy", _cuts(getattr(chosen.rfm, field)), *map(str, counts))
        table.add_row(f"{name}, proposed", _cuts(getattr(found.cuts, field)), *map(str, found.then[name]))
    Console(width=110, highlight=False).print(table)
    print(found.yaml())
    return 0


@segments.command
def graces(
    file: BookOption = None,
    /,
    *,
    live: LiveOption = False,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Propose how long a courtesy each segment gets after the due date, ready for the policy file (support.segment_grace).

    One more day is waited as long as half of what is still open then comes by itself within the gap between two contacts: the
    policy's grace_days at least, 14 days at most. Messages of the time brought some of it in, so read it as an upper bound, and
    try it with rapport policy backtest. Nothing is changed.

    Example: rapport segments graces book.csv

    Exit codes: 0 proposed, 1 too few invoices of any segment were late or a server is away (--live), 2 wrong usage.
    """
    chosen = chosen_policy(policy)
    living = Living(chosen).live(_history(file, live=live, form=form, asked=asked))
    found = learn(living.states.values(), chosen)
    known = any(row.days is not None for row in found)
    if as_json:
        print(in_json([row.as_json() for row in found]))
        return 0 if known else 1
    table = Table(title="Courtesy after the due date, in days", title_justify="left")
    for name in ("segment", "invoices", "policy", "learnt"):
        table.add_column(name)
    for row in found:
        table.add_row(row.segment.value, f"{row.invoices:,}", str(row.now), "too few late" if row.days is None else str(row.days))
    Console(width=110, highlight=False).print(table)
    if known:
        print(yaml(found))
    return 0 if known else 1


@segments.command
def observe(
    file: BookOption = None,
    /,
    *,
    live: LiveOption = False,
    report: ReportOption = None,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Let a clustering observer look at a history and propose patterns. It reads, and moves nobody.

    Each Monday it looks at every client whose way of paying is known, and groups those that are alike (online k-means, fixed
    seed). At the end it says how each group differs, in which segments its clients are, and what a person could look into.

    Example: rapport segments observe book.csv

    Exit codes: 0 told, 1 too little history or a server is away (--live), 2 wrong usage.
    """
    chosen = chosen_policy(policy)
    check_target(report, "--report")
    found = watched(_history(file, live=live, form=form, asked=asked), chosen)
    print(in_json(found.as_json()) if as_json else "\n".join(observed_lines(found)))
    if report is not None:
        _write(report, observed_page(found, source=_name(file)))
    return 0 if found.groups else 1


@segments.command
def backtest(
    *,
    file: Annotated[Path, Parameter(name="--policy", help="The new policy file.")],
    history: BookOption = None,
    against: AgainstOption = None,
    sample: SampleOption = None,
    live: LiveOption = False,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Say who would stand in another segment, or in another audience, under a new policy: from where, to where, when and why.

    The history is lived through under both with the fold of production, before anything is activated. A client is listed that
    stands elsewhere at its end; audiences are looked at every Monday. A history with few clients or short of a year says little.
    With --live and no --against it is held against the policy in force. `rapport policy activate` does the same by itself.

    All clients are in memory meanwhile, under both policies. Where they are too many, --sample 2000 lives so many, always the
    same by their names, each with whoever is one company with it, and says how many of all would move: the 95 % interval.

    Example: rapport segments backtest --policy new.yaml --history book.csv

    Exit codes: 0 told, 1 a server is away (--live), 2 wrong usage.
    """
    old, new = policy_held_against(against, live=live), chosen_policy(file)
    found = tried(_history(history, live=live, form=form, asked=asked), old, new, clients=sample)
    print(in_json(found.as_json()) if as_json else "\n".join(trial_lines(found)))
    return 0


@segments.command
def windows(
    file: BookOption = None,
    /,
    *,
    live: LiveOption = False,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Propose when clients can decide about money: months in which they paid or began contracts year after year.

    Two years at least, counted back from the last whole month; who acts in more than four months has no window. A proposal does
    nothing by itself: ask the client, then confirm it with the command that is shown, and the day until which it shall hold.

    Example: rapport segments windows book.csv

    Exit codes: 0 proposed, 1 nobody stands out or a server is away (--live), 2 wrong usage.
    """
    found = proposals(_history(file, live=live, form=form, asked=asked))
    print(in_json(proposed_json(found)) if as_json else "\n".join(proposed_lines(found)))
    return 0 if found else 1


@segments.command
def reviews(
    quarter: Annotated[str | None, Parameter(help="As 2026Q1; none: all there are.")] = None,
    /,
    *,
    done: Annotated[bool, Parameter(help="You have read it: it is no open work any more.", negative="")] = False,
    note: Annotated[str, Parameter(help="What follows from it, for whoever reads it later.")] = "",
    author: Author = None,
    as_json: JsonOption = False,
) -> int:
    """Show the reviews of past quarters that the trainer has made by itself, or end one as read.

    On the policy's day of the quarter (segments.review_day, by UTC) `rapport run-trainer` counts who moved between segments and
    looks for groups among the clients as they stand. It is made once, names nobody, and stands in `rapport tasks list` until
    somebody has read it. Who moved: rapport segments movers --quarter 2026Q1.

    Example: rapport segments reviews 2026Q1 --done --note "two key accounts get a call"

    Exit codes: 0 told, 1 there is none yet or a server is away, 2 wrong usage.
    """
    if done and quarter is None:
        message = "say which: rapport segments reviews 2026Q1 --done"
        raise UsageError(message)
    wanted = None if quarter is None else read_quarter(quarter).name
    found = asyncio.run(_reviews(load_settings(), wanted if done else None, author=author_named(author), note=note))
    rows = [row for row in found if wanted in {None, row.quarter}]
    if not rows:
        print(f"there is no review{f' of {wanted}' if wanted else ''} yet: rapport run-trainer makes it on the policy's day")
        return 1
    lines = (line for row in rows for line in told(row))
    print(in_json([row.model_dump(mode="json") for row in rows]) if as_json else "\n".join(lines))
    return 0


async def _reviews(settings: Settings, ends: str | None, *, author: str, note: str) -> list[Review]:
    redis = connect_redis(settings)
    reviews = RedisReviews(redis, settings)
    try:
        if ends is not None:
            await end(reviews, ends, author=author, note=note, now=make_clock(settings.clock_file).now())
        return await kept(reviews)
    finally:
        await redis.aclose()


def _cuts(cuts: tuple[int, int, int]) -> str:
    return ", ".join(f"{cut:,}" for cut in cuts)


def _name(file: Path | None) -> str:
    return "the running deployment" if file is None else file.name


def _history(file: Path | None, *, live: bool, form: Format | None, asked: AskedToJudge | None) -> Sequence[AnyClientEvent]:
    with needed_history(file, live=live) as path:
        events, notes = hold_history(path, form=form, asked=asked or AskedToJudge())
        say_unknown(path, notes.unknown)
        return events


def _judged_table(name: str, found: list[Judged]) -> Table:
    table = Table(title=f"segments of {name}", title_justify="left")
    table.add_column("way", no_wrap=True)
    for title in ("years", "flips", "a year", "Rand", "late ahead: reliable", "new", "slow", "problem"):
        table.add_column(title, justify="right")
    for row in found:
        shares = (row.late_ahead(segment) for segment in ("reliable", "new", "slow", "problem"))
        cells = [f"{share:.0%} of {due:,}" if due else "-" for due, share in shares]
        table.add_row(
            row.name, f"{row.client_years:,.0f}", f"{row.flips:,}", f"{row.flips_per_year:.3f}", f"{row.rand:.4f}", *cells
        )
    return table


def _judged_json(row: Judged) -> dict[str, object]:
    ahead = {segment: dict(zip(("due", "late_share"), row.late_ahead(segment), strict=True)) for segment in row.ahead}
    return {
        "way": row.name,
        "client_years": row.client_years,
        "flips": row.flips,
        "flips_per_client_year": row.flips_per_year,
        "rand": row.rand,
        "late_ahead": ahead,
    }


def _write(path: Path, text: str) -> None:
    with writing(path, "--report"):
        path.write_text(text, encoding="utf-8")
    print(f"report: {path}")

"""`rapport evaluate-renewals`: how well would renewals have been foreseen? Exposes the function `evaluate_renewals`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.agreements.columns import Field
from handlers.commands.agreements.events import contract_history
from handlers.commands.agreements.reading import Agreements, AskedContracts, read_agreements
from handlers.commands.book.plan import Asked, make_plan
from handlers.commands.files import check_target, writing
from handlers.commands.known_book import known_book, say_unknown
from handlers.commands.options import ReportOption
from handlers.evaluation.contract_world import FIRST_DAY, World
from handlers.evaluation.renewal_judging import ChancesJudged, Truth, judge_after, judge_chances, judge_values
from handlers.evaluation.renewal_report import RenewalsJudged, months_words, renewal_page, values_words
from handlers.evaluation.renewal_telling import RenewalTelling
from handlers.evaluation.world_events import events_of
from handlers.evaluation.world_truth import came_of, luck_of, true_months, truth_of
from models.events.union import AnyClientEvent
from models.learners.lifetime import ValueTerms
from models.learners.payback import paybacks
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_snapshot import Published
from models.learners.retention import FIRM, Retention
from models.money import Money
from models.renewal_features import LEADS
from models.triggers import RenewalExample
from models.workdays import DAY_MS, moment
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings

_CUT: Final = 0.6
_WORLD_YEARS: Final = 4.0
_AHEAD_YEARS: Final = 5.0


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class AskedValue:
    """How the firm counts: what remains of a price, and what winning a client costs."""

    cost: Annotated[
        int, Parameter(help="What winning a client costs, in whole units, where no column and no --cost-of says.")
    ] = 0
    cost_of: Annotated[
        tuple[str, ...], Parameter(help="GROUP=UNITS that differ, e.g. type:retainer=900.", consume_multiple=True, negative="")
    ] = ()
    margin: Annotated[float, Parameter(help="Share of the price that remains.")] = 1.0
    servicing: Annotated[int, Parameter(help="What a contract costs a month, in whole units.")] = 0


@dataclass(slots=True)
class _Case:
    """One history ready to be told; `came` are the renewals that really came: (day, price) by contract."""

    name: str
    events: list[AnyClientEvent]
    came: dict[str, list[tuple[int, int]]]
    cut_day: int
    last_day: int
    until_day: int
    terms: ValueTerms
    unknown: set[tuple[str, int]] = field(default_factory=set)
    truth: Truth = field(default_factory=dict)
    true_months: dict[str, int | None] = field(default_factory=dict)
    luck: int = 0
    segments: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def evaluate_renewals(
    file: Annotated[Path | None, Parameter(help="A CSV of contracts; or else --synthetic.")] = None,
    /,
    *,
    synthetic: Annotated[int, Parameter(help="Instead of a file: a made-up firm of so many clients whose truth is known.")] = 0,
    seed: Annotated[int, Parameter(help="Which made-up firm: each number is another one.")] = 11,
    book: Annotated[Path | None, Parameter(help="A receivables CSV of the same clients: how they paid is then seen too.")] = None,
    report: ReportOption = None,
    value: AskedValue | None = None,
    asked: AskedContracts | None = None,
) -> int:
    """Tell a CSV of contracts to the live core and hold what it foresaw against what happened.

    Columns are guessed and overruled with --map: client, start, end and amount are needed; contract, type, renewed, raised,
    currency, segment and cost (of winning the client) help. A row is a period that ends with END, or, with --period DAYS, a
    whole contract. Every chance is stored before its outcome is known, and an outcome is learned 30 days after the renewal date.
    Printed are the chances, how good learners frozen after 50, 200 and 800 answers were, whether lifetime values held
    that were given after 60 % of the time, and in how many months each group pays back what winning a client costs.

    Example: rapport evaluate-renewals contracts.csv --period 365 --cost 2000 --report renewals.html

    Exit codes: 0 evaluated, 1 too little history for any figure, 2 wrong usage.
    """
    if (file is None) == (synthetic <= 0):
        message = "name one history: a CSV of contracts, or --synthetic CLIENTS"
        raise UsageError(message)
    if file is None and book is not None:
        message = f"--book {book} goes with a CSV of contracts: a made-up firm has its own invoices"
        raise UsageError(message)
    check_target(report, "--report")
    money = value or AskedValue()
    case = _made_up(synthetic, seed, money) if file is None else _from_file(file, book, asked or AskedContracts(), money)
    out = Console(width=120, highlight=False)
    for line in case.notes:
        out.print(line, markup=False)
    found = _judge(case)
    _print(out, found)
    if report is not None:
        _write(report, found)
        out.print(f"report: {report}", markup=False)
    if not found.chances:
        out.print("too few answered renewals for any chance: 30 must be learned, 5 of them of the rarer kind, before 40 more")
        return 1
    return 0


def _judge(case: _Case) -> RenewalsJudged:
    early = RenewalTelling(unknown=case.unknown)
    cut_ms = (case.cut_day + 1) * DAY_MS
    known = early.tell((event for event in case.events if event.received_ms < cut_ms), until_ms=cut_ms)
    scorer = PublishedRenewals(known.weights)
    values = judge_values(known.states, scorer, came=case.came, now_ms=cut_ms, until_day=case.until_day, luck=case.luck)
    told = early.tell((event for event in case.events if event.received_ms >= cut_ms), until_ms=(case.last_day + 1) * DAY_MS)
    retention = _retention(told.examples, case.segments) if case.segments else told.weights.retention
    return RenewalsJudged(
        name=case.name,
        about=(
            f"{told.events:,} events of {len(told.states):,} clients from {moment(told.first_ms).date()} to "
            f"{moment(told.last_ms).date()}; {len(told.examples):,} renewals were answered, the learners changed "
            f"{told.versions:,} times on the way. Every chance was stored before its outcome was known."
        ),
        chances=list(judge_chances(told.examples, case.truth, LEADS)),
        after=list(judge_after(told.examples, case.truth)),
        values=values,
        paybacks=paybacks(retention, case.terms),
        true_months=case.true_months,
        notes=case.notes,
    )


def _retention(examples: Sequence[RenewalExample], segments: dict[str, str]) -> Published:
    tallies = Retention()
    for row in examples:
        groups = [FIRM, f"type:{row.contract_type}"]
        if segments.get(row.client_id):
            groups.append(f"segment:{segments[row.client_id]}")
        tallies.see(row, groups)
    return Published.of(tallies)


def _made_up(clients: int, seed: int, money: AskedValue) -> _Case:
    world = World(seed, clients=clients, years=_WORLD_YEARS + _AHEAD_YEARS + 0.2, opens=_WORLD_YEARS - 1)
    lives = list(world.lives())
    last = FIRST_DAY + round(_WORLD_YEARS * 365)
    terms = _terms(money)
    return _Case(
        name=f"made-up firm {seed} of {clients} clients",
        events=events_of(lives, until_day=last),
        came=came_of(lives),
        cut_day=last,
        last_day=last,
        until_day=last + round(_AHEAD_YEARS * 365),
        terms=terms,
        truth=truth_of(lives),
        true_months=true_months(lives, terms, won_by=last),
        luck=luck_of(lives, cut_day=last, until_day=last + round(_AHEAD_YEARS * 365)),
    )


def _from_file(file: Path, book: Path | None, asked: AskedContracts, money: AskedValue) -> _Case:
    home = load_settings().firm_currency
    found = read_agreements(file, asked=asked, home_currency=home)
    history = contract_history(found, period_days=asked.period_days)
    events: list[AnyClientEvent] = list(history.events)
    if book is not None:
        told, _, unknown = known_book(make_plan(book, asked=Asked(), home_currency=home), Asked())
        say_unknown(book, unknown)
        events += told
    events = [event for event in events if event.received_ms < (history.last_day + 1) * DAY_MS]
    events.sort(key=lambda event: event.received_ms)
    first = min(span.start for spans in history.spans.values() for span in spans)
    return _Case(
        name=file.name,
        events=events,
        came={name: [(span.start, span.minor) for span in spans] for name, spans in history.spans.items()},
        cut_day=first + round(_CUT * (history.last_day - first)),
        last_day=history.last_day,
        until_day=history.last_day,
        terms=_terms(money, found),
        unknown=history.unknown,
        segments={row.client: row.segment for row in found.rows if row.segment},
        notes=_notes(file, found),
    )


def _notes(file: Path, found: Agreements) -> list[str]:
    lines = [f"{file.name}: {len(found.rows):,} rows read, {found.rejected:,} rejected"]
    lines += [f"  {reason}" for reason in found.reasons]
    lines += [f"  {meaning:10} <- {name}" for meaning, name in sorted(found.mapping.items())]
    return lines + [f"  note: {note}" for note in found.notes]


def _terms(money: AskedValue, found: Agreements | None = None) -> ValueTerms:
    of: dict[str, int] = {}
    for pair in money.cost_of:
        group, _, units = pair.rpartition("=")
        if not group or not units.isdigit():
            message = f"--cost-of {pair} is not GROUP=UNITS, for example type:retainer=900"
            raise UsageError(message)
        of[group] = int(units)
    if found is not None and Field.COST in found.mapping:
        of = _mean_costs(found) | of
    return ValueTerms(margin=money.margin, servicing_units=money.servicing, acquisition_units=money.cost, acquisition_of=of)


def _mean_costs(found: Agreements) -> dict[str, int]:
    """Return what winning a client cost on average, by group; a client's cost counts once."""
    costs: dict[str, dict[str, int]] = {}
    for row in found.rows:
        if row.cost is not None:
            for group in (FIRM, f"type:{row.kind}", f"segment:{row.segment}"):
                costs.setdefault(group, {}).setdefault(row.client, row.cost)
    return {group: round(sum(each.values()) / len(each)) for group, each in costs.items()}


def _print(out: Console, found: RenewalsJudged) -> None:
    out.print(found.about, markup=False)
    for row in found.chances:
        out.print(_chance_table(f"P({row.title}): {row.questions:,} questions, {row.share:.1%} came true", [row]))
    if found.after:
        out.print(
            _chance_table(
                "P(renewed) by learners frozen after so many answers, on all later renewals", [row for _, row in found.after]
            )
        )
    if found.values:
        out.print(values_words(found.values), markup=False)
    if any(row.cost for row in found.paybacks):
        out.print(_payback_table(found))
    elif found.paybacks:
        out.print("payback is left out: say what winning a client costs with --cost, --cost-of or a column, --map cost=COLUMN")


def _chance_table(title: str, judged: Sequence[ChancesJudged]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("predictor")
    for name in ("AUC", "90 %", "log loss", "calibration error"):
        table.add_column(name, justify="right")
    for each in judged:
        for row in each.rows:
            span = f"{row.auc_range[0]:.3f}-{row.auc_range[1]:.3f}"
            table.add_row(row.predictor, f"{row.auc:.3f}", span, f"{row.log_loss:.3f}", f"{row.calibration_error:.3f}")
    return table


def _payback_table(found: RenewalsJudged) -> Table:
    table = Table(title="payback of what winning a client costs", title_justify="left")
    table.add_column("group")
    for name in (
        "contracts",
        "cost",
        "earned in a year",
        "after a year",
        "paid back after",
        *(["in truth"] if found.true_months else []),
    ):
        table.add_column(name, justify="right")
    for row in found.paybacks:
        cells = [row.group, f"{row.contracts:,}", str(Money(row.cost, row.currency)), str(Money(row.earned, row.currency))]
        cells += [f"{row.staying:.0%}", row.words]
        if found.true_months:
            cells.append(months_words(found.true_months[row.group]) if row.group in found.true_months else "")
        table.add_row(*cells)
    return table


def _write(path: Path, found: RenewalsJudged) -> None:
    with writing(path, "--report"):
        path.write_text(renewal_page(found), encoding="utf-8")

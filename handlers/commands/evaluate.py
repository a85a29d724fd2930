"""`rapport evaluate`: how well would the live system have predicted a history? Exposes the function `evaluate`."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from handlers.commands.book.horizon import AskedToJudge
from handlers.commands.export import needed_history
from handlers.commands.files import check_target, writing
from handlers.commands.held_history import hold_history
from handlers.commands.options import FormOption, LiveOption, ReportOption
from handlers.evaluation import batch
from handlers.evaluation.drawn import FEW_CLIENTS, Lead, bare, signed
from handlers.evaluation.judging import DaysJudged, Judged, judge_days, judge_heads, steps_of, why_none
from handlers.evaluation.kept import Kept
from handlers.evaluation.report import report_page
from handlers.evaluation.telling import Telling
from handlers.terminal.waiting import counted, shown
from streams.runtime.settings import load_settings
from streams.wire.policy_file import policy_in_force

NOTES = (
    "A column that says whether an invoice was disputed is not used: a book does not say when it became known.",
    "Where a book has a date or a number of days of payment, that payment settles the invoice; a remainder is not waited for.",
    "Invoices entered when the answer was known already are history for their client, but no questions.",
)

LEGEND = (
    "Rapport is: by how much it is ahead of the predictor in the row, or behind; the 90 % range over clients drawn again, the "
    "same for both. Without a word the two are not told apart. Of ten that are equal, one is told apart by chance.\n"
    "In hindsight: the best that one number per client can do on the very invoices judged. Nobody knows it before, and with few "
    "invoices a client it is far too good. A client's other invoices, earlier and later, say what knowing only whose invoice it "
    "is may come to. Who tells a client's invoices apart can beat both."
)
"""What the tables mean, said once ahead of them."""

_MANY: Final = 300_000  # steps of judging beside twins, of some 10,000 invoices


def evaluate(
    file: Annotated[Path | None, Parameter(help="The receivables book: a CSV, or a history as jsonl; or --live.")] = None,
    /,
    *,
    live: LiveOption = False,
    form: FormOption = None,
    report: ReportOption = None,
    no_twins: Annotated[
        bool, Parameter(name="--no-twins", negative=(), help="Leave out the other learners: a third of the time of a large book.")
    ] = False,
    asked: AskedToJudge | None = None,
) -> int:
    """Tell a receivables CSV, or any history, to the live core and hold its predictions against what happened.

    Events go in by order of arrival; every probability is stored before its outcome is known, and an outcome is learned only when
    it would have been known. Held against the client's shrunk share and learners on the same features: river's logistic
    regression, taught online, and, with `pip install 'rapport[evaluate]'`, batch logistic regression and LightGBM, refit
    every month.

    Columns are found by name and by what they hold, and shown; --map overrules them. Where one is missing, or dates or amounts
    could be read in two ways, the error names the option that says it. rapport import FILE --dry-run shows only how it is read.
    Where a CSV lists invoices longer than it knows their payments, the rest is left out and said, unless --blank-is-unpaid.
    The meanings disputed, settled and outstanding are not used: a book does not say when they became known.

    Example: rapport evaluate book.csv --report report.html

    Exit codes: 0 evaluated, 1 too little history for any figure or a server is away (--live), 2 wrong usage.
    """
    policy = policy_in_force(load_settings())
    check_target(report, "--report")
    with needed_history(file, live=live) as path:
        events, notes = hold_history(path, form=form, asked=asked or AskedToJudge())
    out = Console(width=120, highlight=False)
    for line in notes:
        out.print(line, markup=False)
    if not len(events):
        out.print("no row could be read as an invoice; the reasons stand above", markup=False)
        return 1
    told = Telling(policy).tell(shown(events, "telling the history"))
    out.print(f"{told.events:,} events of {told.clients:,} clients; weights published {told.versions:,} times")
    if told.refused:
        notes.append(
            f"note: {told.refused:,} invoices are left out with their payments: so many of their client were open that its state "
            "had no place for them"
        )
        out.print(notes[-1], markup=False)
    heads, days = _judged(told.examples, twins=_twins(out, wanted=not no_twins), out=out)
    silence = "" if heads else why_none(told.examples)
    if report is not None:
        name = file.name if file else "the running deployment"
        page = report_page(
            name, told=told, heads=heads, days=days, silence=silence, unknown=notes.unknown, reading=notes, notes=NOTES
        )
        _write(report, page)
        out.print(f"report: {report}", markup=False)
    if silence:
        out.print(silence, markup=False)
    return 0 if heads or (days and days.errors) else 1


def _twins(out: Console, *, wanted: bool) -> bool:
    """Return whether other learners are judged as well; says so where the batch ones are not installed."""
    if wanted and not batch.is_installed():
        out.print(
            "batch twins are left out: pip install 'rapport\\[evaluate]' brings scikit-learn and LightGBM (it needs libgomp)"
        )
        return False
    return wanted


def _judged(examples: Kept, *, twins: bool, out: Console) -> tuple[list[Judged], DaysJudged | None]:
    """Judge all heads and the days, and show each as it is done."""
    steps = steps_of(examples, twins=twins)
    if twins and steps > _MANY:
        out.print("other learners take half as long again as telling a book of this size; --no-twins leaves them out")
    out.print(LEGEND, markup=False)
    heads = []
    with counted("judging", total=steps) as count:
        for head in judge_heads(examples, twins=twins, count=count):
            heads.append(head)
            out.print(head_table(head))
        days = judge_days(examples, twins=twins, count=count)
    if days:
        out.print(days_table(days))
        out.print(held_table(days))
    return heads, days


def head_table(head: Judged) -> Table:
    """Return one head, its baselines and what hindsight knows, for the terminal."""
    title = f"P({head.title}): {head.questions:,} questions of {head.clients:,} clients, {head.share:.1%} came true"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("predictor")
    for name in ("AUC", "Rapport is", "log\nloss", "Rapport is", "error in\ntenths", "equal\nbins"):
        table.add_column(name, justify="right")
    for row in head.rows:
        ours = row is head.rows[0]
        table.add_row(
            row.predictor,
            f"{row.auc:.3f}",
            "" if ours else _compared(row.auc_lead, 3),
            f"{row.log_loss:.3f}",
            "" if ours else _compared(row.log_loss_lead, 3),
            f"{row.calibration_error:.3f}",
            f"{row.adaptive_error:.3f}",
        )
    table.add_section()
    known = head.hindsight
    table.add_row("client's share, in hindsight", f"{known.own_auc:.3f}", "", f"{known.own_log_loss:.3f}")
    table.add_row("share of its other invoices", f"{known.others_auc:.3f}", "", f"{known.others_log_loss:.3f}")
    (auc_low, auc_high), (loss_low, loss_high) = head.auc_range, head.log_loss_range
    telling = head.rows[0].auc_lead.clients
    few = f"; {telling:,} with the rarer outcome: too few to tell predictors apart" if telling < FEW_CLIENTS else ""
    table.caption = (
        f"Rapport's own 90 % ranges: AUC {auc_low:.3f}-{auc_high:.3f}, log loss {loss_low:.3f}-{loss_high:.3f}; clients with one "
        f"question: {known.alone:,}{few}\n"
        f"error of perfect predictions: {head.floor_in_tenths[0]:.3f} and {head.floor[0]:.3f}, one in twenty "
        f"{head.floor_in_tenths[1]:.3f} and {head.floor[1]:.3f}"
    )
    return table


def _compared(lead: Lead, digits: int) -> str:
    """Return the 90 % range of the lead, with a word where it is told apart from none."""
    if lead.word == "ahead":
        return f"ahead {bare(lead.low, digits)}-{bare(lead.high, digits)}"
    if lead.word == "behind":
        return f"behind {bare(lead.high, digits)}-{bare(lead.low, digits)}"
    return f"{signed(lead.low, digits)} to {signed(lead.high, digits)}"


def days_table(days: DaysJudged) -> Table:
    """Return the days late for the terminal."""
    title = f"days after due, predicted at issue: {days.invoices:,} invoices, {days.settled:,} of them settled"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("predictor")
    table.add_column("mean absolute error", justify="right")
    table.add_column("Rapport is", justify="right")
    for place, (name, error) in enumerate(days.errors.items()):
        table.add_row(name, f"{error:.3f}", _compared(days.leads[name], 2) if place else "")
    if known := days.hindsight:
        table.add_section()
        table.add_row("each client's own median, known in hindsight", f"{known.own:.3f}")
        table.add_row("median of its other invoices, earlier and later", f"{known.others:.3f}")
        table.caption = f"of {known.clients:,} clients, {known.alone:,} with one invoice only"
    return table


def held_table(days: DaysJudged) -> Table:
    """Return how often the promises about the day of payment held, for the terminal."""
    title = "promises that held, of those whose range had passed (an invoice open then has broken its promise)"
    table = Table(title=title, title_justify="left")
    table.add_column("clients")
    for name in ("invoices", "90 % range", "median days wide", "paid by the 90 % date"):
        table.add_column(name, justify="right")
    for row in days.held:
        table.add_row(row.group, f"{row.invoices:,}", f"{row.in_range:.3f}", f"{row.width:.0f}", f"{row.by_then:.3f}")
    return table


def _write(path: Path, page: str) -> None:
    with writing(path, "--report"):
        path.write_text(page, encoding="utf-8")

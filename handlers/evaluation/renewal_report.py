"""The evaluation of contracts as one HTML page: no script, no font, no image from anywhere else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from handlers.evaluation.renewal_judging import ChancesJudged, ValuesJudged
from models.learners.payback import Payback
from models.money import Money

_SIDE: Final = 220
_STYLE: Final = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}.ours{font-weight:600}small{color:#666}svg{background:#fafafa;margin:.5rem 0}
@media(max-width:50rem){table{display:block;overflow-x:auto}}"""


@dataclass(slots=True)
class RenewalsJudged:
    """Everything that was found out about one history of contracts; `true_months` where the world is a made-up one."""

    name: str
    about: str
    chances: list[ChancesJudged] = field(default_factory=list)
    after: list[tuple[int, ChancesJudged]] = field(default_factory=list)
    values: ValuesJudged | None = None
    paybacks: list[Payback] = field(default_factory=list)
    true_months: dict[str, int | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def renewal_page(found: RenewalsJudged) -> str:
    """Return the page. The same evaluation always gives the same text."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Renewals of {escape(found.name)}</title><style>{_STYLE}</style>",
        f"<h1>How well would Rapport have foreseen the renewals of {escape(found.name)}?</h1><p>{escape(found.about)}</p>",
        *(f"<p><small>{escape(note)}</small></p>" for note in found.notes),
    ]
    for row in found.chances:
        parts += _chances(row, row.title)
    if found.after:
        parts.append(
            "<h2>How soon is it good?</h2><p>Learners frozen after so many answers, held against every later renewal.</p>"
        )
        parts.append(_table([line for _, row in found.after for line in _lines(row)]))
    if found.values:
        parts += _values(found.values)
    if found.paybacks:
        parts += _paybacks(found.paybacks, found.true_months)
    return "\n".join(parts) + "</html>\n"


def _chances(row: ChancesJudged, title: str) -> Iterator[str]:
    yield f"<h2>{escape(title[:1].upper() + title[1:])}</h2><p>{row.questions:,} questions, {row.share:.1%} came true.</p>"
    yield _table(list(_lines(row)))
    yield _plot(row)


def _lines(row: ChancesJudged) -> Iterator[str]:
    for place, each in enumerate(row.rows):
        yield (
            f"<tr{' class=ours' if not place else ''}><td>{escape(each.predictor)}<td>{each.auc:.3f}"
            f"<td><small>{each.auc_range[0]:.3f}&ndash;{each.auc_range[1]:.3f}</small>"
            f"<td>{each.log_loss:.3f}<td>{each.calibration_error:.3f}"
        )


def _table(lines: Sequence[str]) -> str:
    return "<table><tr><th>predictor<th>AUC<th>90 %<th>log loss<th>calibration error" + "".join(lines) + "</table>"


def _plot(row: ChancesJudged) -> str:
    most = max(each.count for each in row.bins)
    dots = "".join(
        f"<circle cx='{each.chance * _SIDE:.1f}' cy='{_SIDE - each.share * _SIDE:.1f}' "
        f"r='{2 + 6 * (each.count / most) ** 0.5:.1f}' fill='#2a6'>"
        f"<title>{each.chance:.2f} given, {each.share:.2f} came true, {each.count} questions</title></circle>"
        for each in row.bins
    )
    return (
        f"<svg width='{_SIDE}' height='{_SIDE}' role='img' aria-label='reliability: given against came true'>"
        f"<path d='M0 {_SIDE}L{_SIDE} 0' stroke='#bbb' stroke-dasharray='4'/>{dots}</svg>"
    )


def values_words(row: ValuesJudged) -> str:
    """Return the judgement of lifetime values in one sentence."""
    luck = ""
    if row.luck:
        luck = f" Of that {Money(row.luck, row.currency)} was luck: renewals against their true chances."
    return (
        f"{row.contracts} contracts were expected to bring {Money(row.expected, row.currency)} in the {row.years:.1f} years that "
        f"followed; they brought {Money(row.came, row.currency)}.{luck} The 90 % range held for {row.held:.1%} "
        f"({row.below:.1%} brought less, {row.above:.1%} more)."
    )


def _values(row: ValuesJudged) -> Iterator[str]:
    yield f"<h2>What contracts were worth</h2><p>{escape(values_words(row))}</p>"


def _paybacks(rows: Sequence[Payback], true_months: dict[str, int | None]) -> Iterator[str]:
    yield "<h2>Payback of what winning a client costs</h2>"
    truth = "<th>in truth" if true_months else ""
    yield f"<table><tr><th>group<th>contracts<th>cost<th>earned in a year<th>after a year<th>paid back after (90 %){truth}"
    for row in rows:
        real = f"<td>{months_words(true_months[row.group])}" if row.group in true_months else "<td>" if true_months else ""
        yield (
            f"<tr><td>{escape(row.group)}<td>{row.contracts}<td>{Money(row.cost, row.currency)}"
            f"<td>{Money(row.earned, row.currency)}<td>{row.staying:.0%}<td>{escape(row.words)}{real}"
        )
    yield "</table>"


def months_words(months: int | None) -> str:
    """Return a number of months for people."""
    return "over 60 months" if months is None else f"{months} months"

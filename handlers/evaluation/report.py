"""The evaluation as one HTML page: no script, no font, no image from anywhere else."""

from collections.abc import Iterator, Sequence
from html import escape

from handlers.evaluation.judging import DaysJudged, Judged
from handlers.evaluation.telling import Told
from models.workdays import moment

_SIDE = 220
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}.ours{font-weight:600}small{color:#666}svg{background:#fafafa;margin:.5rem 0}"""


def report_page(name: str, *, told: Told, heads: Sequence[Judged], days: DaysJudged | None, notes: Sequence[str]) -> str:
    """Return the page. The same evaluation always gives the same text."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>How well would Rapport have predicted {escape(name)}?</title><style>{_STYLE}</style>",
        f"<h1>How well would Rapport have predicted {escape(name)}?</h1>",
        _about(told),
        *(f"<p><small>{escape(note)}</small></p>" for note in notes),
    ]
    for head in heads:
        parts += _head(head)
    if days:
        parts += _days(days)
    return "\n".join(parts) + "</html>\n"


def _about(told: Told) -> str:
    return (
        f"<p>{told.events:,} events of {told.clients:,} clients from {moment(told.first_ms).date()} to "
        f"{moment(told.last_ms).date()}, told in order of arrival to the program that runs live. Every probability was "
        f"stored before its outcome was known; the learners changed {told.versions:,} times on the way. Figures are taken on "
        "the latest 40 % of the questions; ranges are 90 % intervals from resampling whole clients.</p>"
    )


def _head(head: Judged) -> Iterator[str]:
    yield f"<h2>P({escape(head.title)})</h2><p>{head.questions:,} questions, {head.share:.1%} came true.</p>"
    yield "<table><tr><th>predictor<th>AUC<th>90 %<th>log loss<th>90 %<th>calibration error"
    for row in head.rows:
        ours = " class=ours" if row is head.rows[0] else ""
        yield (
            f"<tr{ours}><td>{escape(row.predictor)}<td>{row.auc:.3f}<td><small>{_span(row.auc_range)}</small>"
            f"<td>{row.log_loss:.3f}<td><small>{_span(row.log_loss_range)}</small><td>{row.calibration_error:.3f}"
        )
    yield "</table>"
    yield reliability_plot(head)


def reliability_plot(head: Judged) -> str:
    """Return the plot as SVG: on the diagonal a chance of 30 % comes true in 30 of 100; dots grow with their count."""
    most = max(row.count for row in head.bins)
    dots = "".join(
        f"<circle cx='{row.chance * _SIDE:.1f}' cy='{_SIDE - row.share * _SIDE:.1f}' r='{2 + 6 * (row.count / most) ** 0.5:.1f}' "
        f"fill='#2a6'><title>{row.chance:.2f} given, {row.share:.2f} came true, {row.count} questions</title></circle>"
        for row in head.bins
    )
    return (
        f"<svg width='{_SIDE}' height='{_SIDE}' role='img' aria-label='reliability: given against came true'>"
        f"<path d='M0 {_SIDE}L{_SIDE} 0' stroke='#bbb' stroke-dasharray='4'/>{dots}</svg>"
    )


def _days(days: DaysJudged) -> Iterator[str]:
    yield f"<h2>Days after the due date, predicted at issue</h2><p>{days.invoices:,} settled invoices.</p>"
    yield "<table><tr><th>predictor<th>mean absolute error, days"
    for name, error in days.errors.items():
        yield f"<tr><td>{escape(name)}<td>{error:.2f}"
    yield "</table><table><tr><th>promise<th>held"
    yield f"<tr><td>90 % range (mean width {days.mean_width:.0f} days)<td>{days.range_held:.3f}"
    yield f"<tr><td>paid by the 90 % date<td>{days.by_then_held:.3f}</table>"


def _span(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.3f}&ndash;{pair[1]:.3f}"

"""The evaluation as one HTML page: no script, no font, no image from anywhere else. Read from the top, one may stop anywhere."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from handlers.evaluation.drawn import Lead, signed
from handlers.evaluation.judging import AT_ISSUE, WHEN, DaysJudged, Judged
from handlers.evaluation.telling import Told
from models.features import LATE_DAYS, Landmark
from models.workdays import moment

_SIDE = 200
_MARGIN = 34
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:82rem;margin:2rem auto;padding:0 1rem;color:#1d2430;background:#fff}
h1{font-size:1.6rem;line-height:1.25;margin-bottom:.3rem}h2{font-size:1.15rem;margin:2rem 0 .2rem}
p{margin:.3rem 0 .8rem;max-width:62rem}
table{border-collapse:collapse;margin:.4rem 0 1rem;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .4rem;text-align:right;border-bottom:1px solid #e3e6ea}th{font-weight:600;color:#556}
td:first-child,th:first-child{text-align:left}.ours{font-weight:600;background:#eef8f2}.known td{color:#667;font-style:italic}
small,figcaption{color:#667;font-size:.82rem}
.answer{background:#f5f7f9;border-left:4px solid #2a8;padding:.7rem 1rem;margin:1rem 0;max-width:62rem}.answer li{margin:.2rem 0}
.head{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:flex-start}figure{margin:.4rem 0;width:17rem}
pre{font-size:.8rem;overflow-x:auto}svg{overflow:visible}svg text{font-size:10px;fill:#667}
@media(max-width:50rem){table{display:block;overflow-x:auto}.head>*{max-width:100%}}"""


def report_page(
    name: str,
    *,
    told: Told,
    heads: Sequence[Judged],
    days: DaysJudged | None,
    silence: str,
    unknown: Sequence[str],
    reading: Sequence[str],
    notes: Sequence[str],
) -> str:
    """Return the page: `silence` says why there are no heads, `unknown` what was left out, `reading` how the file was read.

    The same gives the same text.
    """
    title = f"How well would Rapport have predicted {escape(name)}?"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
        _about(told),
        *(f"<p>{escape(line.strip().removeprefix('note: '))}.</p>" for line in unknown),
        *_answer(heads, days, silence),
    ]
    for head in heads:
        parts += _head(head)
    if days:
        parts += _days(days)
    parts += _words()
    parts.append(f"<details><summary>How it was read</summary><pre>{escape(chr(10).join(reading))}</pre></details>")
    parts += (f"<p><small>{escape(note)}</small></p>" for note in notes)
    return "\n".join(parts) + "</html>\n"


def _about(told: Told) -> str:
    return (
        f"<p>{told.events:,} events of {told.clients:,} clients from {moment(told.first_ms).date()} to "
        f"{moment(told.last_ms).date()}, told in order of arrival to the program that runs live. Every probability was "
        f"stored before its outcome was known; the learners changed {told.versions:,} times on the way. Figures are taken on "
        "the latest 40 % of the questions.</p>"
    )


def _answer(heads: Sequence[Judged], days: DaysJudged | None, silence: str) -> Iterator[str]:
    """Say the whole page in a few sentences."""
    yield "<div class=answer><b>In short</b><ul>"
    for head in heads:
        if head.over_days == LATE_DAYS[0] and head.landmark in {Landmark.ISSUE, Landmark.DUE}:
            yield _sentence(head)
            yield from _waited(head)
    if days and days.errors:
        ours, usual = list(days.errors.values())[:2]
        yield (
            f"<li>The expected day of payment is off by {ours:.1f} days on average; the client's usual delay alone "
            f"by {usual:.1f}.{_range_held(days)}</li>"
        )
        if known := days.hindsight:
            yield (
                f"<li>No one number per client could be off by less than {known.own:.1f} days, even in hindsight; the median of "
                f"all other invoices of a client, earlier and later, is off by {known.others:.1f}. Only who tells a client's "
                "invoices apart can be better than both.</li>"
            )
    if silence:
        yield f"<li>{escape(silence[0].upper() + silence[1:])}.</li>"
    yield "</ul></div>"


def _range_held(days: DaysJudged) -> str:
    return f" The range given as 90 % held for {days.held[0].in_range:.0%} of the invoices." if days.held else ""


def _sentence(head: Judged) -> str:
    ours, rest = head.rows[0], head.rows[1:]
    best = max(rest, key=lambda row: row.auc)
    return (
        f"<li>Asked {WHEN[head.landmark]}, Rapport puts an invoice that will be late above one that will not in "
        f"{ours.auc:.0%} of cases (the best of the others, {escape(best.predictor)}: {best.auc:.0%}, "
        f"{_VERDICTS[best.auc_lead.word]}; dice: 50%). "
        f"Its percentages are off by {ours.adaptive_error:.1%} on average; "
        f"{head.floor[0]:.1%} is what chance alone does to perfect ones.</li>"
    )


_VERDICTS: Final = {
    "ahead": "which Rapport is ahead of by more than chance",
    "behind": "which Rapport is behind by more than chance",
    "not told apart": "not told apart from Rapport",
    "too few clients": "with too few clients to tell the two apart",
}


def _waited(head: Judged) -> Iterator[str]:
    """Say what was gained since issue, on the same questions."""
    for row in head.rows:
        if row.predictor == AT_ISSUE:
            yield (
                f"<li>Against its own score at issue, on the same questions, the score {WHEN[head.landmark]} gains AUC "
                f"{_gained(row.auc_lead)} and log loss {_gained(row.log_loss_lead)}. By knowing that an invoice is open still "
                "the log loss gains in any case, the AUC only by what tells these invoices apart.</li>"
            )


def _gained(lead: Lead) -> str:
    word = {"ahead": "a gain", "behind": "a loss"}.get(lead.word, lead.word)
    return f"{signed(lead.by, 3)} ({signed(lead.low, 3)} to {signed(lead.high, 3)}: {word})".replace("-", "&minus;")


def _head(head: Judged) -> Iterator[str]:
    yield f"<h2>P({escape(head.title)})</h2><p>{head.questions:,} questions of {head.clients:,} clients, "
    yield f"{head.hindsight.alone:,} of them with one question; "
    yield f"{head.share:.1%} of the invoices were late.</p>"
    yield "<div class=head><table><tr><th>predictor<th>AUC<th>Rapport is<th>log loss<th>Rapport is"
    yield "<th>calibration<br>error<th>in equal<br>bins"
    for place, row in enumerate(head.rows):
        ours = "" if place else " class=ours"
        ranked, lost = (
            (_compared(row.auc_lead, 3), _compared(row.log_loss_lead, 3))
            if place
            else (f"<small>{_span(head.auc_range)}</small>", f"<small>{_span(head.log_loss_range)}</small>")
        )
        yield (
            f"<tr{ours}><td>{escape(row.predictor)}<td>{row.auc:.3f}<td>{ranked}<td>{row.log_loss:.3f}<td>{lost}"
            f"<td>{row.calibration_error:.3f}<td>{row.adaptive_error:.3f}"
        )
    known = head.hindsight
    for name, auc, log_loss in (
        ("client's own share, in hindsight", known.own_auc, known.own_log_loss),
        ("share of its other invoices", known.others_auc, known.others_log_loss),
    ):
        yield f"<tr class=known><td>{name}<td>{auc:.3f}<td><td>{log_loss:.3f}<td><td><td>"
    yield (
        "<tr><td colspan=5><small>perfect predictions of this number, by chance (one in twenty: "
        f"{head.floor_in_tenths[1]:.3f}, {head.floor[1]:.3f} or more)</small>"
        f"<td><small>{head.floor_in_tenths[0]:.3f}</small><td><small>{head.floor[0]:.3f}</small></table>"
    )
    yield f"<figure>{reliability_plot(head)}<figcaption>Of 100 invoices given 30 %, 30 should be late: "
    yield "dots on the line.</figcaption></figure></div>"


def reliability_plot(head: Judged) -> str:
    """Return the plot as SVG: on the diagonal a chance of 30 % comes true in 30 of 100; dots grow with their count."""
    most = max(row.count for row in head.bins)
    dots = "".join(
        f"<circle cx='{_x(row.chance):.1f}' cy='{_y(row.share):.1f}' r='{2 + 6 * (row.count / most) ** 0.5:.1f}' "
        f"fill='#2a8' fill-opacity='.8'><title>{row.chance:.2f} given, {row.share:.2f} late, {row.count} questions</title>"
        "</circle>"
        for row in head.bins
    )
    marks = "".join(
        f"<path d='M{_x(at)} {_y(0)}V{_y(1)}M{_x(0)} {_y(at)}H{_x(1)}' stroke='#e8ebee'/>"
        f"<text x='{_x(at)}' y='{_y(0) + 13}' text-anchor='middle'>{at:.0%}</text>"
        f"<text x='{_x(0) - 4}' y='{_y(at) + 3}' text-anchor='end'>{at:.0%}</text>"
        for at in (0, 0.25, 0.5, 0.75, 1)
    )
    wide, high = _SIDE + _MARGIN + 24, _SIDE + _MARGIN + 8
    return (
        f"<svg width='{wide}' height='{high}' viewBox='0 0 {wide} {high}' role='img' "
        f"aria-label='reliability: chance given against share that was late'>{marks}"
        f"<path d='M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}' stroke='#99a' stroke-dasharray='4'/>{dots}"
        f"<text x='{_x(0.5)}' y='{high - 2}' text-anchor='middle'>chance given</text>"
        f"<text transform='translate(9 {_y(0.5)}) rotate(-90)' text-anchor='middle'>share late</text></svg>"
    )


def _x(share: float) -> float:
    return _MARGIN + 4 + share * _SIDE


def _y(share: float) -> float:
    return 6 + (1 - share) * _SIDE


def _days(days: DaysJudged) -> Iterator[str]:
    yield "<h2>Days after the due date, predicted at issue</h2>"
    yield f"<p>{days.invoices:,} invoices, {days.settled:,} of them settled.</p>"
    yield "<div class=head><table><tr><th>predictor<th>mean absolute<br>error, days<th>Rapport is"
    for place, (name, error) in enumerate(days.errors.items()):
        ours = "" if place else " class=ours"
        yield f"<tr{ours}><td>{escape(name)}<td>{error:.2f}<td>{_compared(days.leads[name], 2) if place else ''}"
    if known := days.hindsight:
        yield f"<tr class=known><td>each client's own median of these, in hindsight<td>{known.own:.2f}<td>"
        yield f"<tr class=known><td>median of its other invoices, earlier and later<td>{known.others:.2f}<td>"
        yield f"<tr><td colspan=3><small>{known.clients:,} clients, {known.alone:,} of them with one invoice</small>"
    yield "</table><table><tr><th>clients<th>invoices<th>in the<br>90 % range<th>median<br>days wide<th>paid by the<br>90 % date"
    for row in days.held:
        yield f"<tr><td>{escape(row.group)}<td>{row.invoices:,}<td>{row.in_range:.1%}<td>{row.width:.0f}<td>{row.by_then:.1%}"
    yield "</table></div><p><small>Judged where the whole range had passed by the end of the history; an invoice that was open "
    yield "then has broken both promises. Held alone says little: a range may be wide.</small></p>"


def _words() -> Iterator[str]:
    yield "<h2>What the figures mean</h2><p><small>"
    yield "<b>AUC</b>: of a late and a punctual invoice, how often the late one got the higher chance; 0.5 is dice. "
    yield "<b>Log loss</b>: the price of being surely wrong; lower is better. <b>Calibration error</b>: by how much the chances "
    yield "given differ from what happened, in tenths of the scale; in equal bins, in ten groups of the same number. "
    yield "<b>Rapport is</b>: its lead over the predictor in that row on the same questions, and the 90 % range of the lead if "
    yield "other clients of the same kind had been drawn (in its own row: the range of its figure). Ahead or behind is a range "
    yield "that leaves nought out; of ten predictors just as good about one is called so by chance, and other months are not in "
    yield "the range. <b>In hindsight</b>: the best that one number per client can do on the very invoices judged. Nobody can "
    yield "know it in advance; with few invoices a client it is far too good, and of a client with one it knows everything. The "
    yield "share or median of the client's <i>other</i> invoices does not know the one that is judged: about what knowing only "
    yield "whose invoice it is may come to. Who tells a client's invoices apart, by amount, terms or day, can beat both. "
    yield "<b>river, online</b>: the usual learner that is taught answer by answer, on the same features. "
    yield "<b>Refit monthly</b>: batch learners that see all answers known by then and the same features.</small></p>"


def _compared(lead: Lead, digits: int) -> str:
    by, low, high = (signed(value, digits).replace("-", "&minus;") for value in (lead.by, lead.low, lead.high))
    return f"{lead.word}<br><small>{by} ({low} to {high})</small>"


def _span(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.3f}&ndash;{pair[1]:.3f}"

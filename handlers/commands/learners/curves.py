"""Cohorts and seasons in words and tables."""

from collections.abc import Iterator, Sequence
from typing import Final

from models.learners.cohorts import DAYS, CohortRow
from models.learners.seasons import HalfMonth, Mark, stretches

_RENEWALS: Final = 3  # of a contract that are shown; programs get all
_WORDS: Final = {
    Mark.FREEZE: ("renewals fail more often", "invoices are paid late more often"),
    Mark.FAVOURABLE: ("renewals succeed more often", "invoices are paid on time more often"),
}


def cohort_lines(rows: Sequence[CohortRow]) -> Iterator[str]:
    """Yield a line per cohort under a heading."""
    days = "".join(f"{f'{day} d':>6}" for day in DAYS)
    places = "".join(f"{f'no. {place + 1}':>7}" for place in range(_RENEWALS))
    yield f"{'':28} {'':>8}  {'paid by day':{6 * len(DAYS)}} {'':>8}  {'kept after renewal':{7 * _RENEWALS}}  raised at"
    yield f"{'cohort':28} {'invoices':>8}  {days} {'periods':>8}  {places}  {places}"
    for row in rows:
        paid = "".join(f"{_share(share):>6}" for share in row.paid)
        kept, raised = (
            "".join(f"{_share(_at(part, place)):>7}" for place in range(_RENEWALS)) for part in (row.kept, row.raised)
        )
        yield f"{row.group:28} {row.invoices:>8,}  {paid} {row.periods:>8,}  {kept}  {raised}".rstrip()


def season_lines(renewals: Sequence[HalfMonth], invoices: Sequence[HalfMonth]) -> Iterator[str]:
    """Yield a line per half month, what stands out in words, and the cliffs as a policy file takes them."""
    yield f"{'':14} {'renewals':>9} {'renewed':>8}   {'invoices due':>12} {'on time':>8}"
    for one, other in zip(renewals, invoices, strict=True):
        yield (
            f"{one.first} to {one.last} {one.known:>8,} {_share(one.share):>8}   {other.known:>12,} {_share(other.share):>8}"
            f"  {_marked(one, other)}"
        ).rstrip()
    cliffs = stretches(list(renewals), Mark.CLIFF)
    if cliffs:
        spans = ", ".join(f'{{ first: "{first}", last: "{last}" }}' for first, last in cliffs)
        yield "many renew then; in the policy file:"
        yield "journeys:"
        yield "  renewal_cliff:"
        yield f"    entry: {{ seasons: [{spans}] }}"


def _marked(renewals: HalfMonth, invoices: HalfMonth) -> str:
    said = ["cliff"] if Mark.CLIFF in renewals.marks else []
    for mark, words in _WORDS.items():
        said += [f"{mark}: {word}" for row, word in zip((renewals, invoices), words, strict=True) if mark in row.marks]
    return "; ".join(said)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _at(parts: Sequence[float], place: int) -> float | None:
    return parts[place] if place < len(parts) else None

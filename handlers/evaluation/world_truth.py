"""What is true of a made-up firm: the chance behind every renewal, what came, and when groups of contracts paid back."""

from collections.abc import Sequence
from typing import Final

from handlers.evaluation.contract_world import Life, Stretch
from models.learners.lifetime import ValueTerms
from models.learners.retention import FIRM, MONTHS

_MONTH_DAYS: Final = 365.25 / 12
_CURRENCY: Final = "EUR"
_STAYING: Final = 0.95  # share renewed later on, roughly


def truth_of(lives: Sequence[Life]) -> dict[tuple[str, int], tuple[float, float]]:
    """Return (contract, day of renewal) to the true chances of a renewal and of a raise."""
    return {(row.contract_id, row.renews): (row.chance, row.raise_chance) for life in lives for row in life.stretches}


def came_of(lives: Sequence[Life]) -> dict[str, list[tuple[int, int]]]:
    """Return the day and price of every period by contract."""
    return {name: [(row.began, row.price) for row in rows] for name, rows in _by_contract(lives).items()}


def luck_of(lives: Sequence[Life], *, cut_day: int, until_day: int) -> int:
    """Return what contracts running at the cut brought by luck: renewals that came although, or failed although, minor units.

    Each renewal counts by how far it was from its true chance, times about what a renewal then was worth. Whatever is taken for
    that worth, the mean over worlds is nought; this one takes out most of what makes two worlds differ.
    """
    total = 0.0
    for rows in _by_contract(lives).values():
        if any(row.began <= cut_day < row.renews for row in rows):
            for row in rows:
                if cut_day < row.renews <= until_day:
                    left = (until_day - row.renews) // row.kind.days + 1
                    worth = row.offered * (1 - _STAYING**left) / (1 - _STAYING)
                    total += (row.renewed - row.chance) * worth
    return round(total)


def true_months(lives: Sequence[Life], terms: ValueTerms, *, won_by: int) -> dict[str, int | None]:
    """Return in which month contracts won by a day had paid back on average, by group; None: not within five years."""
    groups: dict[str, list[list[Stretch]]] = {}
    for rows in _by_contract(lives).values():
        if rows[0].began <= won_by:
            for group in (FIRM, f"type:{rows[0].kind.name}"):
                groups.setdefault(group, []).append(rows)
    return {group: _months(rows, terms.cost_of((group,), _CURRENCY), terms) for group, rows in groups.items()}


def _months(contracts: Sequence[Sequence[Stretch]], cost: int, terms: ValueTerms) -> int | None:
    earned = [0.0] * MONTHS
    for rows in contracts:
        for row in rows:
            first, end = (round((day - rows[0].began) / _MONTH_DAYS) for day in (row.began, row.renews))
            for month in range(first, min(end, MONTHS)):
                earned[month] += terms.left_of(row.price / (end - first), 1.0, _CURRENCY)
    total = 0.0
    for month, each in enumerate(earned, 1):
        total += each / len(contracts)
        if total >= cost:
            return month
    return None


def _by_contract(lives: Sequence[Life]) -> dict[str, list[Stretch]]:
    found: dict[str, list[Stretch]] = {}
    for life in lives:
        for row in life.stretches:
            found.setdefault(row.contract_id, []).append(row)
    return found

"""Where a firm's time for its clients pays: per segment and contract type what a contract leaves, and a bounded shift of care.

A suggestion for people, nothing acts upon it. It is made only where nine of ten ranges do not meet: everything else is too little
to say. What one group gains others give, so the budget as a whole stays; no group gains or gives more than the policy allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.learners.lifetime import ValueTerms
from models.learners.payback import Payback, left_within, payback
from models.learners.renewal_snapshot import Months, Published
from models.learners.retention import FIRM
from models.money import exponent

DEFINITIONS: Final = "value-1"
"""Names how the figures are made; another way of counting gets another name."""

LEAST: Final = 10
"""Contracts of a group below which nothing is suggested."""

_MOST_MONTHS: Final = 60


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One group of one currency. Money is minor units per contract won, within the horizon; `shift` is a share of its budget."""

    group: str
    currency: str
    contracts: int
    expected: int
    low: int
    high: int
    servicing: int
    payback: Payback
    shift: float = 0.0
    why: str = ""

    @property
    def kind(self) -> str:
        """Groups are compared with their own kind: segments with segments, types with types."""
        return self.group.partition(":")[0]


def budget(retention: Published, terms: ValueTerms) -> list[BudgetRow]:
    """Return every group by currency and kind, the most valuable first, with what is suggested."""
    rows = [_row(months, retention.months_of(FIRM, months.currency), terms) for months in retention.months]
    kinds = sorted({(row.currency, row.kind) for row in rows if row.group != FIRM})
    found = [row for row in rows if row.group == FIRM]
    for currency, kind in kinds:
        found += _shifted([row for row in rows if (row.currency, row.kind) == (currency, kind)], terms.most_shift)
    return sorted(found, key=lambda row: (row.currency, row.group != FIRM, row.kind, -row.expected, row.group))


def _row(group: Months, firm: Months | None, terms: ValueTerms) -> BudgetRow:
    months = min(_MOST_MONTHS, max(1, round(terms.horizon_years * 12)))
    left, paid = left_within(group, firm, terms, months=months), payback(group, firm, terms)
    servicing = round(terms.servicing_units * 10 ** exponent(group.currency) * left.months_served)
    return BudgetRow(
        group.group,
        group.currency,
        paid.contracts,
        expected=left.expected - paid.cost,
        low=left.low - paid.cost,
        high=left.high - paid.cost,
        servicing=servicing,
        payback=paid,
    )


def _shifted(rows: Sequence[BudgetRow], most: float) -> list[BudgetRow]:
    """Return the groups of one kind with their shifts: those clearly above all they differ from gain what those below give."""
    wanted = [_wanted(row, [other for other in rows if other is not row], most) for row in rows]
    gained = sum(row.contracts * shift for row, (shift, _) in zip(rows, wanted, strict=True) if shift > 0)
    given = -sum(row.contracts * shift for row, (shift, _) in zip(rows, wanted, strict=True) if shift < 0)
    moved = min(gained, given)
    found = []
    for row, (shift, why) in zip(rows, wanted, strict=True):
        whole = gained if shift > 0 else given
        found.append(replace(row, shift=shift * moved / whole if whole else 0.0, why=why))
    return found


def _wanted(row: BudgetRow, others: Sequence[BudgetRow], most: float) -> tuple[float, str]:
    if row.contracts < LEAST:
        return 0.0, f"too little to say: {row.contracts} contracts"
    known = [other for other in others if other.contracts >= LEAST]
    below = [other.group for other in known if other.high < row.low]
    above = [other.group for other in known if other.low > row.high]
    if below and not above:
        return most, f"leaves more than {', '.join(below)}"
    if above and not below:
        return -most, f"leaves less than {', '.join(above)}"
    return 0.0, "between others" if above else "too little to say: the ranges meet"

"""How clients go who came in the same month, or have the same kind of work: days to pay, renewals, raises, kept online.

Tallies of constant size, fed by the trainers with each answered example: a life table of days until an invoice is paid, and
renewals by how many there were before (`AgeTally`). An invoice counts when it is answered for the last time, 31 days after due,
paid or not, so that neither prompt nor slow payers are seen first. Cohorts are the firm, the month of a client's first event
(the latest `MONTHS_KEPT`), service lines and contract types (the first `NAMES` of each; later ones count for the firm alone).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from models.features import LATE_DAYS, Landmark
from models.learners.retention import AGES, FIRM, AgeTally
from models.learners.seasons import SeasonTally
from models.triggers import Cohort, Example, RenewalExample
from models.workdays import DAY_MS

DAYS: Final = (7, 14, 21, 30, 45, 60, 90)
"""Days after an invoice was issued at which the share paid is told."""

MONTHS_KEPT: Final = 36
NAMES: Final = 12
LEAST: Final = 5
"""Invoices, or periods, below which a share would be an accident."""

_MONTH: Final = "month:"


class PayTally(msgspec.Struct):
    """Invoices paid, and last seen open, by the stretch between two of `DAYS` in which that was; the last is beyond them all."""

    paid: list[int] = msgspec.field(default_factory=lambda: [0] * (len(DAYS) + 1))
    open: list[int] = msgspec.field(default_factory=lambda: [0] * (len(DAYS) + 1))

    @property
    def invoices(self) -> int:
        """How many were seen."""
        return sum(self.paid) + sum(self.open)

    def curve(self) -> list[float | None]:
        """Return the share paid within each of `DAYS`, none from where fewer than `LEAST` are left to tell from.

        The product-limit estimate: an invoice last seen open counts up to then.
        """
        at_risk, unpaid, found = self.invoices, 1.0, list[float | None]()
        for paid, left in zip(self.paid[:-1], self.open[:-1], strict=True):
            # Where all have paid, nothing more is to be known; where the others left unseen, it is not known.
            known = (at_risk >= LEAST or not unpaid) and (not found or found[-1] is not None)
            unpaid *= 1 - paid / at_risk if at_risk else 1.0
            found.append(1 - unpaid if known else None)
            at_risk -= paid + left
        return found


class PayCohorts(msgspec.Struct):
    """Days to pay by cohort, and how invoices go by the half month in which they fall due."""

    groups: dict[str, PayTally] = msgspec.field(default_factory=dict)
    due: SeasonTally = msgspec.field(default_factory=SeasonTally)

    def see(self, example: Example) -> None:
        """Count one answered example; those before an invoice's last answer say nothing new."""
        if example.over_days == LATE_DAYS[0]:
            self.due.see(example.due_day, good=not example.late)
        issued = next((row.asked_ms // DAY_MS for row in example.questions if row.landmark == Landmark.ISSUE), None)
        if example.over_days != LATE_DAYS[-1] or example.cohort is None or issued is None:
            return
        is_open = example.days_late is None or example.late
        last = example.due_day + (LATE_DAYS[-1] if is_open else example.days_late or 0)
        place = _place(last - issued)
        for group in _counted(example.cohort, self.groups):
            tally = self.groups.setdefault(group, PayTally())
            (tally.open if is_open else tally.paid)[place] += 1


class RenewalCohorts(msgspec.Struct):
    """Renewals and raises by cohort and by how many renewals came before, and how they go by the half month they fall into."""

    groups: dict[str, AgeTally] = msgspec.field(default_factory=dict)
    due: SeasonTally = msgspec.field(default_factory=SeasonTally)

    def see(self, example: RenewalExample) -> None:
        """Count one answered period."""
        self.due.see(example.renews_day, good=example.renewed)
        if example.cohort is not None:
            for group in _counted(example.cohort, self.groups):
                self.groups.setdefault(group, AgeTally()).see(example)


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One cohort: the share paid within each of `DAYS`, and of each renewal the share renewed so far and raised then.

    `kept` is the product of the shares renewed up to each renewal; `raised` the share of the renewed that went up by a tenth.
    """

    group: str
    invoices: int
    paid: tuple[float | None, ...]
    periods: int
    kept: tuple[float, ...]
    raised: tuple[float, ...]


def cohort_rows(pay: PayCohorts, renewals: RenewalCohorts) -> Iterator[CohortRow]:
    """Yield every cohort of which anything is known: the firm, months, service lines, contract types."""
    for group in sorted({*pay.groups, *renewals.groups}, key=lambda name: (name != FIRM, name)):
        tally, ages = pay.groups.get(group, PayTally()), renewals.groups.get(group, AgeTally())
        kept, raised, alive = [], [], 1.0
        for age in range(AGES - 1):
            if ages.known[age] < LEAST:
                break
            alive *= ages.renewed[age] / ages.known[age]
            kept.append(alive)
            raised.append(ages.raised[age] / ages.renewed[age] if ages.renewed[age] else 0.0)
        yield CohortRow(group, tally.invoices, tuple(tally.curve()), sum(ages.known), tuple(kept), tuple(raised))


def _counted(cohort: Cohort, known: dict[str, PayTally] | dict[str, AgeTally]) -> Iterator[str]:
    """Yield the groups an answer counts for; the oldest month makes room for a later one."""
    yield FIRM
    month = f"{_MONTH}{cohort.onboarded}"
    months = sorted(name for name in known if name.startswith(_MONTH))
    if month in known or len(months) < MONTHS_KEPT:
        yield month
    elif months[0] < month:
        del known[months[0]]
        yield month
    for kind, name in (("line", cohort.service_line), ("type", cohort.contract_type)):
        group = f"{kind}:{name}"
        if name and (group in known or sum(row.startswith(f"{kind}:") for row in known) < NAMES):
            yield group


def _place(days: int) -> int:
    return next((place for place, edge in enumerate(DAYS) if days <= edge), len(DAYS))

"""Instalment plans: what of an invoice rests because its instalments are still to come, what is due, and whether the plan holds.

A plan is a list of days and amounts for one invoice; with one instalment it is a deferral. Which instalments are paid follows
from what is left of the invoice: whatever reduced it fills the instalments in order. So nothing is matched, payments may come in
any order, and a plan that is cancelled leaves no trace in the money.
"""

from dataclasses import dataclass
from typing import Final

from models.state.rows import Invoice, Plan
from models.workdays import DAY_MS

PLAN_GRACE_MS: Final = 2 * DAY_MS  # as of a promise: a transfer made on the day needs to arrive
BROKEN_MS: Final = 21 * DAY_MS  # an instalment missing for longer ends the plan: one note and one person have asked by then
_LATE_MS: Final = 5 * DAY_MS  # as LATE_DAYS in models.state.closing: a plan agreed until then came before the invoice was late


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a plan stands: what rests, what is due, and the first instalment that is not paid (`number` counts from 1).

    `is_missed`: that instalment is due and its grace has passed. `is_broken`: for so long that nothing rests any more.
    """

    plan: Plan
    muted: int
    due: int
    number: int
    due_ms: int
    is_missed: bool
    is_broken: bool

    @property
    def of(self) -> int:
        """How many instalments there are."""
        return len(self.plan.parts)

    @property
    def anchor(self) -> str:
        """What a run about the instalment is about."""
        return instalment_anchor(self.plan, self.number)


def instalment_anchor(plan: Plan, number: int) -> str:
    """Return what the run about one instalment is about."""
    return f"{plan.plan_id}#{number}"


def is_agreed(plan: Plan) -> bool:
    """Say whether a plan was agreed and not cancelled since."""
    return plan.agreed_at > plan.cancelled_at


def plan_of(invoice: Invoice, plans: tuple[Plan, ...]) -> Plan | None:
    """Return the plan of an invoice: of several the one agreed last."""
    mine = [row for row in plans if row.invoice_id == invoice.invoice_id and is_agreed(row) and row.currency == invoice.currency]
    return max(mine, key=lambda row: (row.agreed_at, row.plan_id)) if mine else None


def standing_of(invoice: Invoice, plans: tuple[Plan, ...], *, left: int, now_ms: int) -> Standing | None:
    """Return where the plan of an invoice stands of which `left` is open; None without a plan, or with nothing open."""
    plan = plan_of(invoice, plans)
    if plan is None or not left:
        return None
    paid = max(0, sum(minor for _, minor in plan.parts) - left)
    muted = due = number = due_ms = 0
    for place, (at, minor) in enumerate(plan.parts, start=1):
        missing = max(0, minor - paid)
        paid = max(0, paid - minor)
        if not missing:
            continue
        if not number:
            number, due_ms = place, at
        if at + PLAN_GRACE_MS <= now_ms:
            due += missing
        else:
            muted += missing
    broken = due_ms + BROKEN_MS <= now_ms
    return Standing(plan, 0 if broken else muted, due, number, due_ms, due_ms + PLAN_GRACE_MS <= now_ms, broken)


def agreed_due_ms(invoice: Invoice, plans: tuple[Plan, ...]) -> int:
    """Return from when on lateness counts: the last instalment's day if the plan was agreed before the invoice was late."""
    plan = plan_of(invoice, plans) if plans else None
    if plan is None or plan.agreed_at > invoice.due_ms + _LATE_MS:
        return invoice.due_ms
    return max(invoice.due_ms, plan.parts[-1][0])


def days_late_ms(invoice: Invoice, plans: tuple[Plan, ...]) -> int:
    """Return how long after due a settled invoice was paid. What a plan covers is late by what it was when it was agreed.

    Or, when that is longer, by how long after the last instalment's day it was paid.
    """
    plan = plan_of(invoice, plans) if plans else None
    if plan is None:
        return invoice.settled_ms - invoice.due_ms
    return max(min(plan.agreed_at, invoice.settled_ms) - invoice.due_ms, invoice.settled_ms - plan.parts[-1][0])

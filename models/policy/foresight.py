"""Who, as always, pays within days is not asked meanwhile: the day by which an invoice is paid nine times in ten.

The word is the learner's where one has answered about the invoice, else the client's own: nine in ten of the last twelve that
were settled. Both come from the state alone, and only what was said before the step was due counts, so the day stays.
"""

from typing import Final

from models.learners.pay_range import LEVELS
from models.learners.scorer import PER_DAY
from models.policy.silence import Silence
from models.state.client import ClientState
from models.state.reckoning import left
from models.state.rows import Invoice
from models.workdays import DAY_MS, moment

LEAST: Final = 5
"""Settled invoices below which nobody has a habit."""

_BY_THEN: Final = LEVELS.index(0.9)


def has_habit(state: ClientState) -> bool:
    """Say whether enough is known of how this client pays, and nothing it has said or been asked lately speaks against it."""
    if len(state.habits.recent_days) < LEAST or state.care.alarm_ms or state.ledger.plans:
        return False
    # A promise that was judged while an invoice of it is still open was not kept.
    broken = {row.invoice_id for row in state.ledger.promises if row.judged and row.made_at > row.withdrawn_at}
    return not broken or not any(left(row) for row in state.ledger.invoices if not broken.isdisjoint({"", row.invoice_id}))


def foreseen(state: ClientState, invoice: Invoice, *, step_ms: int, oldest_ms: int, within_days: int) -> Silence | None:
    """Return why a message due at `step_ms` waits: by habit the invoice is paid within so many days. None once that day is over.

    An open invoice (the oldest is due at `oldest_ms`) that is later than this by the time of the step has broken the habit.
    """
    due_day, step_day = invoice.due_ms // DAY_MS, step_ms // DAY_MS
    days = _days(state, invoice.invoice_id, step_ms)
    if days is None or not step_day <= due_day + days <= step_day + within_days:
        return None
    if oldest_ms // DAY_MS + days < step_day:
        return None
    until_ms = (due_day + days + 1) * DAY_MS
    if state.now_ms >= until_ms:
        return None
    day = moment((due_day + days) * DAY_MS).date().isoformat()
    return Silence("foreseen", (f"invoice {invoice.invoice_id}: they usually pay by {day} (nine times in ten)",), until_ms)


def _days(state: ClientState, invoice_id: str, step_ms: int) -> int | None:
    """Return how many days after due the invoice is paid with nine in ten, None while the learners are trusted less."""
    watch = next((row for row in state.habits.watches if row.invoice_id == invoice_id), None)
    asked = next((row for row in reversed(watch.asked) if row.at_ms <= step_ms), None) if watch else None
    if asked is None or not asked.days:
        recent = state.habits.recent_days
        return recent[(9 * len(recent) + 9) // 10 - 1]
    return None if asked.is_leaned else -(-asked.days[_BY_THEN] // PER_DAY)

"""Who, as always, pays within days is not asked meanwhile: the day by which an invoice is paid nine times in ten.

The word is the learner's where one has answered about the invoice, else the client's own: nine in ten of the last twelve that
were settled. Both come from the state alone, and only what was said before the step was due counts, so the day stays.
"""

from typing import Final

from models.learners.pay_range import LEVELS
from models.learners.scorer import PER_DAY
from models.learnt import Learnt, Quality
from models.policy.freshness import ANY_AGE, MaxAge, pay_date_read
from models.policy.silence import Silence
from models.state.client import ClientState
from models.state.promises import unkept
from models.state.rows import Invoice
from models.workdays import DAY_MS, moment

LEAST: Final = 5
"""Settled invoices below which nobody has a habit."""

BY_THEN: Final = LEVELS.index(0.9)
"""Where a stored answer has the day by which nine in ten are paid."""


def has_habit(state: ClientState) -> bool:
    """Say whether enough is known of how this client pays, and nothing it has said or been asked lately speaks against it."""
    if len(state.habits.recent_days) < LEAST or state.care.alarm_ms or state.ledger.plans:
        return False
    judged = (row for row in state.ledger.promises if row.judged and row.made_at > row.withdrawn_at)
    return not any(unkept(row, state.ledger, state.now_ms) for row in judged)


def foreseen(
    state: ClientState,
    invoice: Invoice,
    *,
    step_ms: int,
    oldest_ms: int,
    within_days: int,
    ages: MaxAge = ANY_AGE,
    by_habit: bool = False,
) -> Silence | None:
    """Return why a message due at `step_ms` waits: by habit the invoice is paid within so many days. None once that day is over.

    An open invoice (the oldest is due at `oldest_ms`) that is later than this by the time of the step has broken the habit.
    A learner's word that was too old at the step does not stand alone: the later of its day and that of the habit is waited for,
    so that no message leaves sooner because a word has aged. `by_habit`: of a client still held as new no learner's word counts.
    """
    due_day, step_day = invoice.due_ms // DAY_MS, step_ms // DAY_MS
    opinions, learnt = ([_habit(state)], ()) if by_habit else _opinions(state, invoice.invoice_id, step_ms, ages)
    days = max((row for row in opinions if _is_near(row, due_day, step_day, oldest_ms // DAY_MS, within_days)), default=None)
    if days is None:
        return None
    until_ms = (due_day + days + 1) * DAY_MS
    if state.now_ms >= until_ms:
        return None
    day = moment((due_day + days) * DAY_MS).date().isoformat()
    words = f"invoice {invoice.invoice_id}: they usually pay by {day} (nine times in ten)"
    return Silence("foreseen", (words,), until_ms, learnt)


def _habit(state: ClientState) -> int:
    recent = state.habits.recent_days
    return recent[(9 * len(recent) + 9) // 10 - 1]


def _is_near(days: int, due_day: int, step_day: int, oldest_day: int, within_days: int) -> bool:
    """Say whether so many days after due lie within reach of a step, and no open invoice is later than that."""
    return step_day <= due_day + days <= step_day + within_days and oldest_day + days >= step_day


def _opinions(state: ClientState, invoice_id: str, step_ms: int, ages: MaxAge) -> tuple[list[int], tuple[Learnt, ...]]:
    """Return how many days after due the invoice is paid with nine in ten, none while the learners are trusted less.

    They are the learner's word, or the client's own habit where it said none, or both where its word had grown too old.
    """
    watch = next((row for row in state.habits.watches if row.invoice_id == invoice_id), None)
    asked = next((row for row in reversed(watch.asked) if row.at_ms <= step_ms), None) if watch else None
    habit = _habit(state)
    if asked is None or not asked.days:
        return [habit], ()
    said = asked.days[BY_THEN]
    read = pay_date_read(said / PER_DAY, invoice_id, as_of_ms=asked.at_ms, at_ms=step_ms, version=asked.version, ages=ages)
    mine = [] if asked.is_leaned else [-(-said // PER_DAY)]
    return (mine if read.quality is not Quality.STALE else [*mine, habit]), (read,)

"""What left although it was taken back has been said: its step is not taken once more, in no journey.

Taking a message back makes its step due anew. A worker that finds the message gone says so later (`too_late`), and by then
the step may have been decided again; then the second is taken back, and the step counts as taken with the first.
"""

from typing import Final

from models.policy.aftermath import withdraw
from models.policy.delay_support import redo, undo
from models.policy.monthly import said, unsaid
from models.policy.relationship import go_on, reopen
from models.policy.turn import Turn
from models.state.client import PREDICATES, Pending, journey_of
from models.triggers import CancelWhen, Journey
from models.workdays import DAY_MS

FOR_GOOD: Final = frozenset(
    {CancelWhen.PAYMENT_REVERSED, CancelWhen.CONTRACT_ENDED, CancelWhen.CONTRACT_RENEWED, CancelWhen.PATTERN_ENDED}
)
"""What a message was about is over: its step is not due anew when it is taken back."""


def due_anew(turn: Turn, row: Pending, *, ready_ms: int, tries: int) -> None:
    """Make the step of a message that did not leave due anew, from `ready_ms` on; `tries`: how many attempts that counts."""
    journey = journey_of(row)
    if journey is Journey.DELAY_SUPPORT:
        undo(turn, row, ready_ms=ready_ms, tries=tries)
        return
    if journey is Journey.STATEMENT:
        unsaid(turn, row.anchor)
    reopen(turn, journey, row.anchor, ready_ms=ready_ms, tries=tries)


def count_as_said(turn: Turn, row: Pending, *, at_ms: int) -> None:
    """Let the step of a message that left at `at_ms` count as taken, also where it had been taken back."""
    if not row.advances:
        return
    journey = journey_of(row)
    if row.retracted:
        _take_back_repetitions(turn, row)
    if journey is Journey.STATEMENT:
        said(turn, row, at_ms=at_ms)
    elif not row.retracted or PREDICATES[row.because] in FOR_GOOD:
        return
    elif journey is Journey.DELAY_SUPPORT:
        redo(turn, row, at_ms=at_ms)
    else:
        go_on(turn, journey, row.anchor, at_ms=at_ms)


def _take_back_repetitions(turn: Turn, row: Pending) -> None:
    """Take back what was decided anew because nobody knew yet that `row` had left."""
    why = (f"{row.step} left by {row.channel} although it was taken back: it is said once",)
    now = turn.state.now_ms
    for other in turn.state.care.pending:
        if not other.retracted and other.advances and _says_the_same(row, other):
            withdraw(turn, other, CancelWhen.DECIDED_ANEW, why, known_ms=now)
            due_anew(turn, other, ready_ms=now + turn.policy.settle_days * DAY_MS, tries=0)


def _says_the_same(row: Pending, other: Pending) -> bool:
    if (row.journey, row.step) != (other.journey, other.step):
        return False
    return row.anchor == other.anchor or not set(row.invoice_ids).isdisjoint(other.invoice_ids)

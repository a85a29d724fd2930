"""Whether what was taken back stayed unsent, and whether anything left after it was paid: stop on payment, as a measure.

Two orders of arrival are possible, and both are judged by the same two moments: when the payment reached us (`received_at`,
stamped at the edge) and when the provider took the message (`occurred_at` of the outcome). Usually the payment is folded first
and the message taken back; when it waited in a backlog, the message is reported as sent first and the payment speaks afterwards.
"""

from typing import Final

from msgspec.structs import replace

from models.events.signals import DeliveryOutcome, DeliveryReported
from models.policy.approval import forget_question
from models.policy.turn import Turn, find_run
from models.state.client import PREDICATES, ClientState, Pending, Run, journey_of
from models.state.reckoning import left
from models.triggers import CancelWhen, DecisionOutcome, Journey

_LEFT: Final = frozenset(
    {
        DeliveryOutcome.SENT,
        DeliveryOutcome.DELIVERED,
        DeliveryOutcome.REPLIED,
        DeliveryOutcome.COMPLAINED,
        DeliveryOutcome.AMBIGUOUS,
        DeliveryOutcome.TOO_LATE,
    }
)
"""Outcomes of messages that left, or may have: what is uncertain counts against us."""

_SETTLED: Final = PREDICATES.index(CancelWhen.INVOICES_SETTLED)


def taken_back(row: Pending, because: CancelWhen, known_ms: int) -> Pending:
    """Return `row` as it is kept after its retraction, until a worker has acknowledged that."""
    return replace(row, retracted=True, retracted_ms=known_ms, because=PREDICATES.index(because))


def withdraw(turn: Turn, row: Pending, because: CancelWhen, reasons: tuple[str, ...], *, known_ms: int) -> None:
    """Take a pending message back: it is kept as such, its channel is told, and what people were asked with it is forgotten."""
    care = turn.state.care
    marked = taken_back(row, because, known_ms)
    rows = tuple(marked if known.trigger_id == row.trigger_id else known for known in care.pending)
    turn.state = replace(turn.state, care=replace(care, pending=rows))
    turn.retract(row, because, reasons)
    forget_question(turn, row)


def judge_arrival(turn: Turn, row: Pending, event: DeliveryReported) -> None:
    """Record a message that left although it had been taken back, and remember when each invoice was last asked for."""
    if event.outcome not in _LEFT or row.channel in turn.policy.internal_channels:
        return
    if row.retracted:
        late_ms = max(0, event.occurred_ms - row.retracted_ms)
        why = PREDICATES[row.because].value.replace("_", " ")
        _tell(turn, row, DecisionOutcome.CANCELLED_YET_DELIVERED, f"it left although it was taken back ({why})", late_ms)
        if row.because == _SETTLED and event.occurred_ms >= row.retracted_ms:
            _tell(turn, row, DecisionOutcome.SENT_AFTER_PAID, "it left after the payment was known", late_ms)
        return
    for invoice_id in row.invoice_ids:
        run = find_run(turn.state, Journey.DELAY_SUPPORT, invoice_id)
        if run is not None and run.sent_ms < event.occurred_ms:
            turn.put_run(replace(run, sent_ms=event.occurred_ms))


def judge_late_news(turn: Turn, before: ClientState, received_ms: int) -> None:
    """Record messages that left while the payment folded just now, received at `received_ms`, was still waiting to be read."""
    after = {row.invoice_id: row for row in turn.state.ledger.invoices}
    for run in turn.state.care.runs:
        if run.sent_ms <= received_ms or journey_of(run) is not Journey.DELAY_SUPPORT:
            continue
        was = next((row for row in before.ledger.invoices if row.invoice_id == run.anchor), None)
        now = after.get(run.anchor)
        if was is None or not left(was) or (now is not None and left(now)):
            continue
        reason = f"invoice {run.anchor} was asked for while its payment waited to be read"
        turn.decide(
            DecisionOutcome.SENT_AFTER_PAID, (reason,), run=run, step="sent", late_seconds=(run.sent_ms - received_ms) / 1000
        )


def unacknowledged(turn: Turn, row: Pending) -> None:
    """Record a retraction that no worker has answered: nobody knows whether the message left."""
    _tell(turn, row, DecisionOutcome.UNACKNOWLEDGED, "it was taken back and no worker has said whether it left", None)


def _tell(turn: Turn, row: Pending, outcome: DecisionOutcome, reason: str, late_ms: int | None) -> None:
    late = None if late_ms is None else late_ms / 1000
    run = Run(row.journey, row.anchor)
    turn.decide(outcome, (reason,), run=run, step=row.step, channel=row.channel, trigger_id=row.trigger_id, late_seconds=late)

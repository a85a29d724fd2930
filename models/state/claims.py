"""How delays, disputes and promises change the ledger. Every fact is idempotent and may arrive in any order."""

from typing import Final

from msgspec.structs import replace

from models.events.delays import (
    DelayReported,
    DisputeClosed,
    DisputeOpened,
    DisputeOutcome,
    PlanAgreed,
    PlanCancelled,
    PromiseMade,
    PromiseWithdrawn,
)
from models.events.envelope import epoch_ms
from models.state.client import ClientState
from models.state.memory import is_closed
from models.state.rows import Dispute, Invoice, Plan, Promise
from models.state.totals import count

DISPUTES_KEPT: Final = 8


def delay_reported(state: ClientState, event: DelayReported) -> ClientState:
    """Somebody says when the invoice will be paid; support waits for that day within the policy's limit."""
    rows = state.ledger.invoices
    if is_closed(state.memory.closed, f"invoice:{event.invoice_id}"):
        return count(state, repeats=1)
    before = next((row for row in rows if row.invoice_id == event.invoice_id), None)
    known = before or Invoice(event.invoice_id)
    expected = epoch_ms(event.expected_at) if event.expected_at else 0
    if (known.expected_at, known.expected_ms) >= (event.occurred_ms, expected):
        return state
    after = replace(known, expected_ms=expected, expected_at=event.occurred_ms, touched_ms=state.now_ms)
    kept = (*rows, after) if before is None else tuple(after if row is before else row for row in rows)
    return replace(state, ledger=replace(state.ledger, invoices=kept))


def dispute_opened(state: ClientState, event: DisputeOpened) -> ClientState:
    """Fold in: the client contests something; it leaves collection until the dispute is closed."""
    known = _dispute(state, event.dispute_id)
    if known is not None and known.opened_at >= event.occurred_ms:
        return state
    base = known or Dispute(event.dispute_id)
    open_still = event.occurred_ms > base.closed_at
    after = replace(
        base,
        invoice_id=event.invoice_id or "",
        currency=event.amount.currency if event.amount else "",
        minor=event.amount.minor if event.amount else 0,
        opened_at=event.occurred_ms,
        lost=base.lost and not open_still,
        touched_ms=state.now_ms,
        reason=(event.reason or "") if open_still else "",
        cause=(event.cause or "") if open_still else "",
    )
    state = _put_dispute(state, known, after)
    others = [at for at in state.rhythm.disputes if at != base.opened_at]
    seen = tuple(sorted((*others, event.occurred_ms))[-DISPUTES_KEPT:])
    return replace(state, rhythm=replace(state.rhythm, disputes=seen))


def dispute_closed(state: ClientState, event: DisputeClosed) -> ClientState:
    """Fold in: a dispute ended. Lost by the firm, its amount stays out of collection."""
    known = _dispute(state, event.dispute_id)
    if known is not None and known.closed_at >= event.occurred_ms:
        return state
    base = known or Dispute(event.dispute_id)
    lost = event.outcome is DisputeOutcome.LOST and event.occurred_ms >= base.opened_at
    after = replace(base, closed_at=event.occurred_ms, lost=lost, touched_ms=state.now_ms)
    if event.occurred_ms >= base.opened_at:
        after = replace(after, reason="", cause="")
    return _put_dispute(state, known, after)


def promise_made(state: ClientState, event: PromiseMade) -> ClientState:
    """Fold in: the client promised to pay; what is promised is held until then."""
    known = _promise(state, event.promise_id)
    if known is not None and known.made_at >= event.occurred_ms:
        return state
    base = known or Promise(event.promise_id)
    after = replace(
        base,
        invoice_id=event.invoice_id or "",
        currency=event.amount.currency if event.amount else "",
        minor=event.amount.minor if event.amount else 0,
        promised_ms=epoch_ms(event.promised_at),
        made_at=event.occurred_ms,
        judged=False,
        touched_ms=state.now_ms,
    )
    return _put_promise(state, known, after)


def promise_withdrawn(state: ClientState, event: PromiseWithdrawn) -> ClientState:
    """Fold in: a promise was taken back, whether it is known yet or not."""
    known = _promise(state, event.promise_id)
    if known is not None and known.withdrawn_at >= event.occurred_ms:
        return state
    after = replace(known or Promise(event.promise_id), withdrawn_at=event.occurred_ms, touched_ms=state.now_ms)
    return _put_promise(state, known, after)


def plan_agreed(state: ClientState, event: PlanAgreed) -> ClientState:
    """Fold in: an invoice is paid in instalments; agreed anew under the same name, the later word holds."""
    known = _plan(state, event.plan_id)
    parts = tuple((epoch_ms(row.due_at), row.amount.minor) for row in event.instalments)
    if known is not None and (known.agreed_at, known.parts) >= (event.occurred_ms, parts):
        return state
    after = replace(
        known or Plan(event.plan_id),
        invoice_id=event.invoice_id,
        currency=event.instalments[0].amount.currency,
        parts=parts,
        agreed_at=event.occurred_ms,
        told_ms=0,
        touched_ms=state.now_ms,
    )
    return _put_plan(state, known, after)


def plan_cancelled(state: ClientState, event: PlanCancelled) -> ClientState:
    """Fold in: a plan holds no more, whether it is known yet or not."""
    known = _plan(state, event.plan_id)
    if known is not None and known.cancelled_at >= event.occurred_ms:
        return state
    after = replace(known or Plan(event.plan_id), cancelled_at=event.occurred_ms, touched_ms=state.now_ms)
    return _put_plan(state, known, after)


def _plan(state: ClientState, plan_id: str) -> Plan | None:
    return next((row for row in state.ledger.plans if row.plan_id == plan_id), None)


def _put_plan(state: ClientState, before: Plan | None, after: Plan) -> ClientState:
    ledger = state.ledger
    # Who learns from an invoice looks at the rows that changed: what it is to be paid by is a part of it.
    invoices = tuple(
        replace(row, touched_ms=state.now_ms) if row.invoice_id == after.invoice_id else row for row in ledger.invoices
    )
    kept = (*(row for row in ledger.plans if row is not before), after)
    return replace(state, ledger=replace(ledger, invoices=invoices, plans=kept))


def _dispute(state: ClientState, dispute_id: str) -> Dispute | None:
    return next((row for row in state.ledger.disputes if row.dispute_id == dispute_id), None)


def _promise(state: ClientState, promise_id: str) -> Promise | None:
    return next((row for row in state.ledger.promises if row.promise_id == promise_id), None)


def _put_dispute(state: ClientState, before: Dispute | None, after: Dispute) -> ClientState:
    kept = (*(row for row in state.ledger.disputes if row is not before), after)
    return replace(state, ledger=replace(state.ledger, disputes=kept))


def _put_promise(state: ClientState, before: Promise | None, after: Promise) -> ClientState:
    kept = (*(row for row in state.ledger.promises if row is not before), after)
    return replace(state, ledger=replace(state.ledger, promises=kept))

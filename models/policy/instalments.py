"""Instalments as items with timers of their own: when one may be missing, and when a plan holds no more."""

from msgspec.structs import replace

from models.policy.arrears import missed_from
from models.policy.policy import Policy
from models.policy.turn import Turn
from models.state.balances import items
from models.state.client import ClientState, Timer, TimerKind
from models.state.plans import BROKEN_MS
from models.state.runs import softer
from models.triggers import DecisionOutcome, Journey


def plan_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when the next instalments may be missing, whenever their invoices are due, and when plans end by themselves."""
    timers = []
    for item in items(state.ledger, state.now_ms):
        plan = item.standing
        if plan is None:
            continue
        if plan.plan.told_ms != plan.due_ms:
            timers.append(Timer(max(state.now_ms, plan.due_ms + BROKEN_MS), TimerKind.PLAN, plan.plan.plan_id))
        if not plan.is_missed:
            at_ms = policy.open_hour(state, missed_from(plan, state, policy))
            timers.append(Timer(at_ms, TimerKind.DELAY, item.invoice.invoice_id))
    return timers


def fire_plan(turn: Turn, timer: Timer) -> None:
    """Say that a plan holds no more: the whole invoice is owed again, and support goes on one step softer."""
    state = turn.state
    for item in items(state.ledger, state.now_ms):
        plan, invoice_id = item.standing, item.invoice.invoice_id
        if plan is None or plan.plan.plan_id != timer.anchor or not plan.is_broken:
            continue
        told = tuple(replace(row, told_ms=plan.due_ms) if row is plan.plan else row for row in state.ledger.plans)
        turn.state = replace(state, ledger=replace(state.ledger, plans=told))
        run = turn.run(Journey.DELAY_SUPPORT, invoice_id)
        if run.stage:
            turn.put_run(softer(run))
        missing = f"instalment {plan.number} of {plan.of} of invoice {invoice_id} did not come"
        turn.decide(DecisionOutcome.HELD, (f"{missing}: the plan holds no more, support goes on softly",), run=run, step="plan")
        return

"""Which runs a client's state gives up: those whose anchor is gone, so that states stay small however long a client stays."""

from typing import Final

from msgspec.structs import replace

from models.policy.journeys import OwnEntry
from models.policy.openings import own_waiting
from models.policy.turn import Turn
from models.state.client import OWN, journey_of
from models.state.plans import instalment_anchor
from models.triggers import Journey
from models.workdays import DAY_MS

RUN_KEPT_MS: Final = 120 * DAY_MS


def prune_runs(turn: Turn) -> None:
    """Forget runs whose anchor is gone: their invoice has collapsed, their period is long over."""
    state = turn.state
    invoices = {row.invoice_id for row in state.ledger.invoices}
    for plan in state.ledger.plans:
        invoices |= {instalment_anchor(plan, number) for number in range(1, len(plan.parts) + 1)}
    cooling = {
        row.journey: state.now_ms if isinstance(row.entry, OwnEntry) and row.entry.once else row.cooldown_days * DAY_MS
        for row in turn.policy.journeys.every_playbook
    }
    waiting = own_waiting(state, turn.policy)
    kept = tuple(
        run
        for run in state.care.runs
        if (run.journey == OWN and run.anchor in waiting)
        or (
            run.anchor in invoices
            if journey_of(run) is Journey.DELAY_SUPPORT
            else max(run.started_ms, run.ready_ms) > state.now_ms - max(RUN_KEPT_MS, cooling.get(journey_of(run), 0))
        )
    )
    if len(kept) != len(state.care.runs):
        turn.state = replace(state, care=replace(state.care, runs=kept))

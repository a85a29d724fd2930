"""What support in a delay would say next: about which invoice, which others ride along, by which step and which way."""

from collections.abc import Sequence

from models.policy.arrears import Arrear, due_since, is_high_value
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.statement import riding
from models.policy.ways import way_now
from models.state.client import ClientState
from models.state.runs import is_begun


def carrying_of(found: list[Arrear]) -> Arrear | None:
    """Return the invoice that the next message is about: the furthest on the ladder, of several the oldest."""
    free = [row for row in found if row.silence is None and not row.is_exhausted]
    # A missed instalment is spoken of on its own, and before anything that is asked for more firmly.
    free = [row for row in free if row.instalment] or free
    started = [row for row in free if is_begun(row.run)]
    if started:
        return max(started, key=lambda row: (row.run.stage, -row.due_ms, row.invoice.invoice_id))
    return min(free, key=lambda row: (row.ready_ms, row.due_ms, row.invoice.invoice_id), default=None)


def riders_of(carrying: Arrear, found: list[Arrear], state: ClientState, policy: Policy) -> list[Arrear]:
    """Return the invoices a message names: the carrying one and all others overdue beyond grace, whatever their currency.

    One whose dispute, promise or payment under way has just ended, or that was just edited, has its own rest first.
    """
    due = (
        row
        for row in found
        if row is carrying
        or (
            row.silence is None
            and not row.is_exhausted
            and row.rest_ms <= state.now_ms
            and bool(row.instalment) == bool(carrying.instalment)
            and due_since(row.due_ms, state, policy) <= state.now_ms
        )
    )
    return riding(due, carrying)


def step_of(carrying: Arrear, riders: list[Arrear], state: ClientState, policy: Policy) -> Step:
    """Return the next step; a person asks first where the segment, an alarm or the amount calls for one."""
    ladder = carrying.ladder
    asked = carrying.run.human or state.care.last_human_ms >= carrying.due_ms
    wanted = ladder.human_first or state.care.alarm_ms or is_high_value(riders, state, policy)
    if wanted and not asked:
        return ladder.human
    return ladder.steps[carrying.run.stage]


def way_of_message(step: Step, carrying: Arrear, riders: Sequence[Arrear], state: ClientState, policy: Policy) -> str:
    """Return the channel by which a step would leave now; empty where no channel has a cost, so that nobody needs to know."""
    names = tuple(row.invoice.invoice_id for row in riders)
    return way_now(state, policy, step, carrying.run, names) if policy.contact_costs else ""

"""States and outputs as tests look at them: what must be equal when two histories tell the same facts, and office hours."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from models.events.union import AnyEvent
from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY, Policy
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.history import Lateness, lateness
from models.state.reckoning import gross, left, on_account, taken_back, unapplied
from models.state.windows import compact
from models.transition import Transition, transition
from models.triggers import AnyOutput
from models.workdays import Window


def fold(events: Sequence[AnyEvent], *, policy: Policy = DEFAULT_POLICY, state: ClientState | None = None) -> list[Transition]:
    """Fold events in the order given; return every transition."""
    results = []
    for event in events:
        result = transition(state, event, policy=policy, scorer=BASELINE)
        state = result.state
        results.append(result)
    return results


def final(events: Sequence[AnyEvent]) -> ClientState:
    """Return the state after all events."""
    return fold(events)[-1].state


def outputs_of(results: Sequence[Transition]) -> list[AnyOutput]:
    """Return all outputs in order."""
    return [output for result in results for output in result.outputs]


def is_open(at_ms: int, window: Window, zone: ZoneInfo) -> bool:
    """Say by the clock on the wall whether a moment lies in office hours; nothing is asked of the code that finds them."""
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    return local.weekday() in window.weekdays and window.opens <= local.time() < window.closes


def money_view(state: ClientState) -> dict[str, object]:
    """Return every figure about money, rows sorted, times of arrival left out."""
    ledger = state.ledger
    return {
        "exposures": exposures(ledger, state.now_ms),
        "invoices": sorted(
            (row.invoice_id, row.currency, row.minor, row.due_ms, left(row), row.paid, row.credited, row.settled_ms)
            for row in ledger.invoices
            if row.issued_at
        ),
        "payments": sorted((row.payment_id, row.currency, gross(row), taken_back(row)) for row in ledger.payments),
        "cash": {code: minor for code, minor in unapplied(ledger).items() if minor},
        "credit": {code: minor for code, minor in on_account(ledger).items() if minor},
        "totals": sorted(ledger.totals, key=lambda row: row.currency),
    }


def rhythm_view(state: ClientState) -> dict[str, object]:
    """Return windows, cadence, methods and lateness."""
    rhythm = state.rhythm
    past: Lateness = lateness(state)
    return {
        "buckets": compact(rhythm.buckets, now_ms=state.now_ms),
        "pay_days": rhythm.pay_days,
        "methods": rhythm.methods if any(rhythm.methods) else (),
        "failures": rhythm.failures,
        "disputes": rhythm.disputes,
        "retry": (rhythm.next_retry_ms, rhythm.retry_at),
        "late": past,
    }

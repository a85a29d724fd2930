"""The circuit for a reliable payer who suddenly turns late: people first, and before anything else.

The alarm opens two tasks at once: somebody speaks with the client (the ladder's own person step, brought forward) and somebody
checks that invoices reach the right person. Until a contact is logged, or `alarm_hold_days` have passed, nothing more is sent by
itself and the client is not moved; the ladder stays the reliable one, so the tone does not rise. The alarm ends with the last
overdue invoice.
"""

from msgspec.structs import replace

from models.policy.arrears import arrears, facts_of, why_late
from models.policy.material import owing, telling
from models.policy.policy import Policy
from models.policy.segments import is_alarming
from models.policy.statement import riding, totals_of
from models.policy.turn import Turn
from models.state.client import ClientState, Segment
from models.state.closing import LATE_DAYS
from models.state.history import Lateness
from models.state.reckoning import owed
from models.triggers import CancelWhen, DecisionOutcome
from models.workdays import DAY_MS


def alarm_ms(state: ClientState, policy: Policy) -> int:
    """Return when the open invoices of a reliable client could alarm if nothing is paid; 0: they cannot."""
    care, open_rows = state.care, state.ledger.invoices
    if care.segment is not Segment.RELIABLE or care.alarm_ms or len(open_rows) <= 1:
        return 0
    at = _from_two(sorted([row.due_ms for row in open_rows if not row.settled_ms and owed(row)]), policy)
    # What is too little, contested or covered does not count; without it the moment can only be later, and it is asked then.
    return _from_two(telling(owing(state), state, policy), policy) if 0 < at <= state.now_ms else at


def _from_two(due: list[int], policy: Policy) -> int:
    """Return when invoices due on these days alarm, 0 where there are not several."""
    if len(due) <= 1:
        return 0
    return max(due[0] + (policy.segments.alarm_overdue_days + 1) * DAY_MS, due[1] + LATE_DAYS * DAY_MS + 1)


def is_waiting(state: ClientState, policy: Policy) -> bool:
    """Say whether an alarm still waits for a person, so that nobody may be moved."""
    care = state.care
    if not care.alarm_ms or care.last_human_ms >= care.alarm_ms:
        return False
    return state.now_ms < care.alarm_ms + policy.segments.alarm_hold_days * DAY_MS


def watch(turn: Turn, past: Lateness) -> None:
    """Raise the alarm where a reliable payer has suddenly turned late, and end it when nothing is overdue any more."""
    care, policy = turn.state.care, turn.policy
    if not care.alarm_ms and is_alarming(past, care.segment, policy):
        # While a source is late nobody knows what was paid: that is ours, and no client's change of heart.
        if policy.late_feed(turn.state.feeds) is None:
            _raise(turn, past)
    elif care.alarm_ms and not past.overdue_now:
        turn.state = replace(turn.state, care=replace(care, alarm_ms=0))
        _take_back(turn)


def _raise(turn: Turn, past: Lateness) -> None:
    state = turn.state
    turn.state = replace(state, care=replace(state.care, alarm_ms=state.now_ms))
    oldest = past.oldest_overdue_days
    overdue = f"{past.overdue_now} invoices overdue, the oldest by {oldest} days"
    turn.decide(DecisionOutcome.HELD, (f"a reliable client suddenly has {overdue}", "a person asks and checks the contact first"))
    policy, now = turn.policy, turn.state.now_ms
    found = [row for row in arrears(turn.state, policy) if row.silence is None and row.due_ms < now]
    if not found:
        return
    carrying = found[0]
    named = riding(found, carrying)
    why = why_late(named, carrying, turn.state, policy)
    turn.send(
        policy.journeys.contact_check,
        carrying.run,
        facts=facts_of(named, carrying, turn.state, policy, why),
        reasons=(overdue, policy.journeys.contact_check.why, *why.words),
        invoice_ids=(carrying.invoice.invoice_id,),
        advances=False,
        totals=totals_of(named, carrying),
    )
    for row in found:
        # The ladder's person step is asked for now instead of its next message: a person is what comes next.
        if row.run.ready_ms > now:
            turn.put_run(replace(row.run, ready_ms=now, told=""))


def _take_back(turn: Turn) -> None:
    check = turn.policy.journeys.contact_check.id
    for row in turn.state.care.pending:
        if row.step == check and not row.advances and not row.retracted:
            kept = tuple(replace(known, retracted=True) if known is row else known for known in turn.state.care.pending)
            turn.state = replace(turn.state, care=replace(turn.state.care, pending=kept))
            turn.retract(row, CancelWhen.INVOICES_SETTLED, ("nothing is overdue any more",))

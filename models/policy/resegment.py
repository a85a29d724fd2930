"""Moves between segments: the verdict must persist, the filter must agree, who is new stays new for a while.

Each move is a decision with its cause, and names the money involved.
"""

from typing import Final

from msgspec.structs import replace

from models.learnt import Quality
from models.money import Money
from models.policy.belief import Belief, belief
from models.policy.freshness import segment_read
from models.policy.material import material_lateness
from models.policy.policy import Policy
from models.policy.rfm import rfm
from models.policy.segments import Verdict, verdict
from models.policy.sudden import alarm_ms, is_waiting, watch
from models.policy.tones import CEILINGS, is_above
from models.policy.turn import Turn
from models.state.balances import exposures
from models.state.client import ClientState, Segment, Timer, TimerKind
from models.state.history import Lateness, payable_ms
from models.state.reckoning import owed
from models.triggers import DecisionOutcome, SegmentChange
from models.workdays import DAY_MS

RECHECK_MS: Final = 7 * DAY_MS
RECHECKS: Final = 8
"""How often a verdict that holds without the filter's consent is looked at anew by itself: as long as an open invoice still tells
it something (60 days past due). After that only an event can change its mind."""

PLAIN_DAYS: Final = 60
"""A verdict that the filter knows nothing of holds so long before a client moves: three disputes in a week are one quarrel."""


def segment_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when the segment may change without an event.

    At the first months' ends, at the end of a verdict's persistence, and when an open invoice is so long past due that the rules
    see it otherwise.
    """
    care, rules, now = state.care, policy.segments, state.now_ms
    if care.segment is Segment.NEW:
        for days in (rules.new_days, rules.new_limit_days):
            end = state.first_seen_ms + days * DAY_MS
            if now < end:
                return [Timer(end, TimerKind.SEGMENT)]
        return []
    looks = [_looked_at_anew(state, policy), _grown_old(state, policy)]
    found = [at for at in looks if at > now]
    return [Timer(min(found), TimerKind.SEGMENT)] if found else []


def _looked_at_anew(state: ClientState, policy: Policy) -> int:
    """Return when the client could alarm, or when a verdict that does not hold yet is judged again; 0: not by itself."""
    care, rules, now = state.care, policy.segments, state.now_ms
    if care.candidate is care.segment:
        return alarm_ms(state, policy)
    due = care.candidate_since_ms + rules.persist_days * DAY_MS
    if now >= due:
        # It was judged when it was due, and the filter did not agree.
        due += ((now - due) // RECHECK_MS + 1) * RECHECK_MS
        if due > care.candidate_since_ms + rules.persist_days * DAY_MS + RECHECKS * RECHECK_MS:
            return 0
    return due


def _grown_old(state: ClientState, policy: Policy) -> int:
    """Return when the next open invoice is so old that it counts as very late, or makes a problem by itself; 0: none will be.

    Nobody hears of a client who stops paying and buys nothing more: time alone must tell. What is contested or too little is
    found out when it is judged.
    """
    if state.care.segment is Segment.PROBLEM:
        return 0
    days = (policy.segments.problem_days, policy.segments.problem_overdue_days)
    rows = [payable_ms(row, state) for row in state.ledger.invoices if not row.settled_ms and owed(row)]
    moments = (due_ms + (limit + 1) * DAY_MS for due_ms in rows for limit in days)
    return min((at for at in moments if at > state.now_ms), default=0)


def resegment(turn: Turn) -> None:
    """Judge the client anew and move them where the rules of hysteresis allow it and the filter agrees."""
    state, policy = turn.state, turn.policy
    if state.identity.payer:
        return  # another one pays: nothing new is known of how this one does
    now = state.now_ms
    past = material_lateness(state, policy)
    found = verdict(state, past, policy)
    if state.care.segment is Segment.NEW:
        _leave_new(turn, past, found)
        return
    watch(turn, past)
    care = turn.state.care
    target = found.segment or care.segment
    if target is care.segment:
        if care.candidate is not care.segment:
            turn.state = replace(turn.state, care=replace(care, candidate=care.segment, candidate_since_ms=0))
    elif target is not care.candidate:
        turn.state = replace(turn.state, care=replace(care, candidate=target, candidate_since_ms=now))
    elif now >= care.candidate_since_ms + max(policy.segments.persist_days, found.is_plain * PLAIN_DAYS) * DAY_MS:
        sure = belief_of(past, state, policy)
        if _agrees(found, sure, turn) and not is_waiting(turn.state, policy) and not _is_held(turn, target, found, past, sure):
            _move(turn, target, found, past, sure)


def belief_of(past: Lateness, state: ClientState, policy: Policy) -> Belief:
    """Return the filter's opinion at the state's logical time."""
    return belief(past, now_ms=state.now_ms, switch_per_year=policy.segments.switch_per_year)


def _leave_new(turn: Turn, past: Lateness, found: Verdict) -> None:
    state, rules = turn.state, turn.policy.segments
    age = state.now_ms - state.first_seen_ms
    if age < rules.new_days * DAY_MS or past.labelled < rules.new_labels:
        return
    sure = belief_of(past, state, turn.policy)
    if found.segment is not None and _agrees(found, sure, turn):
        target = found.segment
    elif age >= rules.new_limit_days * DAY_MS:
        target = found.segment or sure.likeliest
    else:
        return
    if not _is_held(turn, target, found, past, sure):
        _move(turn, target, found, past, sure)


def _is_held(turn: Turn, target: Segment, found: Verdict, past: Lateness, sure: Belief) -> bool:
    """Say whether a move waits for news: it is to a firmer segment, and a source is late or the invoices ended too long ago.

    It is told once; what rests on old invoices must then hold anew. Disputes are counted within a year, with an age of their own.
    """
    care, now = turn.state.care, turn.state.now_ms
    if found.is_plain or not is_above(CEILINGS[target], CEILINGS[care.segment]):
        return False
    read = segment_read(past, sure.toward(care.segment, target), now, turn.policy.max_age)
    late = turn.policy.late_feed(turn.state.feeds)
    if late is None and read.quality is not Quality.STALE:
        return False
    if late is None and care.candidate is not care.segment:
        turn.state = replace(turn.state, care=replace(care, candidate=care.segment, candidate_since_ms=0))
    reason = f"stays {care.segment.value}, not {target.value}: {late or f'no invoice has ended since {read.as_of:%Y-%m-%d}'}"
    if not any(note.reason == reason for note in care.notes):
        turn.decide(DecisionOutcome.SUPPRESSED, (reason,), learnt=(read,))
    return True


def _agrees(found: Verdict, sure: Belief, turn: Turn) -> bool:
    if found.is_plain or found.segment is None:
        return True
    return sure.toward(turn.state.care.segment, found.segment) >= turn.policy.segments.agree


def _move(turn: Turn, target: Segment, found: Verdict, past: Lateness, sure: Belief) -> None:
    state = turn.state
    care, now, before = state.care, state.now_ms, state.care.segment
    since = care.candidate_since_ms if care.candidate is target else 0
    tiers = rfm(state, turn.policy)
    change = SegmentChange(
        before=before.value,
        after=target.value,
        cause=found.cause,
        held_days=(now - since) // DAY_MS if since else 0,
        certainty=round(sure.toward(before, target), 4),
        open=tuple(Money(row.net, row.currency) for row in exposures(state.ledger, now) if row.net),
        received=tiers.received if tiers else None,
    )
    moved = replace(care, segment=target, segment_since_ms=now, candidate=target, candidate_since_ms=0, alarm_ms=0)
    turn.state = replace(state, care=moved)
    reason = f"from {before.value} to {target.value}: {found.cause}"
    turn.decide(
        DecisionOutcome.SEGMENT_CHANGED,
        (reason, sure.explain()),
        change=change,
        learnt=(segment_read(past, sure.toward(before, target), now, turn.policy.max_age),),
    )

"""Moves between segments: the verdict must persist, who is new stays new for a while, and each move is a decision."""

from msgspec.structs import replace

from models.policy.policy import Policy
from models.policy.segments import is_alarming, verdict
from models.policy.turn import Turn
from models.state.client import ClientState, Segment, Timer, TimerKind
from models.state.history import Lateness, lateness
from models.triggers import DecisionOutcome
from models.workdays import DAY_MS


def segment_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when the segment may change without an event: the end of the first months, or of a verdict's persistence."""
    care, rules = state.care, policy.segments
    if care.segment is Segment.NEW:
        end = state.first_seen_ms + rules.new_days * DAY_MS
        return [Timer(end, TimerKind.SEGMENT)] if state.now_ms < end else []
    if care.candidate is not care.segment:
        return [Timer(max(state.now_ms, care.candidate_since_ms + rules.persist_days * DAY_MS), TimerKind.SEGMENT)]
    return []


def resegment(turn: Turn) -> None:
    """Judge the client anew and move them where the rules of hysteresis allow it."""
    state, policy = turn.state, turn.policy
    care, rules, now = state.care, policy.segments, state.now_ms
    past = lateness(state)
    wanted, cause = verdict(state, past, policy)
    if care.segment is Segment.NEW:
        ready = now >= state.first_seen_ms + rules.new_days * DAY_MS and past.labelled >= rules.new_labels
        if ready:
            _move(turn, wanted or Segment.RELIABLE, cause)
        return
    _alarm(turn, past)
    care = turn.state.care
    target = wanted or care.segment
    if target is care.segment:
        if care.candidate is not care.segment:
            turn.state = replace(turn.state, care=replace(care, candidate=care.segment, candidate_since_ms=0))
    elif target is not care.candidate:
        turn.state = replace(turn.state, care=replace(care, candidate=target, candidate_since_ms=now))
    elif now >= care.candidate_since_ms + rules.persist_days * DAY_MS:
        _move(turn, target, cause)


def _move(turn: Turn, target: Segment, cause: str) -> None:
    care, now = turn.state.care, turn.state.now_ms
    before = care.segment
    moved = replace(care, segment=target, segment_since_ms=now, candidate=target, candidate_since_ms=0, alarm_ms=0)
    turn.state = replace(turn.state, care=moved)
    turn.decide(DecisionOutcome.SEGMENT_CHANGED, (f"from {before.value} to {target.value}: {cause}",))


def _alarm(turn: Turn, past: Lateness) -> None:
    """Notice a reliable payer who suddenly turns late: the sequence waits until a person has asked."""
    care, policy = turn.state.care, turn.policy
    if not care.alarm_ms and is_alarming(past, care.segment, policy):
        turn.state = replace(turn.state, care=replace(care, alarm_ms=turn.state.now_ms))
        oldest = past.oldest_overdue_days
        turn.decide(
            DecisionOutcome.HELD,
            (
                f"a reliable client suddenly has {past.overdue_now} invoices overdue, the oldest by {oldest} days",
                "a person asks and checks the contact first",
            ),
        )
    elif care.alarm_ms and not past.overdue_now:
        turn.state = replace(turn.state, care=replace(care, alarm_ms=0))

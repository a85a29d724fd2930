"""Audiences that take their time: a client joins after days in which the rules held, and leaves after days in which they did not.

Looked at with each event, with what becomes due of the segment, and once a week for who belongs, so that a member who falls
silent leaves too. Who does not belong and of whom nothing is heard is not looked at: nothing is decided about them either.
"""

from typing import Final

from msgspec.structs import replace

from models.policy.audiences import Audience
from models.policy.belonging import fits
from models.policy.policy import Policy
from models.policy.resegment import resegment, segment_timers
from models.policy.turn import Turn
from models.state.client import ClientState, Timer, TimerKind
from models.state.habits import mark_of
from models.state.stays import Stay
from models.triggers import DecisionOutcome, SegmentChange
from models.workdays import DAY_MS

WEEK_MS: Final = 7 * DAY_MS


def judge(turn: Turn) -> None:
    """Judge anew where the client stands: its segment, and then the audiences."""
    resegment(turn)
    judge_audiences(turn)


def judge_audiences(turn: Turn) -> None:
    """Judge anew which audiences the client belongs to, of those that take their time."""
    if turn.policy.audiences or turn.state.care.stays:
        _dwell(turn)


def judge_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when segment or audiences may change without an event."""
    found, now = segment_timers(state, policy), state.now_ms
    for audience in policy.audiences if state.care.stays else ():
        stay = next((row for row in state.care.stays if row.mark == mark_of(audience.name)), None)
        if stay is None or not audience.dwell_days:
            continue
        if stay.since_ms:
            found.append(Timer((now // WEEK_MS + 1) * WEEK_MS, TimerKind.SEGMENT))
        if stay.turned_ms:
            found.append(Timer(max(stay.turned_ms + audience.dwell_days * DAY_MS, now + 1), TimerKind.SEGMENT))
    return [min(found)] if found else []


def stayed(before: Stay, *, holds: bool, now_ms: int, dwell_days: int) -> Stay:
    """Return where a client stands with an audience after one more look at its rules."""
    if holds is bool(before.since_ms):
        return replace(before, turned_ms=0)
    turned = before.turned_ms or now_ms
    if now_ms - turned < dwell_days * DAY_MS:
        return replace(before, turned_ms=turned)
    return Stay(before.mark, now_ms if holds else 0)


def _dwell(turn: Turn) -> None:
    state, kept = turn.state, []
    moved: list[tuple[Audience, Stay, str]] = []
    known = {row.mark: row for row in state.care.stays}
    for audience in turn.policy.audiences:
        if not audience.dwell_days:
            continue
        mark = mark_of(audience.name)
        before, why = known.get(mark, Stay(mark)), fits(state, audience)
        after = stayed(before, holds=why is not None, now_ms=state.now_ms, dwell_days=audience.dwell_days)
        if after.since_ms or after.turned_ms:
            kept.append(after)
        if bool(after.since_ms) is not bool(before.since_ms):
            moved.append((audience, after, why or "its rules do not hold any more"))
    if tuple(kept) != state.care.stays:
        turn.state = replace(state, care=replace(state.care, stays=tuple(kept)))
    for audience, after, why in moved:
        _tell(turn, audience, why, joins=bool(after.since_ms))


def _tell(turn: Turn, audience: Audience, why: str, *, joins: bool) -> None:
    """Record a confirmed change: one decision with what was, what is, and why."""
    sides = (f"not in {audience.name}", audience.name)
    before, after = sides if joins else sides[::-1]
    change = SegmentChange(before=before, after=after, cause=why, held_days=audience.dwell_days)
    words = f"{'joins' if joins else 'leaves'} the audience {audience.name} after {audience.dwell_days} days: {why}"
    turn.decide(DecisionOutcome.AUDIENCE_CHANGED, (words,), change=change)

"""Which segment a client is in: transparent rules that hold on (hysteresis), with the cause in plain words."""

from typing import Final

import msgspec

from models.policy.policy import Policy
from models.state.client import ClientState, Segment
from models.state.history import Lateness
from models.state.person import overruling
from models.workdays import DAY_MS

YEAR_MS: Final = 365 * DAY_MS
_SEGMENTS: Final = {segment.value: segment for segment in Segment}


def effective_segment(state: ClientState, at_ms: int) -> Segment:
    """Return the segment in force: a relationship manager's latest word while it holds, else the rule's."""
    word = overruling(state, at_ms)
    return _SEGMENTS[word[-1].value] if word else state.care.segment


def is_unproven(state: ClientState, policy: Policy) -> bool:
    """Say whether a client is still held as new: it may be scored, but nothing is decided by what learners say of it."""
    held = state.now_ms < state.first_seen_ms + policy.segments.new_limit_days * DAY_MS
    return held and effective_segment(state, state.now_ms) is Segment.NEW


def courtesy_days(state: ClientState, policy: Policy) -> int:
    """Return for how many days after a due date this client is not written to: its segment's courtesy, else everybody's."""
    if not policy.segment_grace:
        return policy.grace_days
    return policy.segment_grace.get(effective_segment(state, state.now_ms), policy.grace_days)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What the rules say today and why; no segment inside the dead band and with too little history.

    `is_plain`: it rests on something else than days late, about which the filter knows nothing.
    """

    segment: Segment | None
    cause: str
    is_plain: bool = False


def verdict(state: ClientState, past: Lateness, policy: Policy) -> Verdict:  # noqa: PLR0911 - one return per reason reads best
    """Return what the past says today and why."""
    rules = policy.segments
    if past.labelled < rules.new_labels:
        return Verdict(None, f"only {past.labelled} invoices have ended")
    late, recent = late_of(past)
    if not recent:
        return Verdict(None, "only invoices have ended that are too small to tell")
    severe = sum([label.written_off or label.days_late > rules.problem_days for label in past.recent])
    severe += past.oldest_overdue_days > rules.problem_days
    disputes = sum([at > state.now_ms - YEAR_MS for at in state.rhythm.disputes])
    if severe / recent >= rules.problem_share:
        return Verdict(
            Segment.PROBLEM,
            f"{severe} of the last {recent} invoices were more than {rules.problem_days} days late or given up",
        )
    if disputes >= rules.problem_disputes:
        return Verdict(Segment.PROBLEM, f"{disputes} disputes within a year", is_plain=True)
    if past.oldest_overdue_days > rules.problem_overdue_days:
        return Verdict(Segment.PROBLEM, f"an invoice is {past.oldest_overdue_days} days past due")
    share = late / recent
    if share >= rules.slow_share:
        return Verdict(Segment.SLOW, f"{late} of the last {recent} invoices were late")
    if share <= rules.reliable_share:
        return Verdict(Segment.RELIABLE, f"{recent - late} of the last {recent} invoices were on time")
    return Verdict(None, f"{late} of the last {recent} invoices were late: too many for reliable, too few for slow")


def late_of(past: Lateness) -> tuple[int, int]:
    """Return how many invoices were late and of how many: the last twelve that ended, and those that are overdue now."""
    return past.recent_late + past.overdue_now, len(past.recent) + past.overdue_now


def is_alarming(past: Lateness, segment: Segment, policy: Policy) -> bool:
    """Say whether a reliable payer has suddenly turned late: a person and a contact check come first."""
    if segment is not Segment.RELIABLE or past.labelled < 2 * policy.segments.new_labels:
        return False
    quiet = past.recent_late <= policy.segments.alarm_quiet_share * len(past.recent)
    several = past.overdue_now > 1
    return quiet and several and past.oldest_overdue_days > policy.segments.alarm_overdue_days

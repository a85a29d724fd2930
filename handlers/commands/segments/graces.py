"""How long a courtesy after the due date spares people a message that would not have been needed, learnt per segment.

One more day is waited as long as half of what is still open then comes by itself within the gap that lies between two contacts
anyway. What a book tells was paid under the messages of its time, so it is read as at most this long, and there is a ceiling.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.policy.material import material_lateness
from models.policy.policy import MOST_GRACE_DAYS, Policy
from models.policy.segments import effective_segment
from models.state.client import ClientState, Segment

LEAST_OPEN: Final = 20
"""Invoices open on a day below which nothing is said of that day."""

_COMES: Final = 0.5


@dataclass(frozen=True, slots=True)
class Grace:
    """The courtesy of a segment in days: of the policy now, and as learnt (None: too few invoices were late to say)."""

    segment: Segment
    invoices: int
    now: int
    days: int | None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"segment": self.segment.value, "invoices": self.invoices, "policy": self.now, "learnt": self.days}


def learn(states: Iterable[ClientState], policy: Policy) -> list[Grace]:
    """Return the courtesy of each segment, by the last twelve invoices of each client and what is overdue now."""
    ended: dict[Segment, list[int]] = {segment: [] for segment in Segment}
    waiting: dict[Segment, list[int]] = {segment: [] for segment in Segment}
    for state in states:
        segment, past = effective_segment(state, state.now_ms), material_lateness(state, policy)
        ended[segment] += [label.days_late for label in past.recent if not label.written_off]
        waiting[segment] += past.overdue
    return [
        Grace(
            segment,
            len(ended[segment]) + len(waiting[segment]),
            policy.segment_grace.get(segment, policy.grace_days),
            grace(ended[segment], waiting[segment], least=policy.grace_days, within=max(1, policy.min_gap_days)),
        )
        for segment in Segment
    ]


def grace(ended: Sequence[int], waiting: Sequence[int], *, least: int, within: int) -> int | None:
    """Return for how many days after due to wait: `least` at least, the ceiling at most; None where too few were open by then.

    `ended`: days after due of what was paid; `waiting`: of what is open still, which counts as far as it is known to be late.
    """
    for day in range(least, MOST_GRACE_DAYS):
        coming = sum(day < paid <= day + within for paid in ended)
        left = sum(paid > day + within for paid in ended) + sum(known > day + within for known in waiting)
        if coming + left < LEAST_OPEN:
            return None if day == least else day
        if coming < _COMES * (coming + left):
            return day
    return max(least, MOST_GRACE_DAYS)


def yaml(found: Sequence[Grace]) -> str:
    """Return the section for a policy file."""
    days = ", ".join(f"{row.segment.value}: {row.days}" for row in found if row.days is not None)
    return f"support:\n  segment_grace: {{{days}}}"

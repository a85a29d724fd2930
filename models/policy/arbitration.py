"""Who goes first when several journeys want to write to one client: one winner by name, and every loser is told who it was."""

from collections.abc import Iterable

from models.policy.openings import Opening
from models.policy.policy import Policy
from models.policy.silence import Silence
from models.triggers import AnyJourney
from models.workdays import DAY_MS


def rank(journey: AnyJourney, policy: Policy) -> int:
    """Return the place of a journey in the firm's order; the lowest goes first, what the order does not name goes last."""
    return policy.priority.index(journey) if journey in policy.priority else len(policy.priority)


def winner(ready: Iterable[Opening], policy: Policy) -> Opening | None:
    """Return the one that goes first of those that could be sent now; of one journey the earliest, then by anchor."""
    return min(ready, key=lambda row: (rank(row.journey, policy), row.from_ms, row.run.anchor), default=None)


def loser_silence(first: Opening, *, at_ms: int, policy: Policy) -> Silence:
    """Return why another waits: it names the winner. The gap between contacts is what it waits for."""
    reason = f"{first.journey.value}/{first.step.id} goes first: one contact at a time, in the firm's order"
    return Silence("gap", (reason,), at_ms + policy.min_gap_days * DAY_MS)

"""The floor under all learners: the client's own share of late invoices, drawn toward what its segment is like.

Posterior mean of a Beta prior: (late + strength x prior) / (labelled + strength). With few invoices it says what the segment
says, with many what the client did.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

from models.features import LATE_DAYS, Landmark, lateness_features, pack, still_open
from models.firm_view import NEW_FIRM
from models.learners.chance import bounded, sigmoid
from models.learners.renewal_scorer import UNLEARNED, RenewalScorer
from models.learners.scorer import DECIDED, PER_CHANCE, Score
from models.state.client import ClientState, Segment
from models.state.habits import Asked
from models.state.history import Lateness, lived_lateness
from models.state.rows import Invoice
from models.workdays import DAY_MS

_PRIORS: Final = MappingProxyType({Segment.NEW: 0.25, Segment.RELIABLE: 0.10, Segment.SLOW: 0.55, Segment.PROBLEM: 0.70})


@dataclass(frozen=True, slots=True)
class ShrunkLateShare:
    """Share of late invoices, shrunk: `strength` is how many invoices the prior weighs; under `floor` labels no answer."""

    version: str = "late-share-1"
    strength: float = 4.0
    floor: int = 3
    priors: Mapping[Segment, float] = field(default_factory=lambda: _PRIORS)
    renewals: RenewalScorer = UNLEARNED

    def score(self, state: ClientState) -> Score | None:
        """Return P(late) and what it rests on, None with fewer than `floor` known ends."""
        past = lived_lateness(state)
        if past.labelled < self.floor:
            return None
        prior = self.priors[state.care.segment]
        probability = round((past.late + self.strength * prior) / (past.labelled + self.strength), 4)
        newest = past.recent[-1].settled_ms if past.recent and not past.overdue else state.now_ms
        why = partial(_reasons, past, state.care.segment, prior)
        return Score(probability, why, plain=probability, as_of_ms=newest, version=self.version)

    def assess(self, state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark) -> Asked:
        """Answer with the client's share of invoices that passed each limit, of those that were open this long.

        The features are stored all the same, so that learners can start from the log of a firm that began without them.
        """
        raw = pack(lateness_features(state, invoice, now_ms=now_ms, seen_ms=seen_ms, landmark=landmark, firm=NEW_FIRM))
        overdue = now_ms // DAY_MS - invoice.due_ms // DAY_MS
        chances = tuple(
            [
                DECIDED if overdue > days else round(bounded(sigmoid(share)) * PER_CHANCE)
                for days, share in zip(LATE_DAYS, still_open(raw), strict=True)
            ]
        )
        return Asked(int(landmark), now_ms, raw, chances, (), self.version)


def _reasons(past: Lateness, segment: Segment, prior: float) -> tuple[str, ...]:
    overdue = (f"{past.overdue_now} overdue now, the oldest by {past.oldest_overdue_days} days",) if past.overdue_now else ()
    return (
        *overdue,
        f"{past.late} of {past.labelled} invoices were paid more than 5 days late, or are open for longer",
        f"clients of the segment {segment.value!r} pay late in {prior:.0%} of cases",
    )


BASELINE: Final = ShrunkLateShare()

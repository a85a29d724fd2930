"""A clustering observer: it looks at clients as they are and groups them, for people to find patterns in. It moves nobody.

Online k-means with slowly moving centres (river, halflife .02) and a fixed seed: the only clustering that was steady from week to
week on histories; batch k-means every week relabels a client dozens of times a year. What it sees are bounded figures, so it
needs no scaler, and it keeps nothing of a client.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log1p
from typing import TYPE_CHECKING, Final

from models.patterns import PatternRules, measure
from models.state.client import ClientState
from models.state.history import lived_lateness

if TYPE_CHECKING:
    from river.cluster import KMeans

CLUSTERS: Final = 5
HALFLIFE: Final = 0.02
SEED: Final = 7
LEAST_ENDINGS: Final = 3
"""Ended invoices before a client can be looked at."""

SEEN: Final[Mapping[str, tuple[str, str]]] = {
    "late_share": ("pay late more often", "pay late less often"),
    "median_days": ("pay more days after due", "pay fewer days after due"),
    "spread": ("pay on less regular days", "pay on more regular days"),
    "gap": ("pay at longer intervals", "pay at shorter intervals"),
    "invoices": ("get more invoices", "get fewer invoices"),
    "size": ("get larger invoices", "get smaller invoices"),
    "friction": ("have more disputes and declines", "have fewer disputes and declines"),
}
"""Each figure with what it means to be above and below the others."""


def observation(state: ClientState, rules: PatternRules) -> dict[str, float] | None:
    """Return the figures of one client at its logical time, each about between -3 and 3; None with too little history.

    Lasting traits only: what comes and goes within weeks (a burst, a wide gap) is for the named patterns, and unsettles groups.
    """
    past = lived_lateness(state)
    if past.labelled < LEAST_ENDINGS:
        return None
    seen, habits = measure(state, rules), state.habits
    usual = seen.usual_gap
    return {
        "late_share": 3 * past.late / past.labelled - 1.5,
        "median_days": _bounded((past.median_days or 0.0) / 15, 3.0),
        "spread": min(habits.spread / 10, 3.0),
        "gap": _bounded(log1p(usual) / 2 - 1.5, 3.0) if usual else 0.0,
        "invoices": log1p(max(0, seen.invoices)) - 1.0,
        "size": _bounded(log1p(seen.mean_invoice) / 2 - 3.0, 3.0) if seen.mean_invoice > 0 else 0.0,
        "friction": log1p(len(state.rhythm.disputes) + seen.declines),
    }


def _new_centres() -> "KMeans":
    # river, numpy and pandas come with it: whoever only reads reviews that were made does not wait for them.
    from river.cluster import KMeans

    centres = KMeans(n_clusters=CLUSTERS, halflife=HALFLIFE, seed=SEED)
    # Else river draws where a centre begins as it walks a set of names, in another order in each process.
    for centre in centres.centers.values():
        centre.update({name: centre[name] for name in SEEN})
    return centres


@dataclass(slots=True)
class ClusterObserver:
    """Groups of clients as they emerge. The same observations in the same order give the same groups."""

    seen: int = 0
    _centres: "KMeans" = field(default_factory=_new_centres)

    def look(self, figures: Mapping[str, float]) -> None:
        """Take one observation in; raises ValueError for a number that is not finite, and then has learned nothing."""
        if not all(abs(value) < float("inf") for value in figures.values()):
            message = f"an observation must be finite numbers: {dict(figures)}"
            raise ValueError(message)
        self._centres.learn_one(dict(figures))
        self.seen += 1

    def group_of(self, figures: Mapping[str, float]) -> int:
        """Return the number of the group whose centre is nearest."""
        return int(self._centres.predict_one(dict(figures)))


def _bounded(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))

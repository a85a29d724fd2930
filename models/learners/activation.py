"""From an activated snapshot to a scorer, and what is refused on the way."""

from base64 import b64decode
from binascii import Error as NotBase64Error
from dataclasses import dataclass
from typing import Final

from models.events.control import LearnerActivated
from models.features import TABLE, Landmark
from models.learners.baseline import BASELINE
from models.learners.lateness import LatenessScorer
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_scorer import RenewalScorer
from models.learners.renewal_snapshot import load_renewal
from models.learners.scorer import Score, Scorer
from models.learners.snapshot import LatenessWeights, SnapshotError, load
from models.regime import Regime
from models.renewal_features import RENEWAL_TABLE
from models.state.client import ClientState
from models.state.habits import Asked
from models.state.rows import Invoice

LATENESS: Final = "lateness"
RENEWAL: Final = "renewal"
LEARNERS: Final = (LATENESS, RENEWAL)
"""Names of the learners that can be activated."""

TABLES: Final = {LATENESS: TABLE, RENEWAL: RENEWAL_TABLE}
"""The feature table of each learner: a snapshot made from another one cannot be used."""


@dataclass(frozen=True, slots=True)
class WithRenewals:
    """A scorer of lateness, with activated learners of renewals beside it."""

    lateness: Scorer
    renewals: RenewalScorer

    @property
    def version(self) -> str:
        """Name and version of what scores lateness."""
        return self.lateness.version

    def score(self, state: ClientState) -> Score | None:
        """Return what the scorer of lateness says."""
        return self.lateness.score(state)

    def assess(self, state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark) -> Asked:
        """Answer a question about an invoice as the scorer of lateness does."""
        return self.lateness.assess(state, invoice, now_ms=now_ms, seen_ms=seen_ms, landmark=landmark)


def renewals_of(snapshot: bytes) -> PublishedRenewals:
    """Return the scorer of published renewal weights. Raises SnapshotError for what this release cannot use."""
    return PublishedRenewals(load_renewal(snapshot))


def scorer_of(snapshot: bytes, *, rules: Scorer = BASELINE) -> LatenessScorer:
    """Return the scorer of published lateness weights. Raises SnapshotError for what this release cannot use."""
    return LatenessScorer(load(snapshot, LatenessWeights), rules=rules)


def renewals_in_force(regime: Regime) -> PublishedRenewals | None:
    """Return the learners of renewals that a regime names, None where it names none that this release can use."""
    active = regime.learner(RENEWAL)
    if active is None:
        return None
    try:
        return renewals_of(active.snapshot)
    except SnapshotError:
        return None  # of another release: the worker says so in its log and abstains


def verify(event: LearnerActivated) -> None:
    """Refuse, by SnapshotError, an activation that no worker of this release could score by."""
    if event.learner not in LEARNERS:
        message = f"no learner is called {event.learner!r}; this release knows {', '.join(LEARNERS)}"
        raise SnapshotError(message)
    try:
        raw = b64decode(event.snapshot, validate=True)
    except NotBase64Error as error:
        message = f"the snapshot is no base64 ({error}): send it as rapport learners activate does"
        raise SnapshotError(message) from error
    version = load_renewal(raw).version if event.learner == RENEWAL else load(raw, LatenessWeights).version
    if version != event.version:
        message = f"the snapshot is {version}, the activation names {event.version}: name the version that travels in it"
        raise SnapshotError(message)

"""From an activated snapshot to a scorer, and what is refused on the way."""

from base64 import b64decode
from binascii import Error as NotBase64Error
from typing import Final

from models.events.control import LearnerActivated
from models.learners.baseline import BASELINE
from models.learners.lateness import LatenessScorer
from models.learners.scorer import Scorer
from models.learners.snapshot import LatenessWeights, SnapshotError, load

LATENESS: Final = "lateness"
LEARNERS: Final = (LATENESS,)
"""Names of the learners that can be activated."""


def scorer_of(snapshot: bytes, *, rules: Scorer = BASELINE) -> LatenessScorer:
    """Return the scorer of published lateness weights. Raises SnapshotError for what this release cannot use."""
    return LatenessScorer(load(snapshot, LatenessWeights), rules=rules)


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
    weights = load(raw, LatenessWeights)
    if weights.version != event.version:
        message = f"the snapshot is {weights.version}, the activation names {event.version}: name the version that travels in it"
        raise SnapshotError(message)

"""What answers questions about renewals: chances with their features, or none while the evidence is too thin."""

from typing import Final, Protocol

from models.renewal_features import NEW_RENEWAL_FIRM, Ending, RenewalLandmark, pack_renewal, renewal_features
from models.state.client import ClientState, Contract
from models.state.renewals import Period, RenewalAsked

UNSAID: Final = -1
"""Stands for a chance that was not given: too little evidence."""


class RenewalScorer(Protocol):
    """Answers one question about one renewal. Deterministic: the same state gives the same answer."""

    @property
    def version(self) -> str:
        """Name and version, stored with every answer."""
        ...

    def assess(
        self, state: ClientState, period: Period, contract: Contract, *, now_ms: int, landmark: RenewalLandmark
    ) -> RenewalAsked:
        """Return features and chances of one question, ready to be stored until the outcome is known."""
        ...


class Unlearned:
    """Abstains, but stores the features, so that learners can start from the log of a firm that began without them."""

    version = "renewal-0"

    def assess(
        self, state: ClientState, period: Period, contract: Contract, *, now_ms: int, landmark: RenewalLandmark
    ) -> RenewalAsked:
        """Return the features and no chances."""
        values = renewal_features(state, period, contract, now_ms=now_ms, firm=NEW_RENEWAL_FIRM)
        return RenewalAsked(int(landmark), now_ms, pack_renewal(values), (UNSAID,) * len(Ending), self.version)


UNLEARNED: Final = Unlearned()

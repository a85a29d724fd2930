"""What every learner offers to the policy: a probability with reasons, or no answer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from models.features import Landmark
from models.learners.renewal_scorer import RenewalScorer
from models.state.client import ClientState
from models.state.habits import Asked
from models.state.rows import Invoice

PER_CHANCE: Final = 10_000
"""Probabilities are stored with a question in ten-thousandths."""

PER_DAY: Final = 10
"""Days are stored with a question in tenths."""

DECIDED: Final = -1
"""Stands for a probability that is none any more: the answer was known when the question was put."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One number that is told beside a score, in words, and why it is so: strongest reason first, a counterfactual last."""

    about: str
    reasons: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Yield it for people: what it is about, then the reasons under it."""
        yield f"{self.about}:"
        yield from (f"  {reason}" for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Score:
    """Probability that the client's next invoice is paid late, and why in plain words, strongest reason first.

    `why` finds the reasons once somebody asks: a decision reads none.

    `why_further` finds the reasons for each longer delay and for the day on which payment is expected.

    `challenger` is what a learner that is tried beside the one that decides says of the same invoice, under its version.

    `plain` is the probability before anything from outside moved it, `as_of_ms` when what it rests on was read. A learner also
    says `about` which invoice, from which packed `features`, up to when it was trained, and whether it was trusted less then.
    """

    probability: float
    why: Callable[[], tuple[str, ...]] = field(default=tuple, compare=False, repr=False)
    why_further: Callable[[], tuple[Explained, ...]] = field(default=tuple, compare=False, repr=False)
    challenger: float | None = None
    challenger_version: str = ""
    plain: float = 0.0
    as_of_ms: int = 0
    about: str = ""
    features: bytes = b""
    trained_ms: int = 0
    version: str = ""
    is_leaned: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, strongest reason first; found anew each time."""
        return self.why()

    @property
    def further(self) -> tuple[Explained, ...]:
        """Why longer delays are as likely as they are, and why payment is expected when it is; found anew each time."""
        return self.why_further()


class Scorer(Protocol):
    """Scores a client from its state alone. Deterministic: the same state gives the same score."""

    @property
    def version(self) -> str:
        """Name and version, written into every decision."""
        ...

    @property
    def renewals(self) -> RenewalScorer:
        """What answers questions about renewals beside it; `UNLEARNED` where nothing is active."""
        ...

    def score(self, state: ClientState) -> Score | None:
        """Return the score at the client's logical time, None when there is too little history."""
        ...

    def assess(self, state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark) -> Asked:
        """Answer one question about one invoice: features and prediction, stored until the outcome is known."""
        ...

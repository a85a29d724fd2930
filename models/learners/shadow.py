"""A challenger beside the champion: it answers the same questions and decides nothing."""

from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Final

from models.features import Landmark, unpack
from models.learners.lateness import LatenessScorer
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_scorer import UNSAID, RenewalScorer
from models.learners.scorer import DECIDED, PER_CHANCE, Score, Scorer
from models.renewal_features import RenewalLandmark, unpack_renewal
from models.state.client import ClientState
from models.state.habits import Asked
from models.state.rows import Invoice
from models.triggers import AnyOutput, Example, Question, RenewalExample, RenewalQuestion
from models.workdays import DAY_MS


@dataclass(frozen=True, slots=True)
class Challengers:
    """Those who are scored beside the champions, none where nobody challenges."""

    lateness: LatenessScorer | None = None
    renewal: PublishedRenewals | None = None

    def answer(self, output: AnyOutput) -> AnyOutput:
        """Return an answered example with what the challenger says to its questions; any other output as it is.

        It answers from the features stored with a question, and only questions that were put after it was trained: to an
        earlier one it may have learned the answer.
        """
        match output:
            case Example() if self.lateness is not None:
                due_day, challenger = output.due_day, self.lateness
                said = tuple([_answered(asked, challenger, due_day=due_day) for asked in output.questions])
                return output.model_copy(update={"questions": said})
            case RenewalExample() if self.renewal is not None:
                kind, beside = output.contract_type, self.renewal
                told = tuple([_renewal_answered(asked, beside, contract_type=kind) for asked in output.questions])
                return output.model_copy(update={"questions": told})
            case _:
                return output


NOBODY: Final = Challengers()
"""Nobody challenges."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A champion with a challenger beside it: it decides as it would alone, and each score tells what the challenger says."""

    champion: Scorer
    challenger: LatenessScorer

    @property
    def version(self) -> str:
        """Name and version of the champion."""
        return self.champion.version

    @property
    def renewals(self) -> RenewalScorer:
        """What answers questions about renewals."""
        return self.champion.renewals

    def score(self, state: ClientState) -> Score | None:
        """Return the champion's score with the challenger's probability in it; none where the champion abstains."""
        score = self.champion.score(state)
        if score is None:
            return None
        return replace(score, challenger=self.challenger.opinion(state), challenger_version=self.challenger.version)

    def assess(self, state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark) -> Asked:
        """Answer a question as the champion does."""
        return self.champion.assess(state, invoice, now_ms=now_ms, seen_ms=seen_ms, landmark=landmark)


def _answered(asked: Question, challenger: LatenessScorer, *, due_day: int) -> Question:
    if asked.asked_ms < challenger.trained_ms:
        return asked
    overdue = asked.asked_ms // DAY_MS - due_day
    chances = challenger.chances(unpack(b64decode(asked.features)), landmark=Landmark(asked.landmark), overdue=overdue)
    said = tuple([DECIDED if part == DECIDED else part / PER_CHANCE for part in chances])
    return asked.model_copy(update={"shadow": said, "shadow_version": challenger.version})


def _renewal_answered(asked: RenewalQuestion, challenger: PublishedRenewals, *, contract_type: str) -> RenewalQuestion:
    if asked.asked_ms < challenger.weights.trained_ms:
        return asked
    features = unpack_renewal(b64decode(asked.features))
    chances = challenger.chances(features, landmark=RenewalLandmark(asked.landmark), contract_type=contract_type)
    said = tuple([UNSAID if part == UNSAID else part / PER_CHANCE for part in chances])
    return asked.model_copy(update={"shadow": said, "shadow_version": challenger.version})

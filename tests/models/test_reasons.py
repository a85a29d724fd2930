"""Reasons of a score are for whoever reads them: what is decided rests on the probability alone."""

from dataclasses import replace

from models.learners.baseline import BASELINE, ShrunkLateShare
from models.learners.scorer import Score, Scorer
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.transition import transition
from models.triggers import AnyOutput, Decision
from tests.models.builders import Events, tick
from tests.models.test_segments import monthly


class Speechless(ShrunkLateShare):
    """Scores as its parent does, and cannot say why."""

    def score(self, state: ClientState) -> Score | None:
        found = ShrunkLateShare.score(self, state)
        return found and replace(found, why=_refuse)


def _refuse() -> tuple[str, ...]:
    message = "a decision asked why"
    raise AssertionError(message)


def _told(scorer: Scorer) -> list[AnyOutput]:
    state: ClientState | None = None
    outputs: list[AnyOutput] = []
    for event in [*monthly(Events(), 4, late=10), tick(150)]:
        step = transition(state, event, policy=DEFAULT_POLICY, scorer=scorer)
        state = step.state
        outputs += step.outputs
    return outputs


def test_decisions_rest_on_a_score_and_ask_for_no_reasons() -> None:
    told = _told(BASELINE)
    assert any(isinstance(output, Decision) and output.score for output in told)
    assert _told(Speechless()) == told

"""Reasons of a score are for whoever reads them: what is decided rests on the probability alone."""

from dataclasses import replace

from msgspec import structs

from models.learners.baseline import BASELINE, ShrunkLateShare
from models.learners.lateness import LatenessScorer
from models.learners.scorer import Score, Scorer
from models.learners.snapshot import LatenessWeights
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.transition import transition
from models.triggers import AnyOutput, Decision
from tests.models.builders import Events, tick
from tests.models.examples import trained
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


def _asked_under(weights: LatenessWeights) -> ClientState:
    build = Events()
    state: ClientState | None = None
    for event in [*monthly(build, 6, late=12), build.issued(200, "X", 90_000, due=230)]:
        state = transition(state, event, policy=DEFAULT_POLICY, scorer=LatenessScorer(weights)).state
    assert state is not None
    return state


def _told_of(weights: LatenessWeights, state: ClientState) -> tuple[float, tuple[str, ...]]:
    score = LatenessScorer(weights).score(state)
    assert score is not None
    return score.probability, score.reasons


def test_where_more_was_learned_since_the_reasons_say_to_what_number_they_lead() -> None:
    before, after = trained(200).publish(), trained(1_200).publish()
    state = _asked_under(before)
    (same, told), (kept, told_later) = (_told_of(weights, state) for weights in (before, after))
    now = LatenessScorer(after).opinion(state)
    assert now is not None
    assert same == kept
    assert f"{now:.0%}" != f"{same:.0%}"
    assert not any("learned since" in reason for reason in told)
    assert told_later[0] == (
        f"it was {same:.0%} when it was asked; by what has been learned since it would be {now:.0%}, which the reasons are about"
    )
    assert all(f"to {now:.0%}" in reason or f"not {now:.0%}" in reason for reason in told_later[1:])


def test_where_the_rules_have_a_say_in_a_score_that_is_told_with_both_numbers() -> None:
    weights = trained(200).publish()
    state = _asked_under(weights)
    plain, _ = _told_of(weights, state)
    leaned, told = _told_of(structs.replace(weights, trust=0.5), state)
    assert told[0] == f"plain rules have 50% of the say, as payers changed lately: {leaned:.0%} with them, {plain:.0%} without"
    assert f"{leaned:.0%}" != f"{plain:.0%}"

"""Reasons of a score are for whoever reads them: what is decided rests on the probability alone."""

import re
from base64 import b64decode
from dataclasses import replace

import pytest
from msgspec import structs

from models.features import INDEX, LATE_DAYS, NAMES, Landmark, pack, unpack
from models.learners.baseline import BASELINE, ShrunkLateShare
from models.learners.expansion import expand
from models.learners.explanation import contributions, day_contributions, explain, explain_day
from models.learners.forest import NO_TREES, opened
from models.learners.lateness import Compiled, LatenessScorer, compiled
from models.learners.pay_range import DAYS_UNIT
from models.learners.scorer import PER_CHANCE, PER_DAY, Score, Scorer
from models.learners.snapshot import LatenessWeights
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.habits import last_question
from models.transition import transition
from models.triggers import AnyOutput, Decision
from tests.models.builders import Events, tick
from tests.models.examples import example, trained
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


def test_longer_delays_and_the_expected_day_are_told_with_their_reasons() -> None:
    weights = trained(1_200).publish()
    state = _asked_under(weights)
    scorer = LatenessScorer(weights)
    score = scorer.score(state)
    assert score is not None
    asked = last_question(next(watch for watch in state.habits.watches if watch.invoice_id == score.about))
    longer = [f"{chance / PER_CHANCE:.0%}" for chance in asked.chances[1:]]
    *told, day = score.further
    assert [row.about for row in told] == [
        f"more than {days} days late {chance}" for days, chance in zip((15, 30), longer, strict=True)
    ]
    assert all(1 < len(row.reasons) <= 4 for row in told)
    for row, chance in zip(told, longer, strict=True):
        assert all(f" to {chance}" in reason for reason in row.reasons[:3])
    assert day.about.startswith(
        f"expected {asked.days[1] / PER_DAY:+.0f} days from due when it was asked; by the learners of now +11, "
    )
    assert "their usual days to pay (median +12 days from due) moves it by +8 days" in day.reasons
    *titles, last = list(day.lines())[:2]
    assert (titles, last) == ([f"{day.about}:"], f"  {day.reasons[0]}")


def test_longer_delays_and_the_expected_day_have_a_counterfactual_where_others_are_overdue() -> None:
    weights = trained(1_200).publish()
    slopes = tuple(0.4 if name in {"overdue_others", "oldest_overdue"} else 0.0 for name in NAMES)
    weights = structs.replace(
        weights,
        lines=tuple(structs.replace(line, slopes=slopes) for line in weights.lines),
        ranges=tuple(structs.replace(row, line=structs.replace(row.line, slopes=slopes)) for row in weights.ranges),
    )
    scorer = LatenessScorer(weights)

    calm = _asked_under(weights)

    def last_lines(*, overdue: float) -> list[str]:
        watch = next(row for row in calm.habits.watches if row.invoice_id == "X")
        features = list(unpack(last_question(watch).features))
        for name in ("overdue_others", "oldest_overdue"):
            features[INDEX[name]] = overdue
        asked = structs.replace(last_question(watch), features=pack(features))
        watches = tuple(structs.replace(row, asked=(asked,)) if row is watch else row for row in calm.habits.watches)
        score = scorer.score(structs.replace(calm, habits=structs.replace(calm.habits, watches=watches)))
        assert score is not None
        return [row.reasons[-1] for row in score.further]

    for chance in last_lines(overdue=2.0)[:-1]:
        assert re.fullmatch(r"with no other invoice overdue today this would be \d+%, not \d+%", chance)
    assert re.fullmatch(
        r"with no other invoice overdue today this would be [+-]\d+ days, not [+-]\d+ days", last_lines(overdue=2.0)[-1]
    )
    assert not any("with no other invoice" in line for line in last_lines(overdue=0.0))


def test_what_moves_the_expected_day_sums_to_it() -> None:
    trainer = trained(1_200)
    for row in range(300):
        trainer.take(example(row, over_days=0))
    trainer.turn(trainer.day + 1)
    weights = trainer.publish()
    forests = {forest.landmark: opened(forest)[-1] for forest in weights.forests}
    for found in weights.ranges:
        line = compiled(found.line, forests.get(found.line.landmark, NO_TREES))
        learner = trainer.days[Landmark(found.line.landmark)]
        for number in range(20):
            features = unpack(b64decode(example(number).questions[0].features))
            parts = DAYS_UNIT * line.intercept + sum(day_contributions(line, features).values())
            assert parts == pytest.approx(learner.middle(features, expand(features, days=LATE_DAYS[0])), abs=0.01)


def test_the_expected_day_is_told_with_what_moves_it_most() -> None:
    weights = trained(1_200).publish()
    state = _asked_under(weights)
    line = compiled(weights.ranges[0].line)
    features = tuple(1.0 if name == "median_days" else 0.0 for name in NAMES)
    expected = DAYS_UNIT * (line.intercept + sum(contributions(line, features).values()) + 1)
    told = explain_day(line, features, state, told=expected)
    assert told.about == f"expected {expected:+.0f} days from due"
    assert told.reasons[0].startswith("their usual days to pay (median +12 days from due) moves it by +")


@pytest.mark.parametrize(
    ("told", "said"), [(-0.2, "+0 days"), (0.2, "+0 days"), (-1.2, "-1 day"), (1.0, "+1 day"), (14.6, "+15 days")]
)
def test_a_day_is_told_in_whole_days_and_never_as_less_than_none(told: float, said: str) -> None:
    weights = trained(300).publish()
    line = compiled(weights.ranges[0].line)
    explained = explain_day(line, (0.0,) * len(NAMES), ClientState("client-1"), told=told)
    assert explained.about.startswith(f"expected {said} from due")


def _line_of(intercept: float, **slopes: float) -> Compiled:
    line = next(row for row in trained(200).publish().lines if (row.landmark, row.days) == (0, 5))
    bins = tuple(tuple(0.0 for _ in weights) for weights in line.bins)
    told = tuple(slopes.get(name, 0.0) for name in NAMES)
    return compiled(structs.replace(line, intercept=intercept, slopes=told, bins=bins, trees=0.0))


def test_a_reason_that_leaves_the_percent_as_it_is_is_not_told() -> None:
    features = (1.0,) * len(NAMES)
    line = _line_of(-2.3, late_share=-2.0, median_days=-0.2)
    (told,) = explain(line, features, ClientState("client-1"))
    assert told == "how their earlier invoices went lowers it from 8% to 1%"
    (alike,) = explain(_line_of(-8.0, late_share=-0.4, median_days=-0.4), features, ClientState("client-1"))
    assert alike == "no single thing moves it by as much as can be seen in whole percent"
    (usual,) = explain(_line_of(-2.0, median_days=-0.1), features, ClientState("client-1"))
    assert usual.startswith("nothing about them stands out")

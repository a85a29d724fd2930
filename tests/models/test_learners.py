"""Questions, answers and learners: what is asked when, what is remembered, and what survives a restart."""

import re
from array import array
from base64 import b64decode
from collections.abc import Sequence
from importlib.metadata import version
from math import inf, nan

import pytest
from msgspec.structs import replace

from models.events.union import AnyClientEvent, AnyEvent
from models.features import FEATURES, INDEX, PACKED, TABLE, Landmark, lateness_features, pack, unpack
from models.firm_view import NEW_FIRM
from models.learners.baseline import BASELINE
from models.learners.blend import Blend
from models.learners.calibration import Recalibration
from models.learners.chance import log_loss
from models.learners.explanation import contributions, counterfactual, explain
from models.learners.kalman import DivergedError
from models.learners.lateness import LatenessScorer, compiled
from models.learners.snapshot import LatenessWeights, SnapshotError, dump, load, seal
from models.learners.trainer import LatenessTrainer
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.habits import WATCHED, features_of
from models.transition import transition
from models.triggers import Example
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, on, tick
from tests.models.examples import DECISIVE, example, noise, trained, with_features
from tests.models.test_segments import monthly
from tests.models.views import final, fold, outputs_of


def examples_of(events: Sequence[AnyEvent]) -> list[Example]:
    return [output for output in outputs_of(fold(events)) if isinstance(output, Example)]


def test_the_feature_table_and_the_vector_have_one_length() -> None:
    build = Events()
    state = final([build.issued(0, "I1", due=30)])
    row = state.ledger.invoices[0]
    values = lateness_features(state, row, now_ms=ms(0), seen_ms=ms(0), landmark=Landmark.ISSUE, firm=NEW_FIRM)
    assert len(values) == len(FEATURES)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(abs(value) <= 8 for value in values)


def test_an_open_invoice_is_asked_about_at_every_landmark_and_answered_on_schedule() -> None:
    build = Events()
    found = examples_of([build.issued(0, "I1", due=30), tick(70)])
    assert [(row.over_days, row.late) for row in found] == [(5, True), (15, True), (30, True)]
    assert [question.landmark for question in found[-1].questions] == [0, 1, 2, 3, 4]
    assert [question.landmark for question in found[0].questions] == [0, 1, 2, 3]
    assert all(row.days_late is None for row in found)
    assert {row.table for row in found} == {TABLE}


def test_a_prompt_payment_answers_the_days_at_once_and_the_lateness_only_when_everybody_is_answered() -> None:
    build = Events()
    paid: list[AnyEvent] = [build.issued(0, "I1", 1_000, due=30), build.paid(2, "P1", 1_000, "I1")]
    assert [(row.over_days, row.days_late) for row in examples_of(paid)] == [(0, -28)]
    assert [row.over_days for row in examples_of([*paid, tick(35)])] == [0]
    assert [(row.over_days, row.late) for row in examples_of([*paid, tick(36)])] == [(0, False), (5, False)]


def test_a_settled_invoice_is_not_asked_about_any_more() -> None:
    build = Events()
    found = examples_of([build.issued(0, "I1", 1_000, due=30), build.paid(2, "P1", 1_000, "I1"), tick(70)])
    assert [question.landmark for question in found[-1].questions] == [Landmark.ISSUE]


def test_an_answer_comes_with_what_was_seen_when_the_question_was_put_whatever_became_known_since() -> None:
    build = Events()
    asked: list[AnyEvent] = [*monthly(build, 4, late=2), build.issued(150, "X", due=180)]
    (watch,) = (row for row in final(asked).habits.watches if row.invoice_id == "X")
    since: list[AnyEvent] = [build.disputed(151, "D1", "X"), build.issued(152, "LATE", due=155), build.failed(160, "F1")]
    answered = [row for row in examples_of([*asked, *since, tick(250)]) if row.invoice_id == "X"]
    assert [row.over_days for row in answered] == [5, 15, 30]
    assert {b64decode(row.questions[0].features) for row in answered} == {features_of(watch)[0]}


def moved_to_before(kind: str) -> list[AnyEvent]:
    """An invoice whose due date was moved to before that very day: by an amendment, or as its plan was cancelled."""
    build = Events()
    if kind == "amended":
        return [build.issued(0, "I1", due=60), build.amended(30, "I1", due=20), tick(100)]
    parts = [(60.0, 50_000), (95.0, 50_000)]
    plan: list[AnyEvent] = [build.planned(10, "L1", "I1", parts=parts), build.plan_cancelled(90, "L1")]
    return [build.issued(0, "I1", 100_000, due=30), *plan, tick(100)]


@pytest.mark.parametrize(("kind", "known"), [("amended", [30, 35.625, 50.625]), ("plan cancelled", [90, 90, 90])])
def test_where_a_due_date_moves_back_nothing_is_asked_as_of_a_day_that_has_passed_nor_known_before_the_word(
    kind: str, known: list[float]
) -> None:
    found = examples_of(moved_to_before(kind))
    assert [(row.over_days, row.late) for row in found] == [(5, True), (15, True), (30, True)]
    assert [[question.landmark for question in row.questions] for row in found] == [[Landmark.ISSUE]] * 3
    assert [row.decided_at for row in found] == [on(day) for day in known]


def test_of_an_invoice_that_is_late_as_its_plan_was_cancelled_the_rules_speak_and_not_what_was_said_at_issue() -> None:
    build, scorer = Events(), LatenessScorer(trained(200).publish())
    agreed: list[AnyEvent] = [
        build.issued(200, "X", due=230),
        build.planned(210, "L1", "X", parts=[(260, 50_000), (300, 50_000)]),
    ]
    log = [*monthly(build, 6, late=12), *agreed]
    assert scorer.opinion(final(log)) is not None
    after = final([*log, build.plan_cancelled(280, "L1")])
    assert scorer.opinion(after) is None
    assert scorer.score(after) == BASELINE.score(after)


def test_a_voided_invoice_leaves_no_question_and_no_history() -> None:
    build = Events()
    state = final([build.issued(0, "I1", due=5), tick(20), build.voided(21, "I1")])
    fresh = ClientState("client-1").habits
    assert (state.habits.known, state.habits.late, state.habits.watches) == (fresh.known, fresh.late, fresh.watches)
    assert (state.habits.issued, state.habits.log_amounts) == (0, 0.0)


def test_a_chargeback_takes_the_ending_back_and_its_reversal_restores_it() -> None:
    build = Events()
    paid: list[AnyEvent] = [build.issued(0, "I1", 1_000, due=5), build.paid(4, "P1", 1_000, "I1")]
    before = final(paid).habits
    taken: list[AnyEvent] = [*paid, build.charged_back(6, "X1", "P1", 1_000)]
    assert final(taken).habits.endings == ()
    restored = final([*taken, build.chargeback_reversed(8, "X1", "P1", 1_000)]).habits
    assert [row.days_late for row in restored.endings] == [row.days_late for row in before.endings]


def test_an_invoice_adopted_with_its_payment_is_history_but_never_a_question() -> None:
    build = Events()
    old: list[AnyEvent] = [build.issued(0, "I1", 1_000, due=5, received=400), build.paid(4, "P1", 1_000, "I1", received=400)]
    state = final(old)
    assert examples_of(old) == []
    assert (state.habits.known, state.habits.late) == (1, 0)


def test_a_burst_of_invoices_is_counted_rather_than_kept() -> None:
    build = Events()
    state = final([build.issued(index / 1000, f"I{index}", due=30) for index in range(WATCHED + 36)])
    assert len(state.habits.watches) == WATCHED
    assert state.habits.unwatched == 36


def test_the_stored_question_gives_the_stored_chance_again() -> None:
    trainer = trained(200)
    scorer = LatenessScorer(trainer.publish())
    build = Events()
    state = final([build.issued(0, "I1", due=30)])
    asked = scorer.assess(state, state.ledger.invoices[0], now_ms=ms(0), seen_ms=ms(0), landmark=Landmark.ISSUE)
    again = scorer.chances(unpack(asked.features), landmark=Landmark.ISSUE, overdue=-30)
    assert asked.chances == again
    assert asked.chances[0] >= asked.chances[1] >= asked.chances[2] > 0
    assert asked.days[0] <= asked.days[1] <= asked.days[2] <= asked.days[3]


def test_a_decided_question_has_no_chance() -> None:
    scorer = LatenessScorer(trained(10).publish())
    features = unpack(pack([0.0] * len(FEATURES)))
    assert scorer.chances(features, landmark=Landmark.ISSUE, overdue=9)[0] == -1
    assert scorer.chances(features, landmark=Landmark.ISSUE, overdue=9)[1] > 0


def test_learning_finds_what_separates_late_from_prompt() -> None:
    scorer = LatenessScorer(trained(400).publish())
    values = [0.0] * len(FEATURES)
    low, high = list(values), list(values)
    low[INDEX[DECISIVE]], high[INDEX[DECISIVE]] = -1.5, 1.5
    prompt = scorer.chances(tuple(low), landmark=Landmark.ISSUE, overdue=-30)[0]
    late = scorer.chances(tuple(high), landmark=Landmark.ISSUE, overdue=-30)[0]
    assert late > 3 * prompt


def test_a_young_line_of_a_release_without_a_prior_says_what_the_conditional_share_says() -> None:
    published = LatenessTrainer().publish()
    scorer = LatenessScorer(replace(published, lines=tuple(replace(row, seen=0) for row in published.lines)))
    features = [0.0] * len(FEATURES)
    features[INDEX["still_open_5"]] = 1.0
    assert scorer.chances(tuple(features), landmark=Landmark.ISSUE, overdue=-30)[0] == pytest.approx(7311, abs=2)


@pytest.mark.parametrize(("overdue", "teaches"), [(5, True), (6, False)])
def test_a_question_that_was_decided_when_it_was_put_teaches_nothing(overdue: int, teaches: bool) -> None:
    trainer, row = trained(50), example(60)
    put = row.questions[0].model_copy(update={"asked_ms": (row.due_day + overdue) * DAY_MS})
    head = trainer.heads[Landmark.ISSUE, 5]
    before = head.kalman.dump()
    trainer.take(row.model_copy(update={"questions": (put,)}))
    trainer.turn(trainer.day + 1)
    assert (head.kalman.dump() != before) is teaches


def test_too_little_history_is_an_answer() -> None:
    build = Events()
    scorer = LatenessScorer(trained(200).publish())
    assert scorer.score(final([build.issued(0, "I1", due=30)])) is None
    for known in (2, 3):
        state = final([*monthly(build, known, late=12), build.issued(200, "X", 90_000, due=230)])
        assert state.habits.known == known
        assert (scorer.score(state) is None) is (known < 3)
        assert (scorer.opinion(state) is None) is (known < 3)


def test_a_score_has_reasons_in_words_and_a_counterfactual() -> None:
    build = Events()
    events: list[AnyClientEvent] = []
    for index in range(6):
        events.append(build.issued(index * 10, f"I{index}", 1_000, due=index * 10 + 5))
        if index < 4:
            events.append(build.paid(index * 10 + 8 + 2 * index, f"P{index}", 1_000, f"I{index}"))
    events.sort(key=lambda event: event.received_ms)
    state = fold([*events, tick(70)])[-1].state
    score = BASELINE.score(state)
    assert score is not None
    trainer = trained(300)
    line = next(compiled(row) for row in trainer.publish().lines if (row.landmark, row.days) == (0, 5))
    values = [0.0] * len(FEATURES)
    values[INDEX[DECISIVE]] = 1.0
    values[INDEX["overdue_others"]] = 0.0
    reasons = explain(line, tuple(values), state)
    assert any("raises it from" in reason for reason in reasons)


@pytest.mark.parametrize(("value", "direction"), [(1.5, "raises"), (-1.5, "lowers")])
def test_a_reason_says_in_which_direction_it_moves_the_score_and_from_where(value: float, direction: str) -> None:
    line = next(compiled(row) for row in trained(300).publish().lines if (row.landmark, row.days) == (0, 5))
    features = [0.0] * len(FEATURES)
    features[INDEX[DECISIVE]] = value
    strongest = explain(line, tuple(features), ClientState("client-1"))[0]
    found = re.fullmatch(r"how their earlier invoices went (raises|lowers) it from (\d+)% to (\d+)%", strongest)
    assert found is not None
    assert found[1] == direction
    assert int(found[3]) == round(100 * line.chance(tuple(features)))
    assert (int(found[2]) < int(found[3])) is (direction == "raises")


def test_the_counterfactual_is_the_chance_with_nothing_else_overdue() -> None:
    line = next(compiled(row) for row in trained(300).publish().lines if (row.landmark, row.days) == (0, 5))
    features = dict.fromkeys((row.name for row in FEATURES), 0.0)
    book = dict.fromkeys(("overdue_others", "long_overdue_others", "oldest_overdue", "overdue_share"), 2.0)
    with_it, without = (line.chance(tuple((features | changed).values())) for changed in (book, {}))
    told = counterfactual(line, tuple((features | book).values()), with_it)
    assert told == f"with no other invoice overdue today this would be {without:.0%}, not {with_it:.0%}"
    assert not counterfactual(line, tuple(features.values()), without)


def test_contributions_sum_to_the_logit() -> None:
    line = next(compiled(row) for row in trained(200).publish().lines)
    features = unpack(b64decode(example(7).questions[0].features))
    assert line.intercept + sum(contributions(line, features).values()) == pytest.approx(line.value(features))


def test_damaged_and_foreign_snapshots_are_refused() -> None:
    raw = dump(trained(50).publish())
    assert load(raw, LatenessWeights) == trained(50).publish()
    with pytest.raises(SnapshotError, match="checksum"):
        load(raw[:-1] + bytes([raw[-1] ^ 1]), LatenessWeights)
    with pytest.raises(SnapshotError, match="checksum"):
        load(b"", LatenessWeights)


def test_a_snapshot_of_another_feature_table_or_with_a_wild_number_is_refused_however_sound_its_bytes_are() -> None:
    weights = trained(50).publish()
    assert weights.version.endswith(".50")  # how far it has read the examples
    with pytest.raises(SnapshotError, match=f"from the feature table other, this release has {TABLE}"):
        load(seal(weights, schema="other", limit=10**6), LatenessWeights)
    for wild in (nan, inf):
        poisoned = replace(weights, lines=(replace(weights.lines[0], intercept=wild), *weights.lines[1:]))
        with pytest.raises(SnapshotError, match="not finite"):
            load(seal(poisoned, schema=TABLE, limit=10**6), LatenessWeights)
        with pytest.raises(SnapshotError, match="not finite"):
            dump(poisoned)


def test_a_snapshot_says_by_which_libraries_it_was_made() -> None:
    raw = dump(trained(50).publish())
    for name in ("numpy", "river"):
        assert version(name).encode() in raw[raw.index(name.encode()) :][:40]


@pytest.mark.parametrize("is_first", [True, False])
def test_everybody_is_judged_by_what_was_said_before_the_answer_was_learned(is_first: bool) -> None:
    trainer, row = trained(200), with_features(example(500), no_outcome=float(is_first))
    (asked,) = row.questions
    before = trainer.heads[Landmark.ISSUE, 5].chance(unpack(b64decode(asked.features)))
    trainer.take(row)
    trainer.turn(trainer.day + 1)
    judge = trainer.judge
    latest = [abs(array("f", series.recent)[-1]) - 1.0 for series in (judge.candidate, judge.live)]
    assert latest == pytest.approx([before, asked.chances[0]], abs=1e-6)
    assert before != pytest.approx(trainer.heads[Landmark.ISSUE, 5].chance(unpack(b64decode(asked.features))), abs=1e-6)


def test_where_learners_are_trusted_less_the_rules_get_their_share_of_the_score() -> None:
    build = Events()
    log = [*monthly(build, 6, late=12), build.issued(200, "X", 90_000, due=230)]
    weights = trained(200).publish()
    full, half, none = (LatenessScorer(replace(weights, trust=trust)) for trust in (1.0, 0.5, 0.0))
    state: ClientState | None = None
    for event in log:
        state = transition(state, event, policy=DEFAULT_POLICY, scorer=full).state
    assert state is not None
    rules = BASELINE.score(state)
    scores = [scorer.score(state) for scorer in (full, half, none)]
    assert rules is not None
    chances = [score.probability for score in scores if score]
    assert chances[2] == rules.probability
    assert abs(chances[0] - chances[2]) > 0.05
    assert chances[1] == pytest.approx((chances[0] + chances[2]) / 2, abs=1e-4)
    assert [score.is_leaned for score in scores if score] == [False, True, True]
    assert [full.opinion(state), none.opinion(state)] == [chances[0], chances[2]]


def test_recalibration_is_used_only_when_it_has_earned_its_place() -> None:
    honest, wrong = Recalibration(), Recalibration()
    for index in range(1_500):
        honest.learn(-1.4, label=index % 5 == 0)
        wrong.learn(1.4, label=index % 5 == 0)
    assert not honest.in_use
    assert wrong.in_use
    slope, shift = wrong.slope_and_shift
    assert slope * 1.4 + shift < 0
    assert log_loss(0.9, label=True) < log_loss(0.5, label=True)


def test_a_blend_leans_on_the_shares_where_they_know_better_and_stays_with_the_learners_where_they_do() -> None:
    wrong, right = Blend(), Blend()
    for number in range(400):
        late = noise("late", number) < 0.5
        share = 1.5 if late else -1.5
        guess = 3.0 * noise("guess", number) - 1.5
        wrong.learn(guess, (share, share), label=late, seen=100)
        right.learn(share, (guess, guess), label=late, seen=100)
    assert wrong.value(0.0, (1.5, 1.5)) > 0.5
    assert right.value(1.5, (0.0, 0.0)) > 1.4
    young = Blend()
    young.learn(0.0, (4.0, 4.0), label=True, seen=10)
    assert young.weights == (1.0, 0.0, 0.0)


def test_a_head_answers_as_its_published_line_does_when_it_blends() -> None:
    trainer = trained(300)
    head = trainer.heads[Landmark.ISSUE, 5]
    assert head.blend.weights != (1.0, 0.0, 0.0)
    for number in range(300, 320):
        features = unpack(b64decode(example(number).questions[0].features))
        assert abs(compiled(head.line()).chance(features) - head.chance(features)) < 1e-9


def test_a_logit_that_is_not_finite_changes_no_recalibration() -> None:
    line = Recalibration()
    line.learn(0.5, label=True)
    before = line.dump()
    with pytest.raises(DivergedError, match="not finite"):
        line.learn(float("nan"), label=False)
    assert line.dump() == before


def test_a_question_of_another_feature_table_is_neither_learned_nor_scored() -> None:
    build = Events()
    scorer = LatenessScorer(trained(200).publish())
    events: list[AnyClientEvent] = [
        event
        for index in range(5)
        for event in (
            build.issued(index * 10, f"I{index}", 1_000, due=index * 10 + 5),
            build.paid(index * 10 + 8, f"P{index}", 1_000, f"I{index}"),
        )
    ]
    state = final([*events, build.issued(60, "OPEN", 1_000, due=90), tick(61)])
    assert scorer.opinion(state) is not None
    before = with_features_of(state, b"\x00" * (PACKED + 8))
    assert scorer.opinion(before) is None
    assert scorer.score(before) == BASELINE.score(before)
    later = transition(before, tick(96), policy=DEFAULT_POLICY, scorer=scorer)
    (answered,) = [row for row in later.outputs if isinstance(row, Example) and row.invoice_id == "OPEN" and row.over_days == 5]
    assert [row.landmark for row in answered.questions] == [1, 2, 3]
    assert all(len(b64decode(row.features)) == PACKED for row in answered.questions)


def with_features_of(state: ClientState, features: bytes) -> ClientState:
    """Return the state as a release with another feature table would have left it."""
    watches = tuple(
        replace(watch, asked=tuple(replace(row, features=features) for row in watch.asked)) for watch in state.habits.watches
    )
    return replace(state, habits=replace(state.habits, watches=watches))

"""Laws of the linear learners, whatever the features, and of the whole trainer; those of every part: test_learning_parts.py."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features import FEATURES, Landmark, unpack
from models.learners.bins import WIDTH
from models.learners.expansion import Vector, expand
from models.learners.gradient import GradientLogistic
from models.learners.kalman import KalmanLinear
from models.learners.lateness import LatenessScorer
from models.learners.snapshot import CHECKPOINT_LIMIT, SIZE_LIMIT, Checkpoint, LatenessWeights, dump, load
from models.learners.trainer import LatenessTrainer
from models.learners.window import LARGEST, SIZE
from models.triggers import Example
from tests.models.examples import example, with_features


@dataclass(frozen=True)
class Subject:
    """A learner of labels: how to make one that begins from given weights."""

    name: str
    begin: Callable[[Vector], KalmanLinear | GradientLogistic]

    def fresh(self) -> KalmanLinear | GradientLogistic:
        """Return one that begins from nothing."""
        return self.begin(np.zeros(WIDTH))


VARIANCES = np.full(WIDTH, 0.05)
SUBJECTS = (
    Subject("kalman", lambda weights: KalmanLinear(VARIANCES, mean=weights, forgetting=0.9997)),
    Subject("gradient", GradientLogistic),
)
VECTORS = st.lists(st.floats(-4, 4, width=16), min_size=len(FEATURES), max_size=len(FEATURES)).map(tuple)
EXAMPLES = st.lists(st.integers(0, 500), min_size=1, max_size=60)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(rows=st.lists(st.tuples(VECTORS, st.booleans()), min_size=1, max_size=12), probe=VECTORS)
@settings(max_examples=25, deadline=None)
def test_a_restored_learner_predicts_and_learns_on_exactly_as_before(
    subject: Subject, rows: list[tuple[tuple[float, ...], bool]], probe: tuple[float, ...]
) -> None:
    one, two = subject.fresh(), subject.fresh()
    for features, label in rows:
        one.learn_label(expand(features, days=5), label=label)
    two.load(*one.dump())
    assert two.value(expand(probe, days=5)) == one.value(expand(probe, days=5))
    for learner in (one, two):
        learner.learn_label(expand(probe, days=5), label=True)
    assert two.dump() == one.dump()


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(features=VECTORS, label=st.booleans())
@settings(max_examples=25, deadline=None)
def test_learning_an_answer_moves_the_prediction_toward_it(subject: Subject, features: tuple[float, ...], label: bool) -> None:
    learner = subject.fresh()
    wide = expand(features, days=5)
    before = learner.value(wide)
    learner.learn_label(wide, label=label)
    assert (learner.value(wide) > before) is label


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(features=VECTORS, label=st.booleans())
@settings(max_examples=25, deadline=None)
def test_what_a_learner_is_given_stays_as_it_was(subject: Subject, features: tuple[float, ...], label: bool) -> None:
    weights, wide = np.full(WIDTH, 0.25), expand(features, days=5)
    given = [weights, wide, VARIANCES]
    before = [part.copy() for part in given]
    one, other = subject.begin(weights), subject.begin(weights)
    one.learn_label(wide, label=label)
    one.value(wide)
    for part, was in zip(given, before, strict=True):
        np.testing.assert_array_equal(part, was)
    assert other.dump() == subject.begin(weights).dump() != one.dump()


def told(numbers: list[int]) -> list[Example]:
    rows = [example(number, over_days=over) for number in sorted(set(numbers)) for over in (0, 5, 15)]
    return sorted(rows, key=lambda row: row.decided_at)


def told_to_the_end() -> list[Example]:
    """Return enough invoices with all their answers for trees to be grown, and grown again; most of them are first invoices."""
    rows = [
        with_features(example(number, over_days=over), no_outcome=float(number % 5 > 0))
        for number in range(280)
        for over in (0, 5, 30)
    ]
    return sorted(rows, key=lambda row: row.decided_at)


def learned(rows: list[Example]) -> LatenessTrainer:
    trainer = LatenessTrainer()
    for row in rows:
        trainer.take(row)
    trainer.turn(trainer.day + 1)
    return trainer


def resumed(rows: list[Example], cut: int) -> LatenessTrainer:
    """Return a trainer that was killed after `cut` examples and went on from the checkpoint before."""
    first = LatenessTrainer()
    checkpoint = first.checkpoint()
    for row in rows[:cut]:
        if first.take(row):
            checkpoint = first.checkpoint()
    second = LatenessTrainer.resume(load(dump(checkpoint), Checkpoint))
    for row in rows[checkpoint.position :]:
        second.take(row)
    second.turn(second.day + 1)
    return second


@given(numbers=EXAMPLES)
@settings(max_examples=15, deadline=None)
def test_the_order_within_a_day_does_not_matter(numbers: list[int]) -> None:
    rows = told(numbers)
    turned = sorted(rows, key=lambda row: (row.decided_at.date(), row.invoice_id[::-1], -row.over_days))
    assert learned(rows).publish() == learned(turned).publish()


@given(numbers=EXAMPLES, cut=st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_a_trainer_resumed_from_its_checkpoint_publishes_the_same(numbers: list[int], cut: int) -> None:
    rows = told(numbers)
    assert resumed(rows, cut).publish() == learned(rows).publish()


@given(cut=st.integers(0, 840))
@settings(max_examples=6, deadline=None)
def test_trees_are_the_same_whatever_the_order_within_a_day_and_wherever_the_trainer_was_killed(cut: int) -> None:
    rows = told_to_the_end()
    turned = sorted(rows, key=lambda row: (row.decided_at.date(), row.invoice_id[::-1], -row.over_days))
    second, straight = resumed(turned, cut), learned(rows)
    assert straight.publish().forests
    assert straight.publish().firsts
    assert second.publish() == straight.publish()
    assert second.save() == straight.save()


@pytest.mark.parametrize(("days", "size"), [(10_000, SIZE), (30, LARGEST)])
def test_a_trainer_whose_windows_are_full_of_noise_fits_its_limits(days: int, size: int) -> None:
    trainer = learned(told_to_the_end())
    rows = np.random.default_rng(1).uniform(-1, 1, (size, len(FEATURES))).astype("<f2")
    every = (*trainer.trees.values(), trainer.firsts)
    for number, row in enumerate(rows):
        for learner in every:
            if learner is not trainer.firsts and number % SIZE == 0:
                learner.window.widen(days)
            late = None if number % 3 else 0
            learner.window.see(row.tobytes(), overdue=-30, days_late=late, mark=number * 2_654_435_761 % 2**32)
    for learner in every:
        learner.grow_if_due()
    assert all(len(learner.window.rows) == size for learner in trainer.trees.values())
    assert len(trainer.firsts.window.rows) == SIZE
    assert len(trainer.publish().forests) == len(Landmark)
    assert all(len(forest.days_places) == len(forest.places) > 0 for forest in trainer.publish().forests)
    assert trainer.publish().firsts
    assert len(dump(trainer.publish())) <= SIZE_LIMIT
    assert len(trainer.save()) <= CHECKPOINT_LIMIT


@given(numbers=EXAMPLES, probe=VECTORS)
@settings(max_examples=15, deadline=None)
def test_published_weights_are_small_and_score_the_same_after_their_way_over_the_log(
    numbers: list[int], probe: tuple[float, ...]
) -> None:
    trainer = learned(told(numbers))
    weights = trainer.publish()
    raw = dump(weights)
    assert len(raw) <= SIZE_LIMIT
    assert len(dump(trainer.checkpoint())) <= CHECKPOINT_LIMIT
    here, there = LatenessScorer(weights), LatenessScorer(load(raw, LatenessWeights))
    for landmark in Landmark:
        assert here.chances(probe, landmark=landmark, overdue=-1) == there.chances(probe, landmark=landmark, overdue=-1)
        assert here.days(probe, landmark=landmark, overdue=-1) == there.days(probe, landmark=landmark, overdue=-1)


@given(numbers=EXAMPLES)
@settings(max_examples=10, deadline=None)
def test_the_published_line_says_what_the_head_says(numbers: list[int]) -> None:
    trainer = learned(told([*numbers, *range(200)]))
    scorer = LatenessScorer(trainer.publish())
    features = unpack(b"\x00\x34" * len(FEATURES))
    head = trainer.heads[Landmark.ISSUE, 5]
    assert scorer.chances(features, landmark=Landmark.ISSUE, overdue=-1)[0] == pytest.approx(
        head.chance(features) * 10_000, abs=1
    )

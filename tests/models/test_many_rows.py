"""Trees of many examples: each looks at a part of them when it asks, and its leaves are of all."""

import numpy as np

from models.features import FEATURES, Landmark
from models.learners.boosting import SEARCHED, Floats, grow
from models.learners.forest import DEPTH, LEAVES, Forest

PARTS = 3
SAID = (5, 8, 11)  # features that decide, each in one part of the examples only


def many() -> tuple[Floats, Floats, Floats]:
    """Return features, labels and days late: of every third example one feature decides, of the next ones another."""
    features = np.random.default_rng(3).choice([-0.5, 0.5], (PARTS * SEARCHED, len(FEATURES))).astype(np.float32)
    by = np.array(SAID)[np.arange(len(features)) % PARTS]
    late = features[np.arange(len(features)), by] > 0
    labels = np.repeat(late[:, np.newaxis], 3, axis=1).astype(np.float32)
    return features, labels, np.where(late, 40.0, 0.0).astype(np.float32)


def grown(features: Floats, labels: Floats, days: Floats) -> Forest:
    return grow(Landmark.ISSUE, features, labels, days)


def test_each_tree_chooses_its_questions_by_another_part_of_many_examples() -> None:
    forest = grown(*many())
    for places in (forest.places, forest.days_places):
        assert tuple(places[: PARTS * DEPTH : DEPTH]) == SAID  # the first question of each of the first trees


def test_leaves_of_trees_are_of_all_examples_and_not_of_the_part_that_chose_the_questions() -> None:
    features, labels, days = many()
    labels[np.arange(len(labels)) % PARTS != 0] = 1.0  # the first tree looks at the others, of whom half are late
    forest = grown(features, labels, days)
    first = np.frombuffer(forest.leaves, dtype="<f2").reshape(-1, LEAVES, 3)[0]
    assert forest.places[0] == SAID[0]
    # Of all are five in six late, and two in three where half are not: .35 of (2/3 - 5/6) / (5/36) is -.42. By the part: -2.1.
    assert -0.6 < first.min() < -0.25


def test_examples_that_are_not_many_are_all_looked_at_by_every_tree() -> None:
    features, labels, days = (part[: SEARCHED - 2] for part in many())
    assert set(SAID) <= set(grown(features, labels, days).places[:DEPTH])

"""Laws of everything that learns, each stated once and held over all parts, in the manner of the checks of estimators.

A part that is not named, nor in `HELD_ELSEWHERE` with a reason, fails the suite: whoever adds a learner adds it here.
"""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from math import isfinite
from random import Random
from types import MappingProxyType
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.learners
from models.learners.kalman import DivergedError
from tests.laws.learning_answers import OF_ANSWERS
from tests.laws.learning_counts import OF_COUNTS
from tests.laws.learning_part import Learner, Part, numbers_in, size_of

PARTS: Final = (*OF_ANSWERS, *OF_COUNTS)
HELD_ELSEWHERE: Final = MappingProxyType(
    {
        "LatenessTrainer": "tests/laws/test_learner_laws.py holds it whole",
        "RenewalTrainer": "tests/laws/test_renewal_laws.py holds it whole",
        "_Window": "the days inside of DriftWatch, written and read with it",
        "Daily": "counts the answers of one day inside of others, and is never written: checkpoints are made at a turn",
    }
)

NUMBERS = st.lists(st.integers(0, 600), min_size=1, max_size=25)
DAYS = st.lists(NUMBERS, min_size=1, max_size=3)
LEARNS = re.compile(r"(learn|see|look|take|feed|add)(_.*)?|ages|dump|save|checkpoint")
EVERY = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
MANY = 2_000


def lived(part: Part, days: list[list[int]], *, learner: Learner = None) -> Learner:
    """Return a learner that has learned these days; it begins anew where none is given."""
    learner = part.begin() if learner is None else learner
    for day in days:
        for number in day:
            part.learn(learner, number)
        part.turn(learner)
    return learner


@pytest.mark.parametrize("part", [row for row in PARTS if row.restored], ids=lambda part: part.name)
@given(before=DAYS, after=DAYS)
@settings(max_examples=8, deadline=None)
def test_what_is_read_again_says_the_same_and_learns_on_to_the_same(
    part: Part, before: list[list[int]], after: list[list[int]]
) -> None:
    assert part.restored is not None
    one = lived(part, before)
    two = part.restored(one)
    assert two is not one
    assert part.state(two) == part.state(one)
    assert part.says(two) == part.says(one)
    for learner in (one, two):
        lived(part, after, learner=learner)
    assert part.state(two) == part.state(one)
    assert part.says(two) == part.says(one)


@EVERY
@given(days=DAYS)
@settings(max_examples=6, deadline=None)
def test_the_same_things_in_the_same_order_come_to_the_same_and_nobody_else_hears_of_them(
    part: Part, days: list[list[int]]
) -> None:
    bystander = part.begin()
    untouched = part.state(bystander)
    one, two = lived(part, days), lived(part, days)
    assert part.state(one) == part.state(two)
    assert part.state(bystander) == untouched == part.state(part.begin())


@EVERY
@given(days=DAYS)
@settings(max_examples=6, deadline=None)
def test_to_be_asked_changes_nothing_and_every_number_that_is_said_is_one(part: Part, days: list[list[int]]) -> None:
    learner = lived(part, days)
    before = part.state(learner)
    said = part.says(learner)
    assert all(map(isfinite, numbers_in(said)))
    assert part.says(learner) == said
    assert part.state(learner) == before


@EVERY
def test_what_is_learned_can_be_told_from_what_was_there_at_the_beginning(part: Part) -> None:
    """Else the other laws would hold of a part that learns nothing."""
    learner = lived(part, [list(range(300))])
    assert part.state(learner) != part.state(part.begin())


@pytest.mark.parametrize("part", [row for row in PARTS if row.any_order], ids=lambda part: part.name)
@given(numbers=NUMBERS, dice=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_where_it_is_promised_the_order_does_not_matter(part: Part, numbers: list[int], dice: Random) -> None:
    turned = dice.sample(numbers, len(numbers))
    assert part.state(lived(part, [turned])) == part.state(lived(part, [numbers]))


@EVERY
def test_however_much_is_learned_the_state_stays_within_its_bound(part: Part) -> None:
    learner = part.begin()
    least = size_of(part.state(learner))
    for number in range(MANY):
        part.learn(learner, number)
        part.turn(learner)
    # Counts are written in as few bytes as they need: one may have grown by eight.
    assert size_of(part.state(learner)) <= (part.bound or least + 64)


@pytest.mark.parametrize("part", [row for row in PARTS if row.poison], ids=lambda part: part.name)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused_or_passed_over_and_leaves_no_trace(part: Part, number: float) -> None:
    assert part.poison is not None
    learner = lived(part, [list(range(20))])
    before = part.state(learner)
    with suppress(DivergedError, ValueError), np.errstate(invalid="ignore"):
        part.poison(learner, number)
    assert part.state(learner) == before
    lived(part, [[21, 22]], learner=learner)
    assert part.state(learner) == part.state(lived(part, [list(range(20)), [21, 22]]))


def learning_classes() -> Iterator[type]:
    """Yield every class of the learners that takes something in, or is written down to go on from."""
    for module in pkgutil.iter_modules(models.learners.__path__, "models.learners."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            own = kind.__module__ == module.name and not getattr(kind, "_is_protocol", False)
            if own and any(LEARNS.fullmatch(name) and inspect.isfunction(value) for name, value in vars(kind).items()):
                yield kind


def test_every_class_that_learns_is_held_by_these_laws() -> None:
    named = {kind.__name__ for part in PARTS for kind in part.kinds} | set(HELD_ELSEWHERE)
    found = {kind.__name__ for kind in learning_classes()}
    assert found - named == set(), (
        "name it in tests/laws/learning_answers.py or learning_counts.py: how it begins, learns, speaks, is written down"
    )
    assert set(HELD_ELSEWHERE) <= found

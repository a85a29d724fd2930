"""Trees beside the lines: what they can say, what they are grown from, how far they are leaned on, and how they are explained."""

import struct
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b
from itertools import product
from typing import Final

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace as restruct

from models.features import FEATURES, INDEX, LATE_DAYS, PACKED, Landmark, pack, unpack
from models.learners.boosting import ANEW, TREES, Floats, grow, shares_under
from models.learners.expansion import expand
from models.learners.explanation import contributions
from models.learners.forest import DEPTH, UNDER, UNDER_DAYS, Forest, deepened, opened
from models.learners.lateness import LatenessScorer, compiled
from models.learners.snapshot import Checkpoint, LatenessWeights, SnapshotError, dump, load
from models.learners.trainer import LatenessTrainer
from models.learners.trees import Leaning, TreesLearner
from models.learners.window import SIZE, Window
from models.state.habits import mark_of
from models.triggers import Example
from tests.models.examples import example, noise

THREE: Final = ("amount_firm", "terms", "late_share")


def features(number: int, **named: float) -> tuple[float, ...]:
    """Return noise with some features set, as it would be stored."""
    values = [2 * noise("trees", number, place) - 1 for place in range(len(FEATURES))]
    for name, value in named.items():
        values[INDEX[name]] = value
    return unpack(pack(values))


def together(number: int) -> Example:
    """Return an answered question whose invoice was late where three features were high together, and only there."""
    values = features(number)
    late = all(values[INDEX[name]] > 0 for name in THREE)
    row = example(number, over_days=30)
    put = row.questions[0].model_copy(update={"features": b64encode(pack(list(values))).decode()})
    return row.model_copy(update={"late": late, "days_late": 60 if late else 0, "questions": (put,)})


def alike(number: int) -> Example:
    """Return an answered question of a client like all others; only what came of it differs."""
    row = together(number)
    put = row.questions[0].model_copy(update={"features": b64encode(pack([0.5] * len(FEATURES))).decode()})
    late = number % 3 == 0
    return row.model_copy(update={"late": late, "days_late": 60 if late else 0, "questions": (put,)})


def taught(count: int) -> LatenessTrainer:
    """Return a trainer that was told of `count` invoices: each limit answered, the last one last."""
    trainer = LatenessTrainer()
    for number in range(count):
        row = together(number)
        for days in LATE_DAYS:
            trainer.take(row.model_copy(update={"over_days": days, "late": row.late}))
    trainer.turn(trainer.day + 1)
    return trainer


def test_trees_say_what_only_three_features_together_say() -> None:
    learner = TreesLearner(Landmark.ISSUE)
    for number in range(600):
        values = features(number)
        late = all(values[INDEX[name]] > 0 for name in THREE)
        learner.window.see(pack(list(values)), overdue=-30, days_late=None if late else 0, mark=number)
    learner.grow_if_due()
    said = {
        signs: learner.value(features(9_999, **dict(zip(THREE, signs, strict=True))), days=5)
        for signs in product((-0.6, 0.6), repeat=3)
    }
    high = said.pop((0.6, 0.6, 0.6))
    assert high is not None
    assert all(other is not None and high > other + 2 for other in said.values())


def test_the_published_line_with_its_trees_says_what_the_head_says() -> None:
    trainer = taught(600)
    scorer = LatenessScorer(load(dump(trainer.publish()), LatenessWeights))
    head = trainer.heads[Landmark.ISSUE, 15]
    assert head.line().trees > 0.15
    weights = trainer.publish()
    days_line = compiled(weights.ranges[0].line, opened(weights.forests[0])[-1])
    assert days_line.trees.tests
    for signs in product((-0.6, 0.6), repeat=3):
        values = features(7_777, **dict(zip(THREE, signs, strict=True)))
        heads = [trainer.heads[Landmark.ISSUE, days].chance(values) for days in LATE_DAYS]
        falling = [min(heads[: place + 1]) for place in range(len(heads))]
        said = scorer.chances(values, landmark=Landmark.ISSUE, overdue=-30)
        assert [part / 10_000 for part in said] == pytest.approx([max(chance, 0.003) for chance in falling], abs=1e-4)
        middle = trainer.days[Landmark.ISSUE].middle(values, expand(values, days=5))
        assert 15 * (values[INDEX["median_days"]] + days_line.value(values)) == pytest.approx(middle)


def test_trees_come_near_the_days_of_what_three_features_say_together_and_open_invoices_pull_later() -> None:
    rows, late, days = told(600, where=1)
    usual = rows[:, [INDEX[name] for name in UNDER_DAYS]].mean(axis=1)
    for slow in (days + 15 * usual, np.where(days > 0, np.inf, 15 * usual)):
        trees = opened(grow(Landmark.DUE, rows, late, slow))[-1]
        for number in range(20):
            high, low = (features(9_000 + number, **dict.fromkeys(THREE, side)) for side in (0.6, -0.6))
            assert 15 * (trees.value(trees.walk(high)) - trees.value(trees.walk(low))) > 1


def shallow() -> Forest:
    """Return two trees as releases wrote them that asked three questions of a tree: two of them differ."""
    places = [INDEX[name] for name in THREE]
    return Forest(
        landmark=int(Landmark.DUE),
        intercepts=(0.0, 0.0, 0.0),
        places=bytes([*places, *reversed(places)]),
        points=struct.pack("<6e", 0.0, 0.25, -0.5, 0.5, -0.25, 0.0),
        leaves=struct.pack("<48e", *range(48)),
    )


def test_trees_of_three_questions_say_what_they_said_and_stand_until_new_ones_grow() -> None:
    learner = TreesLearner(Landmark.DUE)
    learner.load(Window().dump(), 0, 0, shallow())
    for number in range(40):
        values = features(number)
        one, two, three = (values[INDEX[name]] for name in THREE)
        first = 4 * (one > 0) + 2 * (two > 0.25) + (three > -0.5)
        second = 8 + 4 * (three > 0.5) + 2 * (two > -0.25) + (one > 0)
        under = sum(values[INDEX[f"{name}_15"]] for name in UNDER) / len(UNDER)
        assert learner.value(values, days=15) == pytest.approx(under + 3 * first + 1 + 3 * second + 1)
        assert learner.days(values) == 0.0
    grown = grow(Landmark.DUE, *told(400, where=1), standing=learner.forest)
    assert grown.places[-2 * DEPTH :] == deepened(shallow()).places
    assert len(grown.days) == 2 * TREES << DEPTH


def test_before_enough_is_known_there_are_no_trees() -> None:
    learner = TreesLearner(Landmark.ISSUE)
    learner.window.see(pack(list(features(1))), overdue=-30, days_late=0, mark=1)
    learner.grow_if_due()
    assert learner.forest is None
    assert learner.value(features(2), days=5) is None


def test_features_that_never_differ_grow_no_questions() -> None:
    same = np.zeros((200, len(FEATURES)), dtype=np.float32)
    late = np.tile(np.arange(200) % 4 == 0, (3, 1)).T.astype(np.float32)
    forest = grow(Landmark.DUE, same, late, 10 * late[:, 0])
    assert forest.places == b""
    assert all(-1.2 < intercept < -0.9 for intercept in forest.intercepts)


@pytest.mark.parametrize("side", [-1, 1])
def test_where_what_usually_held_is_wrong_of_everybody_the_trees_begin_from_what_holds_now(side: int) -> None:
    rows = np.zeros((400, len(FEATURES)), dtype=np.float32)
    rows[:, [INDEX[f"{name}_{days}"] for name in UNDER for days in LATE_DAYS]] = side * 5.0
    late = np.tile(np.arange(400) % 2 == 0, (len(LATE_DAYS), 1)).T.astype(np.float32)
    forest = grow(Landmark.DUE, rows, late, 10 * late[:, 0])
    begun = shares_under(rows)[0] + np.array(forest.intercepts)
    assert np.abs(begun).max() < 0.05


def told(count: int, *, where: int) -> tuple[Floats, Floats, Floats]:
    """Return noise and its answers: 20 days late where three features lie on that side of 0 (`where` 1 or -1), and only there."""
    rows = np.array([features(number) for number in range(count)], dtype=np.float32)
    late = (where * rows[:, [INDEX[name] for name in THREE]] > 0).all(axis=1)
    return rows, np.tile(late, (len(LATE_DAYS), 1)).T.astype(np.float32), np.where(late, 20.0, 0.0)


def test_trees_that_are_grown_again_keep_half_their_questions_behind_new_ones_until_they_stood_twice() -> None:
    first = grow(Landmark.DUE, *told(400, where=1))
    second = grow(Landmark.DUE, *told(400, where=-1), standing=first)
    third = grow(Landmark.DUE, *told(500, where=-1), standing=second)
    asked = DEPTH * ANEW
    for before, after in ((first, second), (second, third)):
        assert after.places[asked:] == before.places[:asked]
        assert after.points[2 * asked :] == before.points[: 2 * asked]
        assert len(after.places) == len(before.places) == DEPTH * TREES
    assert second.places[:asked] != first.places[:asked]


def test_trees_that_stay_follow_the_latest_answers_and_grow_alike_each_time() -> None:
    first = grow(Landmark.DUE, *told(400, where=1))
    turned = grow(Landmark.DUE, *told(400, where=-1), standing=first)
    assert turned == grow(Landmark.DUE, *told(400, where=-1), standing=first)

    def value(side: float) -> float:
        values = features(9_999, **dict.fromkeys(THREE, side))
        trees = opened(turned)[0]
        kept = replace(trees, tests=trees.tests[ANEW:])
        return kept.value(kept.walk(values))

    assert value(-0.6) > value(0.6)


def test_contributions_with_trees_sum_to_the_logit_and_nothing_is_told_twice() -> None:
    weights = taught(400).publish()
    trees = opened(weights.forests[0])[0]
    line = next(compiled(row, trees) for row in weights.lines if (row.landmark, row.days) == (Landmark.ISSUE, 5))
    assert line.trees.tests
    for number in range(20):
        values = features(5_000 + number)
        assert line.intercept + sum(contributions(line, values).values()) == pytest.approx(line.value(values))
    bare = replace(line, trees=type(line.trees)())
    zero = (0.0,) * len(FEATURES)
    assert line.value(zero) == pytest.approx(bare.value(zero))


def test_the_window_is_bounded_and_comes_back_as_it_was() -> None:
    window = Window()
    for number in range(SIZE + 50):
        window.see(
            pack(list(features(number % 7))), overdue=number % 40 - 30, days_late=None if number % 5 else -200, mark=number
        )
    assert len(window.rows) == SIZE
    again = Window()
    again.load(window.dump(), window.seen)
    assert (again.rows, again.seen) == (window.rows, SIZE + 50)
    empty = Window()
    empty.load(Window().dump(), 0)
    assert not empty.rows


def test_what_is_paid_after_its_last_answer_is_known_by_its_day_and_stays_late_by_every_limit() -> None:
    trainer, row = LatenessTrainer(), together(1).model_copy(update={"late": True, "days_late": None})
    settled = row.model_copy(update={"over_days": 0, "days_late": 45, "decided_at": row.decided_at + timedelta(days=15)})
    window = trainer.trees[Landmark.ISSUE].window
    for example_, days in ((row, np.inf), (settled, 45)):
        trainer.take(example_)
        trainer.turn(trainer.day + 1)
        _, labels, found = window.arrays()
        assert (found.tolist(), labels.tolist()) == ([days], [[1.0, 1.0, 1.0]])


def test_of_invoices_that_look_alike_only_one_that_was_open_is_given_a_day_and_none_of_another_client() -> None:
    window, raw = Window(), pack(list(features(1)))
    for days, mark in ((10, 7), (None, 8), (None, 7), (None, 7)):
        window.see(raw, overdue=-30, days_late=days, mark=mark)
    window.settle(raw, days_late=400, mark=7)
    assert window.arrays()[2].tolist() == [10, np.inf, 126, np.inf]


def test_a_day_of_payment_goes_to_the_oldest_alike_that_is_still_kept_also_after_a_restart_and_an_erasure() -> None:
    window, raw = Window(), pack(list(features(1)))
    for mark in (7, 9, 7, *range(100, 100 + SIZE - 2)):  # the first of 7 is pushed out
        window.see(raw, overdue=-30, days_late=None, mark=mark)
    again = Window()
    again.load(window.dump(), window.seen)
    for each in (window, again):
        each.forget(9)
        each.settle(raw, days_late=44, mark=7)
        each.settle(raw, days_late=55, mark=7)  # nobody is left to whom it could belong
        each.settle(raw, days_late=66, mark=9)
        each.settle(raw, days_late=77, mark=100)
        assert each.arrays()[2].tolist() == [44, 77, *[np.inf] * (SIZE - 3)]


def test_what_was_decided_when_it_was_asked_is_no_answer() -> None:
    window = Window()
    window.see(bytes(PACKED), overdue=9, days_late=20, mark=1)
    _, labels, _ = window.arrays()
    assert np.isnan(labels[0, 0])
    assert labels[0, 1:].tolist() == [1.0, 0.0]


def test_an_erased_client_leaves_the_questions_that_trees_are_grown_from() -> None:
    trainer = taught(60)
    marks = {row.mark for row in trainer.trees[Landmark.ISSUE].window.rows}
    assert mark_of("client-3") in marks
    trainer.withdraw("client-3")
    assert {row.mark for row in trainer.trees[Landmark.ISSUE].window.rows} == marks - {mark_of("client-3")}


def test_a_head_leans_toward_who_is_right_and_never_beyond() -> None:
    right, wrong = Leaning(), Leaning()
    for number in range(800):
        label = number % 2 == 0
        right.learn(0.0, 2.0 if label else -2.0, label=label, seen=1_000)
        wrong.learn(0.0, -2.0 if label else 2.0, label=label, seen=1_000)
    assert 0.9 < right.weight <= 1.0
    assert 0.0 <= wrong.weight < 0.05
    assert right.share(1_000) > 0.9 * 1_000 / 1_300
    assert wrong.share(1_000) == 0.2 * 1_000 / 1_300
    assert right.share(10) < right.share(1_000)


def older(raw: bytes, *, fields: int) -> bytes:
    """Return bytes of today as the release before trees wrote them: format 1, without the last field."""
    kind, schema, libraries, body = msgspec.msgpack.decode(raw[20:])
    content = b"\x01" + msgspec.msgpack.encode(
        [kind, schema, libraries, msgspec.msgpack.encode(msgspec.msgpack.decode(body)[:fields])]
    )
    return raw[:3] + blake2b(content, digest_size=16).digest() + content


def test_weights_and_checkpoints_of_the_release_before_trees_are_read_as_having_none() -> None:
    trainer = taught(60)
    weights = load(older(dump(trainer.publish()), fields=7), LatenessWeights)
    assert weights.forests == ()
    assert weights.lines == trainer.publish().lines
    resumed = LatenessTrainer.resume(load(older(trainer.save(), fields=10), Checkpoint))
    assert resumed.learned == trainer.learned
    assert resumed.trees[Landmark.ISSUE].window.seen == 0


def test_a_format_of_a_later_release_is_refused() -> None:
    raw = dump(taught(10).publish())
    content = b"\x09" + raw[20:]
    with pytest.raises(SnapshotError, match="run the release that wrote it"):
        load(raw[:3] + blake2b(content, digest_size=16).digest() + content, LatenessWeights)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"leaves": b"\x00\x7e"}, "not finite"), ({"points": b""}, "cannot be read"), ({"places": b"\xff"}, "cannot be read")],
)
def test_trees_that_are_damaged_are_refused(change: dict[str, bytes], why: str) -> None:
    weights = taught(200).publish()
    forest = weights.forests[0]
    spoilt = {name: value + getattr(forest, name)[len(value) :] if value else b"" for name, value in change.items()}
    with pytest.raises(SnapshotError, match=why):
        dump(restruct(weights, forests=(restruct(forest, **spoilt),)))


def test_a_learner_goes_on_where_nothing_tells_its_questions_apart() -> None:
    trainer = LatenessTrainer()
    for number in range(1_500):
        for days in LATE_DAYS:
            trainer.take(alike(number).model_copy(update={"over_days": days}))
        if number % 300 == 0:
            trainer.turn(trainer.day + 1)
    trainer.turn(trainer.day + 1)
    (trees,) = (each for each in trainer.trees.values() if each.forest is not None)
    assert trees.forest is not None
    assert not trees.forest.places
    assert trees.days((0.5,) * len(FEATURES)) == 0
    weights = load(dump(trainer.publish()), LatenessWeights)
    chances = LatenessScorer(weights).chances((0.5,) * len(FEATURES), landmark=Landmark.ISSUE, overdue=0)
    assert chances == pytest.approx([3_333] * 3, abs=30), "what a third of all were"

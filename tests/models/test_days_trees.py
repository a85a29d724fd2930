"""Trees of their own for the days late: what they find, what cannot move them, and what an earlier release's trees say."""

import struct
from hashlib import blake2b
from itertools import product
from typing import Final

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace as restruct

from models.features import FEATURES, INDEX, LATE_DAYS, Landmark, pack, unpack
from models.learners.boosting import ANEW, TREES, Floats, grow, usual_days
from models.learners.expansion import expand
from models.learners.forest import DEPTH, LEAVES, Forest, opened
from models.learners.lateness import compiled
from models.learners.snapshot import FORMAT, Checkpoint, LatenessWeights, SnapshotError, dump, load
from models.learners.trainer import LatenessTrainer
from models.learners.trees import TreesLearner
from models.learners.window import Window
from tests.models.examples import noise, with_features
from tests.models.test_trees import together

TWO: Final = ("amount_firm", "terms")
UNIT: Final = 15.0
BODY: Final = 3 + 16  # behind the mark and the checksum


def rows_of(count: int, *, seed: str = "days") -> Floats:
    """Return noise as it would be stored, a row per question."""
    values = [[2 * noise(seed, number, place) - 1 for place in range(len(FEATURES))] for number in range(count)]
    return np.array([unpack(pack(row)) for row in values], dtype=np.float32)


def by_lot(count: int) -> Floats:
    """Return answers to the three limits that depend on nothing."""
    late = [[noise("late", number) < share for share in (0.5, 0.3, 0.2)] for number in range(count)]
    return np.array(late, dtype=np.float32)


def crossed(rows: Floats) -> Floats:
    """Return days beyond what is usual: 3 where both features are high, 10 before due elsewhere."""
    return np.where((rows[:, [INDEX[name] for name in TWO]] > 0).all(axis=1), 3.0, -10.0)


def probes(seed: str, **named: float) -> list[tuple[float, ...]]:
    """Return questions with some features set."""
    rows = rows_of(40, seed=seed)
    for name, value in named.items():
        rows[:, INDEX[name]] = value
    return [tuple(row) for row in rows.tolist()]


def said(forest: Forest, features: tuple[float, ...]) -> float:
    """Return by how many days the trees move what lies under them."""
    trees = opened(forest)[-1]
    return UNIT * trees.value(trees.walk(features))


def test_trees_for_days_ask_what_tells_days_where_no_chance_depends_on_it() -> None:
    rows = rows_of(900)
    forest = grow(Landmark.ISSUE, rows, by_lot(900), crossed(rows) + UNIT * usual_days(rows))
    for signs in product((-0.6, 0.6), repeat=2):
        wanted = 3.0 if min(signs) > 0 else -10.0
        for values in probes("probe", **dict(zip(TWO, signs, strict=True))):
            assert said(forest, values) == pytest.approx(wanted, abs=2.5)


def test_how_late_the_latest_are_moves_no_leaf_and_no_question() -> None:
    rows = np.zeros((600, len(FEATURES)), dtype=np.float32)
    rows[:, [INDEX[name] for name in TWO]] = np.sign(rows_of(600)[:, :2])  # four kinds of question, so many of each
    days = crossed(rows) + 4 * np.array([noise("spread", number) for number in range(600)])
    usual = UNIT * usual_days(rows)
    far = np.arange(600) % 7 == 0
    one, other = (grow(Landmark.ISSUE, rows, by_lot(600), np.where(far, late, days) + usual) for late in (50.0, 350.0))
    assert (other.days_places, other.days_points, other.days) == (one.days_places, one.days_points, one.days)


def test_open_invoices_count_as_45_days_late_and_a_leaf_of_them_goes_no_further() -> None:
    rows = rows_of(600)
    rows[:, [INDEX["median_days"], INDEX["run_days"]]] = 0.0
    stuck = rows[:, INDEX["terms"]] > 0.5
    late, known = by_lot(600), np.where(stuck, 45.0, 0.0)
    forest = grow(Landmark.ISSUE, rows, late, np.where(stuck, np.inf, 0.0))
    assert forest.days == grow(Landmark.ISSUE, rows, late, known).days
    for values in probes("stuck", terms=0.9):
        assert 30 < said(forest, values) < 46
    for values in probes("stuck", terms=-0.9):
        assert abs(said(forest, values)) < 3


def test_what_all_are_off_by_is_said_also_where_no_example_came_to() -> None:
    rows = rows_of(300)
    spread = np.array([noise("spread", number) for number in range(300)])
    forest = grow(Landmark.ISSUE, rows, by_lot(300), 12 + spread + UNIT * usual_days(rows))
    for values in probes("elsewhere"):
        assert said(forest, values) == pytest.approx(12.5, abs=0.6)


def test_one_row_that_is_wildly_late_is_held_to_sixty_days_in_a_leaf() -> None:
    rows = np.zeros((400, len(FEATURES)), dtype=np.float32)
    rows[:30, INDEX["terms"]] = 1.0
    forest = grow(Landmark.ISSUE, rows, by_lot(400), np.where(np.arange(400) < 30, 30_000.0, 0.0))
    leaves = np.frombuffer(forest.days, dtype="<f2")
    assert UNIT * leaves.max() <= 0.35 * 60


def test_half_of_the_questions_about_days_stay_behind_new_ones_with_new_leaves() -> None:
    rows, turned = rows_of(500), rows_of(500, seed="turned")
    first = grow(Landmark.ISSUE, rows, by_lot(500), crossed(rows) + UNIT * usual_days(rows))
    second = grow(Landmark.ISSUE, turned, by_lot(500), UNIT * usual_days(turned) - crossed(turned), standing=first)
    asked = DEPTH * ANEW
    assert second.days_places[asked:] == first.days_places[:asked]
    assert second.days_points[2 * asked :] == first.days_points[: 2 * asked]
    assert second.days_places[:asked] != first.days_places[:asked]
    assert len(second.days_places) == len(first.days_places) == DEPTH * TREES
    assert len(second.days) == 2 * LEAVES * TREES
    high, low = (probes("turned", **dict.fromkeys(TWO, side))[0] for side in (0.6, -0.6))
    assert said(first, high) > said(first, low) + 8
    assert said(second, high) < said(second, low) - 8


def shared() -> Forest:
    """Return two trees, alike, as the releases wrote them whose days share the questions about chances."""
    return Forest(
        landmark=int(Landmark.ISSUE),
        intercepts=(0.0, 0.0, 0.0),
        places=bytes([INDEX["terms"]] * 2 * DEPTH),
        points=2 * struct.pack("<5e", -0.5, -0.25, 0.0, 0.25, 0.5),
        leaves=2 * struct.pack("<96e", *range(96)),
        days=2 * struct.pack("<32e", *range(32)),
    )


def test_days_of_an_earlier_release_are_read_on_the_questions_they_shared_until_new_trees_grow() -> None:
    learner = TreesLearner(Landmark.ISSUE)
    rows = rows_of(400)
    window = Window()
    for number, row in enumerate(rows.tolist()):
        window.see(pack(row), overdue=-30, days_late=number % 9, mark=number)
    learner.load(window.dump(), 4_000, 0, shared())
    for value, leaf in ((-0.9, 0), (-0.4, 16), (-0.1, 24), (0.1, 28), (0.3, 30), (0.9, 31)):
        assert learner.days(probes("old", terms=value)[0]) == 2 * leaf
    learner.grow_if_due()
    assert learner.forest is not None
    assert learner.forest.places[-2 * DEPTH :] == shared().places
    assert len(learner.forest.days_places) == DEPTH * TREES
    assert learner.forest.days_places[-2 * DEPTH :] != shared().places


def taught() -> LatenessTrainer:
    """Return a trainer with trees at issue, also of first invoices."""
    trainer = LatenessTrainer()
    for number in range(420):
        for days in LATE_DAYS:
            row = with_features(together(number), no_outcome=float(number % 2))
            trainer.take(row.model_copy(update={"over_days": days, "late": row.late}))
    trainer.turn(trainer.day + 1)
    return trainer


def before(raw: bytes, written: int) -> bytes:
    """Return bytes of weights as the release before wrote them: trees without questions of their own for the days."""
    kind, schema, libraries, body = msgspec.msgpack.decode(raw[BODY + 1 :])
    weights = msgspec.msgpack.decode(body)
    weights[7] = [forest[:6] for forest in weights[7]]
    weights[8][0] = weights[8][0][:6]
    content = bytes([written]) + msgspec.msgpack.encode([kind, schema, libraries, msgspec.msgpack.encode(weights)])
    return raw[:3] + blake2b(content, digest_size=16).digest() + content


def test_weights_say_the_days_that_the_trainer_says_and_those_of_before_are_read_as_sharing_questions() -> None:
    trainer = taught()
    raw = dump(trainer.publish())
    weights = load(raw, LatenessWeights)
    assert weights == trainer.publish()
    assert weights.forests[0].days_places
    assert weights.firsts is not None
    assert (weights.firsts.forest.days, weights.firsts.forest.days_places, weights.firsts.forest.days_points) == (b"", b"", b"")
    assert load(dump(trainer.checkpoint()), Checkpoint) == trainer.checkpoint()
    line = compiled(weights.ranges[0].line, opened(weights.forests[0])[-1])
    for values in probes("published"):
        middle = trainer.days[Landmark.ISSUE].middle(values, expand(values, days=5))
        assert UNIT * (values[INDEX["median_days"]] + line.value(values)) == pytest.approx(middle)
    for written in (4, 5):
        old = load(before(raw, written), LatenessWeights).forests[0]
        *chances, days = opened(old)
        assert days.tests == chances[0].tests
        assert days.leaves == opened(weights.forests[0])[-1].leaves


def test_no_release_that_would_put_days_on_the_wrong_questions_reads_the_weights() -> None:
    trainer = taught()
    assert dump(trainer.publish())[BODY] == trainer.save()[BODY] == FORMAT
    assert FORMAT > 5  # releases that wrote checkpoints of format 5 read weights of it too


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"days_places": b"\xff"}, "cannot be read"),
        ({"days_places": None}, "cannot be read"),
        ({"days_points": None}, "cannot be read"),
        ({"days": None}, "cannot be read"),
        ({"days": b"\x00\x7e"}, "not finite"),
        ({"days": b"\x00\x7c"}, "not finite"),
    ],
)
def test_damaged_trees_for_days_are_refused(change: dict[str, bytes | None], why: str) -> None:
    weights = taught().publish()
    forest = weights.forests[0]
    spoilt = {
        name: getattr(forest, name)[2:] if value is None else value + getattr(forest, name)[len(value) :]
        for name, value in change.items()
    }
    with pytest.raises(SnapshotError, match=why):
        dump(restruct(weights, forests=(restruct(forest, **spoilt),)))


@pytest.mark.parametrize("name", ["days_places", "days_points", "days"])
def test_trees_for_days_that_miss_a_part_are_refused(name: str) -> None:
    weights = taught().publish()
    with pytest.raises(SnapshotError, match="cannot be read"):
        dump(restruct(weights, forests=(restruct(weights.forests[0], **{name: b""}),)))

"""Windows of firms that answer much: they reach further back in fewer bytes a row, and nothing else about them differs."""

from datetime import timedelta
from hashlib import blake2b

import numpy as np

from models.features import FEATURES, Landmark, pack, unpack
from models.learners.boosting import grow, shares_under, usual_days
from models.learners.coarse import COARSE, Coarse, under_of
from models.learners.snapshot import Checkpoint, dump, load
from models.learners.trainer import LatenessTrainer
from models.learners.window import LARGEST, SIZE, Window
from models.triggers import Example
from tests.models.examples import example, trained

FAST = 20  # days in which so many are answered that a window widens


def rows_of(count: int, *, seed: int = 1) -> list[bytes]:
    """Return questions as they would be stored; every third feature has few values."""
    values = np.random.default_rng(seed).normal(0, 1, (count, len(FEATURES)))
    values[:, ::3] = values[:, ::3].round()
    return [pack(row) for row in values.tolist()]


def fill(window: Window, rows: list[bytes], *, days: int) -> None:
    """Tell the window of `rows`, in a turn for every five hundred."""
    for number, row in enumerate(rows):
        if number % 500 == 0:
            window.widen(days)
        window.see(row, overdue=number % 20 - 10, days_late=None if number % 9 == 0 else number % 40, mark=number % 50)


def test_a_coarse_row_answers_at_every_point_as_the_question_itself_would() -> None:
    rows = rows_of(400)
    stored = np.array([unpack(row) for row in rows], dtype=np.float32)
    coarse = Coarse.of(stored[:150])
    packed = b"".join(map(coarse.pack, rows))
    kept, under = coarse.features(packed), under_of(packed)
    for place in range(len(FEATURES)):
        for point in coarse.points[place][np.isfinite(coarse.points[place])]:
            assert ((kept[:, place] > point) == (stored[:, place] > point)).all()
    np.testing.assert_allclose(under[:, :3], shares_under(stored), atol=2e-3)
    np.testing.assert_allclose(under[:, 3], usual_days(stored), atol=2e-3)
    assert {len(coarse.pack(row)) for row in rows} == {COARSE}
    np.testing.assert_array_equal(Coarse.load(coarse.dump()).points, coarse.points)


def test_trees_grown_from_coarse_rows_ask_at_points_where_rows_as_stored_answer_alike() -> None:
    stored = np.array([unpack(row) for row in rows_of(600)], dtype=np.float32)
    late = np.repeat((stored[:, 5] + stored[:, 10] > 0.5)[:, np.newaxis], 3, axis=1).astype(np.float32)
    coarse = Coarse.of(stored)
    packed = b"".join(coarse.pack(pack(row)) for row in stored.tolist())
    kept = coarse.features(packed)
    forest = grow(Landmark.ISSUE, kept, late, stored[:, 7], under=under_of(packed))
    places, points = np.frombuffer(forest.places, dtype=np.uint8), np.frombuffer(forest.points, dtype="<f2")
    for place, point in zip(places.tolist(), points.tolist(), strict=True):
        assert ((kept[:, place] > point) == (stored[:, place] > point)).all()
    assert {5, 10} <= set(places.tolist())


def test_of_coarse_rows_trees_ask_at_every_point_where_they_differ_and_not_at_quantiles_only() -> None:
    stored = np.array([unpack(row) for row in rows_of(1_200)], dtype=np.float32)
    coarse = Coarse.of(stored)
    point = next(one for one in coarse.points[5].tolist() if -1.3 < one < -1.1)  # between two quantiles
    late = stored[:, 5] > point
    packed = b"".join(coarse.pack(pack(row)) for row in stored.tolist())
    labels = np.repeat(late[:, np.newaxis], 3, axis=1).astype(np.float32)
    for under, asks in ((under_of(packed), True), (None, False)):
        forest = grow(Landmark.ISSUE, coarse.features(packed), labels, np.where(late, 40.0, 0.0), under=under)
        for places, points in ((forest.places, forest.points), (forest.days_places, forest.days_points)):
            asked = zip(places, np.frombuffer(points, dtype="<f2").tolist(), strict=True)
            assert ((5, point) in asked) is asks


def test_where_many_are_answered_a_day_the_window_widens_and_elsewhere_its_rows_stay_as_they_were_stored() -> None:
    rows = rows_of(LARGEST + 600)
    fast, slow = Window(), Window()
    fill(fast, rows, days=FAST)
    fill(slow, rows, days=20_000)
    assert (len(fast.rows), len(slow.rows)) == (LARGEST, SIZE)
    assert slow.under() is None
    assert [row.features for row in slow.rows] == rows[-SIZE:]
    assert [(row.mark, row.days, row.overdue) for row in fast.rows][-SIZE:] == [
        (row.mark, row.days, row.overdue) for row in slow.rows
    ]
    assert len(fast.dump()) / LARGEST < 0.38 * len(slow.dump()) / SIZE


def test_a_window_keeps_no_more_than_a_year_of_rows() -> None:
    window = Window()
    fill(window, rows_of(4_000), days=FAST)
    window.widen(480)  # fewer a day than before
    window.see(rows_of(1)[0], overdue=0, days_late=0, mark=1)
    assert len(window.rows) == 365 * 4_000 // 480


def test_a_wide_window_comes_back_as_it_was_forgets_clients_and_learns_days_of_payment() -> None:
    rows, window = rows_of(3_000), Window()
    fill(window, rows, days=FAST)
    again = Window()
    again.load(window.dump(), window.seen)
    assert again.dump() == window.dump()
    for each in (window, again):
        each.settle(rows[2_997], days_late=44, mark=2_997 % 50)  # open until then, as every ninth
        each.forget(7)
        each.widen(FAST)
        each.see(rows[0], overdue=0, days_late=3, mark=3)
        assert 7 not in {row.mark for row in each.rows}
        assert [row.days for row in each.rows if row.mark == 2_997 % 50][-1] == 44
    assert again.dump() == window.dump()
    assert len(window.rows) == 3_000 - 60 + 1


def many() -> list[Example]:
    """Return 1,800 invoices answered in nine days, as a large firm's are."""
    found = []
    for number in range(1_800):
        row = example(number)
        at = example(0).decided_at + timedelta(days=number // 200)
        limits = (5, 30) if number < 10 else (30,)
        found += [row.model_copy(update={"decided_at": at, "over_days": over}) for over in limits]
    return found


def test_a_trainer_whose_windows_widened_goes_on_from_its_checkpoint_as_one_that_was_never_stopped() -> None:
    rows = many()
    straight, first = LatenessTrainer(), LatenessTrainer()
    saved = first.checkpoint()
    for place, row in enumerate(rows):
        straight.take(row)
        if place < 1_700 and first.take(row):
            saved = first.checkpoint()
    second = LatenessTrainer.resume(load(dump(saved), Checkpoint))
    for row in rows[saved.position :]:
        second.take(row)
    for each in (straight, second):
        each.turn(each.day + 1)
    assert len(straight.trees[Landmark.ISSUE].window.rows) == 1_700  # wide from the day on which all 1,500 were there
    assert straight.trees[Landmark.ISSUE].window.under() is not None
    assert second.publish() == straight.publish()
    assert second.save() == straight.save()


def test_a_checkpoint_of_the_release_before_is_read() -> None:
    saved, place = trained(60, over_days=30).save(), 3 + 16  # behind the mark and the checksum
    for written in (4, 5):  # windows that are not coarse are written as they were
        content = bytes([written]) + saved[place + 1 :]
        before = saved[:3] + blake2b(content, digest_size=16).digest() + content
        assert LatenessTrainer.restore(before).save() == saved

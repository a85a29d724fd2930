"""What keeps `rapport evaluate` bounded on a large book: questions kept once, twins refit seldom and never on the future."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handlers.evaluation.answers import RunningMedian
from handlers.evaluation.batch import often, refit_days, refit_regularly
from handlers.evaluation.kept import Keeper, matrix
from handlers.evaluation.metrics import Floats, auc, interval
from models.features import FEATURES, unpack
from tests.models.examples import example


def test_questions_of_one_invoice_are_kept_once_for_all_its_answers() -> None:
    keeper, told = Keeper(), example(3)
    first, again = keeper.keep(told, last=False), keeper.keep(told, last=True)
    assert first == again
    assert all(one is other for one, other in zip(first.questions, again.questions, strict=True))
    assert keeper.keep(told, last=False).questions[0] is not first.questions[0]
    rows = matrix([row.features for row in first.questions])
    assert rows.shape == (len(first.questions), len(FEATURES))
    assert tuple(rows[0]) == unpack(first.questions[0].features)


def test_a_twin_sees_only_what_was_known_before_each_refit_and_predicts_everything_from_the_first_on() -> None:
    asked = np.arange(0.0, 300.0)
    known, targets = asked + 20, (np.arange(300) % 2).astype(float)
    fits: list[float] = []

    def fit(features: Floats, labels: Floats) -> object:
        fits.append(float(features.max()))
        return lambda rows: np.full(len(rows), labels.mean())

    found = refit_regularly(
        fit,  # type: ignore[arg-type]
        every=30,
        asked=asked,
        known=known,
        features=known.reshape(-1, 1),
        targets=targets,
        before=np.full(300, -1.0),
        first=180,
    )
    assert fits == [known[known < day].max() for day in (180, 210, 240, 270)]
    assert (found[:180] == -1.0).all()
    assert (found[180:] == 0.5).all()


def test_refits_are_monthly_and_on_long_histories_no_more_than_two_dozen() -> None:
    assert often(refit_days(np.array([0.0, 200.0]))) == "monthly"
    assert refit_days(np.array([0.0, 2399.0])) == 100
    assert often(100) == "every 100 days"


def test_intervals_of_large_books_draw_fewer_times_and_still_hold_the_figure() -> None:
    dice = np.random.default_rng(2)
    labels = (dice.random(30_000) < 0.3).astype(float)
    chances = np.clip(0.3 + 0.2 * labels + dice.normal(0, 0.2, 30_000), 0, 1)
    low, high = interval(lambda rows: auc(chances[rows], labels[rows]), [f"c{number % 900}" for number in range(30_000)])
    assert low < auc(chances, labels) < high < low + 0.02


@given(st.lists(st.integers(-40, 400), max_size=60))
def test_the_running_median_is_the_middle_of_the_sorted_values_after_each_one(values: list[int]) -> None:
    running = RunningMedian()
    assert running.value == 0
    for count, value in enumerate(values, start=1):
        running.add(value)
        assert running.value == sorted(values[:count])[count // 2]

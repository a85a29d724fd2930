"""The parts that learn from answered questions about invoices: lines, trees, days, and who is listened to how much."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np

from models.features import FEATURES, LATE_DAYS, Landmark
from models.learners.bins import WIDTH
from models.learners.blend import Blend
from models.learners.calibration import Recalibration
from models.learners.coarse import Coarse
from models.learners.days import DaysLearner
from models.learners.errors import Errors
from models.learners.expansion import expand
from models.learners.firsts import Firsts
from models.learners.gradient import GradientLogistic
from models.learners.head import Head
from models.learners.kalman import KalmanLinear
from models.learners.opinions import Opinions
from models.learners.pay_range import GROUPS
from models.learners.prior import days_means, prior_means
from models.learners.trees import Leaning, TreesLearner
from models.learners.window import SIZE, Window
from tests.laws.learning_part import (
    PROBES,
    Part,
    dump_of,
    features_at,
    first_at,
    head_restored,
    head_state,
    is_late,
    near,
    of_dumps,
    raw_of,
    wide_at,
)


@cache
def _grown() -> tuple[Any, ...]:
    """Return what a learner of trees is that has just grown its first: to grow them for every example would take minutes."""
    trees = TreesLearner(Landmark.ISSUE)
    for number in range(10_000, 10_160):
        trees.window.see(raw_of(number), overdue=-30, days_late=None if is_late(number) else number % 5, mark=number % 7)
    trees.grow_if_due()
    return trees.dump()


def _trees() -> TreesLearner:
    trees = TreesLearner(Landmark.ISSUE)
    trees.load(*_grown())
    return trees


_VARIANCES: Final = np.full(WIDTH, 0.05)
_MEAN: Final = np.zeros(WIDTH)


def _kalman() -> KalmanLinear:
    return KalmanLinear(_VARIANCES, mean=_MEAN, forgetting=0.9997, a_day=5)


def _linear(name: str, kind: type, begin: Callable[[], Any]) -> Part:
    return of_dumps(
        name,
        kind,
        begin,
        whole=False,
        learn=lambda part, number: part.learn_label(wide_at(number), label=is_late(number)),
        says=lambda part: [part.value(expand(probe, days=LATE_DAYS[0])) for probe in PROBES],
        turn=lambda part: part.turn() if isinstance(part, KalmanLinear) else None,
        poison=lambda part, number: part.learn_label(np.full(WIDTH, number), label=True),
    )


def _days() -> DaysLearner:
    return DaysLearner(_trees(), days_means()[Landmark.ISSUE])


def _learn_days(part: DaysLearner, number: int) -> None:
    if opened := number % 3 == 0:
        part.learn_open(features_at(number), open_days=6)
    part.learn(features_at(number), days_late=number % 40 + 7 * opened, open_days=6 if opened else None)


def _see_error(part: Errors, number: int) -> None:
    group, error = number % len(GROUPS), near(number, "error", reach=9.0)
    if number % 3:
        part.see(group, error)
    else:
        part.see_open(group, error)
        part.see(group, error + 1.0, open_after=error)


def _head() -> Head:
    prior = prior_means()[Landmark.ISSUE, LATE_DAYS[0]]
    return Head(Landmark.ISSUE, LATE_DAYS[0], _trees(), prior=prior, firsts=Firsts(_trees()))


def _see_window(part: Window, number: int) -> None:
    late = None if number % 4 == 0 else number % 30
    part.see(raw_of(number), overdue=-30, days_late=late, mark=number % 11)
    if number % 8 == 0:
        part.settle(raw_of(number), days_late=44, mark=number % 11)
    if number % 97 == 0:
        part.forget(number % 11)


def _window_says(part: Window) -> list[bytes]:
    return [] if not part.rows else [column.tobytes() for column in part.arrays()]


def _window_restored(part: Window) -> Window:
    fresh = Window()
    fresh.load(part.dump(), part.seen)
    return fresh


@cache
def _full() -> tuple[bytes, int]:
    window = Window()
    for number in range(SIZE):
        window.see(raw_of(number % 300), overdue=-30, days_late=number % 30, mark=number % 11)
    window.widen(1)
    return window.dump(), window.seen


def _coarse() -> Window:
    window = Window()
    window.load(*_full())
    return window


def _see_trees(part: TreesLearner, number: int) -> None:
    part.window.see(raw_of(number), overdue=-30, days_late=None if is_late(number) else number % 30, mark=number % 11)


def _trees_restored(part: TreesLearner) -> TreesLearner:
    fresh = TreesLearner(part.landmark)
    fresh.load(*part.dump())
    return fresh


def _learn_first(part: Firsts, number: int) -> None:
    part.learn(first_at(number), days=LATE_DAYS[0], otherwise=near(number, "otherwise"), late=is_late(number))


OF_ANSWERS: Final = (
    _linear("kalman", KalmanLinear, _kalman),
    _linear("gradient", GradientLogistic, lambda: GradientLogistic(np.zeros(WIDTH))),
    of_dumps(
        "blend",
        Blend,
        Blend,
        learn=lambda part, number: part.learn(
            near(number), (near(number, 1), near(number, 2)), label=is_late(number), seen=60 + number
        ),
        says=lambda part: [part.value(0.3, (-0.5, 0.8)), *part.weights],
    ),
    of_dumps(
        "recalibration",
        Recalibration,
        Recalibration,
        whole=False,
        learn=lambda part, number: part.learn(near(number), label=is_late(number), pace=1.0 + number % 3),
        says=lambda part: part.slope_and_shift,
        poison=lambda part, number: part.learn(number, label=True),
    ),
    of_dumps(
        "leaning",
        Leaning,
        Leaning,
        learn=lambda part, number: part.learn(near(number, 1), near(number, 2), label=is_late(number), seen=number),
        says=lambda part: part.share(500),
    ),
    of_dumps(
        "first invoices",
        Firsts,
        lambda: Firsts(_trees()),
        learn=_learn_first,
        says=lambda part: [part.share, part.said(first_at(9_001), days=LATE_DAYS[0], otherwise=0.2)],
    ),
    Part(
        name="trees",
        kinds=(TreesLearner,),
        begin=_trees,
        learn=_see_trees,
        says=lambda part: [[part.value(probe, days=days) for days in LATE_DAYS] + [part.days(probe)] for probe in PROBES],
        state=dump_of,
        restored=_trees_restored,
        turn=lambda part: part.grow_if_due(),
        bound=SIZE * (2 * len(FEATURES) + 6) + 8_000,
    ),
    Part(
        name="head",
        kinds=(Head,),
        begin=_head,
        learn=lambda part, number: part.learn(
            first_at(number) if number % 5 == 0 else features_at(number), late=is_late(number), pace=1.0
        ),
        says=lambda part: [[part.chance(probe) for probe in (*PROBES, first_at(9_001))], part.line()],
        state=head_state,
        restored=head_restored(_head),
        turn=lambda part: part.turn(),
        poison=lambda part, number: part.learn((number,) * len(FEATURES), late=True),
    ),
    of_dumps(
        "days",
        DaysLearner,
        _days,
        whole=False,
        learn=_learn_days,
        says=lambda part: [*(part.middle(probe, expand(probe, days=LATE_DAYS[0])) for probe in PROBES), part.errors.quantiles()],
        turn=lambda part: part.turn(),
        poison=lambda part, number: part.learn((number,) * len(FEATURES), days_late=3),
    ),
    of_dumps(
        "errors",
        Errors,
        Errors,
        learn=_see_error,
        says=lambda part: part.quantiles(),
        turn=lambda part: part.turn(),
    ),
    of_dumps(
        "opinions",
        Opinions,
        lambda: Opinions((20.0, 8.0, 14.0)),
        learn=lambda part, number: part.see([near(number, place, reach=20.0) for place in range(3)], typical=5.0),
        says=lambda part: part.weights,
        turn=lambda part: part.turn(),
    ),
    Part(
        name="window",
        kinds=(Window,),
        begin=Window,
        learn=_see_window,
        says=_window_says,
        state=lambda part: (part.dump(), part.seen),
        restored=_window_restored,
        bound=SIZE * (2 * len(FEATURES) + 6) + 1_000,
    ),
    Part(
        name="window of coarse rows",
        kinds=(Window, Coarse),
        begin=_coarse,
        learn=_see_window,
        says=lambda part: [*_window_says(part), part.under().tobytes()],
        state=lambda part: (part.dump(), part.seen),
        restored=_window_restored,
        bound=SIZE * (2 * len(FEATURES) + 6) + 1_000,
    ),
)

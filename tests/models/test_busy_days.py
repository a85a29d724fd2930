"""What learners know grows old by days: a firm with a hundred answers a day remembers as many weeks as one with five."""

from datetime import timedelta

import numpy as np
import pytest

from models.features import FEATURES, INDEX, Landmark
from models.learners.bins import WIDTH
from models.learners.days import DaysLearner
from models.learners.errors import Errors
from models.learners.kalman import A_DAY, FORGETTING, KalmanLinear
from models.learners.opinions import Opinions
from models.learners.trainer import LatenessTrainer
from models.learners.trees import TreesLearner
from tests.models.examples import example


@pytest.mark.parametrize(("answers", "forget"), [(1, 1), (A_DAY, A_DAY), (A_DAY + 1, A_DAY), (300, A_DAY)])
def test_so_many_answers_of_a_day_forget_and_no_more(answers: int, forget: int) -> None:
    learner = KalmanLinear(np.full(3, 0.1), forgetting=FORGETTING, a_day=A_DAY)
    for _ in range(2):
        learner.turn()
        for _ in range(answers):
            learner.learn_label(np.zeros(3), label=True)  # says nothing, so that all that happens is that time passes
    assert learner.variances == pytest.approx(0.1 / FORGETTING ** (2 * forget))
    assert pytest.approx(0.995, abs=2e-4) == FORGETTING**A_DAY


def test_without_days_each_answer_forgets() -> None:
    learner = KalmanLinear(np.full(3, 0.1), forgetting=FORGETTING)
    for _ in range(40):
        learner.learn_label(np.zeros(3), label=True)
    assert learner.variances == pytest.approx(0.1 / FORGETTING**40)


def test_a_trainer_forgets_as_much_in_a_busy_day_as_in_a_day() -> None:
    busy, slow = LatenessTrainer(), LatenessTrainer()
    for number in range(120):
        row = example(number)
        busy.take(row.model_copy(update={"decided_at": example(0).decided_at}))
        slow.take(row.model_copy(update={"decided_at": example(0).decided_at + timedelta(days=number)}))
    for trainer in (busy, slow):
        trainer.turn(trainer.day + 1)
    head = Landmark.ISSUE, 5
    known = [trainer.heads[head].kalman.variances.mean() for trainer in (busy, slow)]
    assert [trainer.heads[head].kalman.seen for trainer in (busy, slow)] == [120, 120]
    assert known[1] / known[0] == pytest.approx(FORGETTING ** (A_DAY - 120), rel=0.01)


def test_errors_of_a_busy_day_do_not_push_out_those_of_the_weeks_before() -> None:
    old = Errors()
    for _ in range(100):
        old.turn()
        old.see(0, -6.0)
    before = old.rows[-1].sum()
    old.turn()
    for _ in range(400):
        old.see(0, 6.0)
    left = old.rows[-1][: old.rows.shape[1] // 2].sum()
    assert left == pytest.approx(before * 0.995**5)


def test_opinions_are_weighed_by_weeks_and_not_by_the_last_busy_day() -> None:
    weighed = Opinions((0.0, 0.0))
    for _ in range(200):
        weighed.turn()
        weighed.see((0.0, 1.0), typical=1.0)
    lead = weighed.losses[1] - weighed.losses[0]
    weighed.turn()
    for _ in range(300):
        weighed.see((1.0, 1.0), typical=1.0)
    assert weighed.losses[1] - weighed.losses[0] == pytest.approx(lead * 0.995**5)


def test_a_days_learner_turns_with_the_day() -> None:
    features = [0.0] * len(FEATURES)
    features[INDEX["spread_days"]] = 0.5
    known = []
    for a_day in (1, 200):
        learner = DaysLearner(TreesLearner(Landmark.ISSUE), np.zeros(WIDTH))
        for number in range(200):
            if number % a_day == 0:
                learner.turn()
            learner.learn(tuple(features), days_late=number % 7)
        known.append((learner.line.variances.mean(), learner.errors.rows[-1].sum(), sum(learner.opinions.losses)))
    assert known[0][0] > known[1][0] * 1.03
    assert known[0][1] < 0.8 * known[1][1]
    assert known[0][2] < 0.9 * known[1][2]

"""What monitoring is told of the learners is what they were worth on answers that came after what they had said."""

from math import log

import pytest

from models.features import LATE_DAYS
from models.learners.activation import LATENESS
from models.learners.trainer import LatenessTrainer
from models.triggers import Example
from streams.agents.trainer import report
from streams.runtime.metrics import (
    LEARNER_ANSWERS,
    LEARNER_AUC,
    LEARNER_CALIBRATION,
    LEARNER_LOG_LOSS,
    LEARNER_RANGE_HELD,
    LEARNER_RELIABILITY,
    Meter,
    Metric,
)
from tests.models.examples import example

ANSWERS = 20


def test_each_who_foretold_has_a_log_loss_an_auc_and_a_calibration_and_the_range_a_share_that_held() -> None:
    trainer, meter = LatenessTrainer(), Meter()
    judge = trainer.judge
    for number in range(ANSWERS):
        late = number % 4 == 0
        judge.candidate.see(0.9 if late else 0.15, late=late)
        judge.live.see(0.65 if late else 0.35, late=late)
        judge.rules.see(0.25, late=late)
        judge.see_range(0.0, 10.0, days_late=20 if number % 5 == 0 else 5)
    report(LATENESS, trainer, meter)

    def told(metric: Metric) -> list[float]:
        return [meter.read(metric, learner=LATENESS, who=who) for who in ("candidate", "live", "rules")]

    shares = ((0.9, 0.15), (0.65, 0.35), (0.25, 0.25))
    assert told(LEARNER_LOG_LOSS) == pytest.approx([-0.25 * log(one) - 0.75 * log(1 - other) for one, other in shares])
    assert told(LEARNER_AUC) == [1.0, 1.0, 0.5]
    assert told(LEARNER_CALIBRATION) == pytest.approx(
        [0.25 * (1 - one) + 0.75 * other for one, other in shares[:2]] + [0.0], abs=0.02
    )
    assert told(LEARNER_ANSWERS) == [ANSWERS] * 3
    assert meter.read(LEARNER_RANGE_HELD, learner=LATENESS) == pytest.approx(0.8)
    given, true = (
        [meter.read(LEARNER_RELIABILITY, learner=LATENESS, bin=place, what=what) for place in ("3", "6")]
        for what in ("given", "true")
    )
    assert given == pytest.approx([0.35, 0.65])
    assert true == [0.0, 1.0]


def ranged(number: int, *, over_days: int, high: float, days_late: int | None, late: bool) -> Example:
    row = example(number, over_days=over_days)
    asked = row.questions[0].model_copy(update={"days": (-1.0, 5.0, high - 1.0, high)})
    return row.model_copy(update={"questions": (asked,), "days_late": days_late, "late": late})


@pytest.mark.parametrize(
    ("high", "days_late", "at_the_end", "when_paid"),
    [
        (12.0, 7, (0, 0.0), (1, 1.0)),
        (12.0, 45, (1, 0.0), (1, 0.0)),
        (60.0, 45, (0, 0.0), (1, 1.0)),
        (12.0, 20, (0, 0.0), (1, 0.0)),
    ],
)
def test_a_range_is_judged_once_and_as_soon_as_an_invoice_is_open_past_it(
    high: float, days_late: int, at_the_end: tuple[int, float], when_paid: tuple[int, float]
) -> None:
    trainer = LatenessTrainer()
    late = days_late > LATE_DAYS[-1]
    trainer.take(ranged(0, over_days=LATE_DAYS[-1], high=high, days_late=None if late else days_late, late=late))
    trainer.turn(trainer.day + 1)
    assert (trainer.judge.ranges, trainer.judge.held) == at_the_end
    trainer.take(ranged(0, over_days=0, high=high, days_late=days_late, late=late))
    trainer.turn(trainer.day + 2)
    assert (trainer.judge.ranges, trainer.judge.held) == when_paid

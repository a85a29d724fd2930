"""What monitoring is told of the learners is what they were worth on answers that came after what they had said."""

from math import log

import pytest

from models.learners.activation import LATENESS
from models.learners.trainer import LatenessTrainer
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

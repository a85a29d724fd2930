"""The trainer of the lateness learners: examples in log order in, published weights out. One writer, no clock, no dice.

A day's examples are collected and learned together at the turn of the day, in an order that a hash decides; then new weights are
published. They differ from learning at once by less than .0002 AUC (docs/learning.md), and every worker scores a whole day alike.
"""

from base64 import b64decode
from typing import Final

import msgspec
import numpy as np

from models.features import FEATURES, INDEX, LATE_DAYS, TABLE, Family, Landmark, unpack
from models.learners.bins import BIN_VALUE, CUTS, LINES, WIDTH
from models.learners.blend import Blend
from models.learners.calibration import Recalibration
from models.learners.chance import sigmoid
from models.learners.cohorts import PayCohorts
from models.learners.days import DaysLearner
from models.learners.drift import DriftWatch
from models.learners.expansion import Vector, expand
from models.learners.firm import FirmTally
from models.learners.gradient import GradientLogistic
from models.learners.judging import Judge
from models.learners.kalman import KalmanLinear
from models.learners.questions import day_known, examples_in_order
from models.learners.snapshot import Checkpoint, DaysState, FirmFigures, HeadState, LatenessWeights, Line, Range, dump, load
from models.triggers import Example, Question
from models.workdays import DAY_MS

HEADS: Final = tuple(
    (landmark, days)
    for landmark in Landmark
    for days in LATE_DAYS
    if not (landmark is Landmark.WEEK_AFTER and days == LATE_DAYS[0])  # decided by then
)
"""Landmark and meaning of "late" of every head."""

KALMAN_SHARE: Final = 2 / 3  # in the logit; the rest is the gradient learner's (docs/learning.md says what else was tried)
_SHARE: Final = INDEX[f"still_open_{LATE_DAYS[0]}"]
_FORGETTING: Final = 0.9997
_PRIOR: Final = 0.05
_PRIOR_INTERCEPT: Final = 1.0
_PRIOR_SEASON: Final = 0.02  # the calendar may explain little, or it explains everything by accident


def _variances() -> Vector:
    found = np.full(WIDTH, _PRIOR)
    found[0] = _PRIOR_INTERCEPT
    for place, row in enumerate(FEATURES, 1):
        if row.family is Family.SEASON:
            found[place] = _PRIOR_SEASON
    return found


class Head:
    """Two learners of one question, averaged in the logit, blended with the client's shares, and the recalibration of that."""

    def __init__(self, landmark: Landmark, days: int) -> None:
        """Start knowing nothing."""
        self.landmark = landmark
        self.days = days
        self.kalman = KalmanLinear(_variances(), forgetting=_FORGETTING)
        self.gradient = GradientLogistic(WIDTH)
        self.blend = Blend()
        self.recalibration = Recalibration()
        self._shares = (INDEX[f"still_open_{days}"], INDEX[f"run_open_{days}"])

    def learn(self, features: tuple[float, ...], *, late: bool, pace: float = 1.0) -> float:
        """Learn one answered question; blend and recalibration first, from what the learners would say before they learn it.

        Returns the probability that they would have said.
        """
        wide = expand(features, days=self.days)
        first, second = self._shares
        logit, shares = float(self._mixed() @ wide), (features[first], features[second])
        plain = self.blend.value(logit, shares)
        slope, shift = self.recalibration.slope_and_shift
        self.recalibration.learn(plain, label=late, pace=pace)
        self.blend.learn(logit, shares, label=late, seen=self.kalman.seen)
        self.kalman.learn_label(wide, label=late)
        self.gradient.learn_label(wide, label=late)
        return sigmoid(slope * plain + shift)

    def chance(self, features: tuple[float, ...]) -> float:
        """Return the probability of being late, recalibration included."""
        wide = expand(features, days=self.days)
        slope, shift = self.recalibration.slope_and_shift
        return sigmoid(slope * float(self._blended() @ wide) + shift)

    def line(self) -> Line:
        """Return the scoring line: learners, shares and recalibration are linear in the logit, so one line is exact."""
        slope, shift = self.recalibration.slope_and_shift
        weights = slope * self._blended()
        weights[0] += shift
        return to_line(weights, landmark=self.landmark, days=self.days, seen=self.kalman.seen)

    def _blended(self) -> Vector:
        learners, *shares = self.blend.weights
        found = learners * self._mixed()
        for place, weight in zip(self._shares, shares, strict=True):
            found[place + 1] += weight
        return found

    def _mixed(self) -> Vector:
        return KALMAN_SHARE * self.kalman.mean + (1.0 - KALMAN_SHARE) * self.gradient.weights


def to_line(weights: Vector, *, landmark: Landmark, days: int, seen: int) -> Line:
    """Return expanded weights as a line; bin weights are multiplied out."""
    numbers = weights[:LINES].tolist()
    binned = (weights[LINES:] * BIN_VALUE).tolist()
    bins = tuple(tuple(binned[cut.start - LINES : cut.start - LINES + len(cut.points) + 1]) for cut in CUTS[days])
    return Line(int(landmark), days, seen, numbers[0], tuple(numbers[1:]), bins)


class LatenessTrainer:
    """Learns lateness at all landmarks from the log of examples."""

    def __init__(self) -> None:
        """Start with an empty log."""
        self.heads = {(landmark, days): Head(landmark, days) for landmark, days in HEADS}
        self.days = {landmark: DaysLearner() for landmark in Landmark}
        self.tally = FirmTally()
        self.watch = DriftWatch()
        self.judge = Judge()
        self.cohorts = PayCohorts()
        self.position = 0
        self.learned = 0
        self.day = 0
        self.trained_ms = 0
        self._waiting: list[Example] = []

    def take(self, example: Example) -> bool:
        """Take the next example of the log; returns whether the day turned, so that new weights should be published."""
        turned = self.turns(example) and self.turn(day_known(example))
        self.day = max(self.day, day_known(example))
        self._waiting.append(example)
        self.position += 1
        return turned

    def turns(self, example: Example) -> bool:
        """Return whether `example` begins a new day. One that comes late waits with the present day's.

        So whatever waits is a whole stretch at the end of the log, and a checkpoint at a turn needs to name one position only.
        """
        return day_known(example) > self.day

    def withdraw(self, client_id: str) -> None:
        """Forget what waits to be learned about a client. What was learned stays: weights hold no client apart."""
        self._waiting = [row for row in self._waiting if row.client_id != client_id]

    def turn(self, day: int) -> bool:
        """Learn what was collected before `day` began; returns whether there was anything."""
        ready = [row for row in self._waiting if day_known(row) < day]
        if not ready:
            return False
        self._waiting = [row for row in self._waiting if day_known(row) >= day]
        for example in examples_in_order(ready):
            self._learn(example)
        self.trained_ms = day * DAY_MS
        return True

    def _learn(self, example: Example) -> None:
        self.learned += 1
        self.cohorts.see(example)
        if not example.over_days:
            if example.days_late is not None:
                self._settled(example, example.days_late)
            return
        if example.over_days == LATE_DAYS[0]:
            day = day_known(example)
            self.tally.see_answer(late=example.late, log_amount=example.log_amount, day=day)
        for asked in example.questions:
            self._answer(example, asked)
        if example.over_days == LATE_DAYS[-1] and example.late:
            for asked in example.questions:
                self.days[Landmark(asked.landmark)].learn_open(unpack(b64decode(asked.features)))

    def _settled(self, example: Example, days_late: int) -> None:
        self.tally.see_settlement(days_late)
        for asked in example.questions:
            self.days[Landmark(asked.landmark)].learn(unpack(b64decode(asked.features)), days_late=days_late)
            if asked.days:
                self.judge.see_range(asked.days[0], asked.days[-1], days_late=days_late)

    def _answer(self, example: Example, asked: Question) -> None:
        head = self.heads.get((Landmark(asked.landmark), example.over_days))
        given = asked.chances[LATE_DAYS.index(example.over_days)] if asked.chances else -1.0
        # A question that was decided when it was put (entered long overdue) teaches nothing.
        if head is None or asked.asked_ms // DAY_MS - example.due_day > example.over_days:
            return
        features = unpack(b64decode(asked.features))
        judged = head.landmark is Landmark.ISSUE and example.over_days == LATE_DAYS[0] and given >= 0
        if judged:
            self.watch.see(given, label=example.late)
        said = head.learn(features, late=example.late, pace=self.watch.pace)
        if judged:
            self.judge.candidate.see(said, late=example.late)
            self.judge.live.see(given, late=example.late)
            self.judge.rules.see(sigmoid(features[_SHARE]), late=example.late)
            if asked.shadow and asked.shadow_version:
                self.judge.see_shadow(asked.shadow_version, asked.shadow[0], live=given, late=example.late)

    def publish(self) -> LatenessWeights:
        """Return the weights as they stand."""
        view = self.tally.view()
        return LatenessWeights(
            version=f"lateness-{TABLE[:4]}.{self.position}",
            trained_ms=self.trained_ms,
            learned=self.learned,
            trust=self.watch.trust,
            lines=tuple(head.line() for head in self.heads.values()),
            ranges=tuple(
                Range(
                    to_line(learner.weights(), landmark=landmark, days=LATE_DAYS[0], seen=learner.line.seen),
                    learner.errors.quantiles(),
                )
                for landmark, learner in self.days.items()
            ),
            firm=FirmFigures(
                view.late_share,
                view.recent_share,
                view.mean_days,
                view.log_amount,
                view.log_amount_spread,
                view.settled,
                view.survival,
                view.first_day,
            ),
        )

    def checkpoint(self) -> Checkpoint:
        """Return everything needed to go on; call it right after `turn`, when nothing is waiting of earlier days."""
        return Checkpoint(
            position=self.position - len(self._waiting),
            learned=self.learned,
            day=self.day,
            trained_ms=self.trained_ms,
            heads=tuple(
                HeadState(
                    int(landmark), days, head.kalman.dump(), head.gradient.dump(), head.recalibration.dump(), head.blend.dump()
                )
                for (landmark, days), head in self.heads.items()
            ),
            days=tuple(DaysState(int(landmark), learner.dump()) for landmark, learner in self.days.items()),
            tally=msgspec.msgpack.encode(self.tally),
            watch=self.watch.dump(),
            judged=msgspec.msgpack.encode(self.judge),
            cohorts=msgspec.msgpack.encode(self.cohorts),
        )

    def save(self) -> bytes:
        """Return the bytes of a checkpoint."""
        return dump(self.checkpoint())

    def release(self) -> tuple[str, bytes]:
        """Return version and bytes of the weights as they stand."""
        weights = self.publish()
        return weights.version, dump(weights)

    @classmethod
    def restore(cls, raw: bytes) -> "LatenessTrainer":
        """Return the trainer that was saved. Raises SnapshotError for what this release cannot go on from."""
        return cls.resume(load(raw, Checkpoint))

    @classmethod
    def resume(cls, checkpoint: Checkpoint) -> "LatenessTrainer":
        """Return a trainer that goes on from `checkpoint`; feed it the log from `position`."""
        trainer = cls()
        trainer.position, trainer.learned = checkpoint.position, checkpoint.learned
        trainer.day, trainer.trained_ms = checkpoint.day, checkpoint.trained_ms
        for row in checkpoint.heads:
            head = trainer.heads[Landmark(row.landmark), row.days]
            head.kalman.load(*row.kalman)
            head.gradient.load(*row.gradient)
            head.recalibration.load(*row.recalibration)
            head.blend.load(row.blend)
        for state in checkpoint.days:
            trainer.days[Landmark(state.landmark)].load(*state.learner)
        trainer.tally = msgspec.msgpack.decode(checkpoint.tally, type=FirmTally)
        trainer.watch = DriftWatch.load(checkpoint.watch)
        if checkpoint.judged:
            trainer.judge = msgspec.msgpack.decode(checkpoint.judged, type=Judge)
        if checkpoint.cohorts:
            trainer.cohorts = msgspec.msgpack.decode(checkpoint.cohorts, type=PayCohorts)
        return trainer

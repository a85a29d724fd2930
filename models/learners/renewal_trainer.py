"""The trainer of the renewal learners: answered periods in log order in, published weights out. One writer, no clock, no dice.

Renewals are few, so every head is one Kalman logistic regression, which has no learning rate to spend labels on. Contract types
share everything but an intercept of their own with a narrow prior: a type of which little is known says what the firm says, and
moves away as its own answers come (the posterior of a two-level model, computed exactly with the rest).
"""

from base64 import b64decode
from math import log
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace

from models.events.envelope import epoch_ms
from models.learners.calibration import Recalibration
from models.learners.chance import sigmoid
from models.learners.cohorts import RenewalCohorts
from models.learners.drift import DriftWatch
from models.learners.expansion import Vector
from models.learners.judging import Judge
from models.learners.kalman import KalmanLinear
from models.learners.renewal_snapshot import (
    Published,
    RenewalCheckpoint,
    RenewalFigures,
    RenewalHeadState,
    RenewalLine,
    RenewalWeights,
    dump_renewal,
    load_renewal_checkpoint,
)
from models.learners.retention import SHRINKAGE, Retention, type_group
from models.renewal_features import (
    RENEWAL_FEATURES,
    RENEWAL_INDEX,
    RENEWAL_TABLE,
    Ending,
    RenewalFamily,
    RenewalLandmark,
    log_price,
    unpack_renewal,
)
from models.state.habits import mark_of
from models.triggers import RenewalExample, RenewalQuestion
from models.workdays import DAY_MS

RENEWAL_HEADS: Final = tuple((ending, landmark) for ending in Ending for landmark in RenewalLandmark)
"""What is asked, and when, of every head."""

SLOTS: Final = 12
"""Contract types with an intercept of their own, in order of first sight; a further type says what the firm says."""

LINES: Final = len(RENEWAL_FEATURES) + 1
WIDTH: Final = LINES + SLOTS

# Where the intercept starts. A raise is asked among the renewed: that a contract is renewed at all is learned from far more
# answers, and the chance of both is the product.
_USUAL: Final = {Ending.RENEWED: 0.8, Ending.RAISED: 0.15, Ending.LEFT: 0.1}
# Variance of a slope: the rarer the answer, the less may be made of it.
_PRIOR: Final = {Ending.RENEWED: 0.2, Ending.RAISED: 0.01, Ending.LEFT: 0.1}
# What may well explain a raise: more work than before, and that they were raised before. Both move little in their units.
_RAISING: Final = {"trend": 0.5, "own_raises": 0.5}
# What is expected of a renewal before the first answer (logit per unit): who pays late, disputes, is asked for more or has less
# work done renews less; who has renewed before renews more. Few answers are enough to overrule it.
_EXPECTED: Final = {
    "tenure": 0.2,
    "renewals": 0.5,
    "own_renewals": 0.2,
    "price_rise": -0.2,
    "late_share": -0.2,
    "late_recent": -0.2,
    "overdue": -0.2,
    "disputes": -0.2,
    "disputed_now": -0.2,
    "declines": -0.2,
    "gap": -0.2,
    "trend": 0.3,
}
_SIGN: Final = {Ending.RENEWED: 1.0, Ending.RAISED: 0.0, Ending.LEFT: -1.0}
_PRIOR_INTERCEPT: Final = 1.0
_PRIOR_SEASON: Final = 0.05  # two days of the year explain little, or everything by accident
_PRIOR_TYPE: Final = 0.2  # half a logit: an unknown type is expected within .11 of the firm's share
_FORGETTING: Final = 0.9998
_RECENT: Final = 0.97  # about the last thirty answers
_SLOWEST: Final = 0.005


def _variances(ending: Ending) -> Vector:
    found = np.full(WIDTH, _PRIOR[ending])
    found[0] = _PRIOR_INTERCEPT
    for place, row in enumerate(RENEWAL_FEATURES, 1):
        if row.family is RenewalFamily.SEASON:
            found[place] = min(_PRIOR_SEASON, _PRIOR[ending])
    found[LINES:] = min(_PRIOR_TYPE, 2 * _PRIOR[ending])
    if ending is Ending.RAISED:
        for name, variance in _RAISING.items():
            found[1 + RENEWAL_INDEX[name]] = variance
    return found


def widened(features: tuple[float, ...], slot: int) -> Vector:
    """Return intercept, features and the slot of the contract type (-1: none) as one vector of `WIDTH` numbers."""
    wide = np.zeros(WIDTH)
    wide[0] = 1.0
    wide[1:LINES] = features
    if slot >= 0:
        wide[LINES + slot] = 1.0
    return wide


class RenewalHead:
    """The learner of one question, and its recalibration."""

    def __init__(self, ending: Ending, landmark: RenewalLandmark) -> None:
        """Start from what is usual, knowing nothing else."""
        self.ending = ending
        self.landmark = landmark
        self.kalman = KalmanLinear(_variances(ending), forgetting=_FORGETTING)
        self.kalman.mean[0] = log(_USUAL[ending] / (1 - _USUAL[ending]))
        for name, weight in _EXPECTED.items():
            self.kalman.mean[1 + RENEWAL_INDEX[name]] = _SIGN[ending] * weight
        if ending is Ending.RAISED:
            self.kalman.mean[1 + RENEWAL_INDEX["trend"]] = _EXPECTED["trend"]
        self.recalibration = Recalibration()
        self.yes = 0

    def learn(self, features: tuple[float, ...], slot: int, *, label: bool, pace: float = 1.0) -> None:
        """Learn one answered question; the recalibration first, from what the learner would say before it learns it."""
        wide = widened(features, slot)
        plain = self.kalman.value(wide)
        self.kalman.learn_label(wide, label=label)
        self.recalibration.learn(plain, label=label, pace=pace)
        self.yes += label

    def chance(self, features: tuple[float, ...], slot: int) -> float:
        """Return the probability, recalibration included."""
        slope, shift = self.recalibration.slope_and_shift
        return sigmoid(slope * self.kalman.value(widened(features, slot)) + shift)

    def line(self, types: int) -> RenewalLine:
        """Return the scoring line with an intercept for each of the `types` seen; the recalibration is multiplied out."""
        slope, shift = self.recalibration.slope_and_shift
        weights = slope * self.kalman.mean
        seen = self.kalman.seen
        return RenewalLine(
            ending=int(self.ending),
            landmark=int(self.landmark),
            seen=seen,
            rarer=min(self.yes, seen - self.yes),
            intercept=float(weights[0]) + shift,
            slopes=tuple(map(float, weights[1:LINES])),
            types=tuple(map(float, weights[LINES : LINES + types])),
        )


class RenewalTally(msgspec.Struct):
    """Running figures of all contracts of one firm."""

    known: int = 0
    renewed: int = 0
    recent_known: float = 0.0
    recent_renewed: float = 0.0
    amounts: int = 0
    log_amount: float = 0.0
    log_square: float = 0.0
    usual: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(RENEWAL_FEATURES))
    asked: int = 0

    def see(self, example: RenewalExample) -> None:
        """Count one answered period."""
        self.known += 1
        self.renewed += example.renewed
        self.recent_known = self.recent_known * _RECENT + 1.0
        self.recent_renewed = self.recent_renewed * _RECENT + example.renewed
        if example.minor:
            self.amounts += 1
            pace = max(_SLOWEST, 1.0 / self.amounts)
            distance = log_price(example.minor, example.currency) - self.log_amount
            self.log_amount += pace * distance
            self.log_square += pace * (distance * distance - self.log_square)

    def see_question(self, features: tuple[float, ...]) -> None:
        """Take one vector into the running mean of all."""
        self.asked += 1
        pace = max(_SLOWEST, 1.0 / self.asked)
        self.usual = [mean + pace * (value - mean) for mean, value in zip(self.usual, features, strict=True)]

    def figures(self) -> RenewalFigures:
        """Return the figures as features use them."""
        usual = _USUAL[Ending.RENEWED]
        share = (self.renewed + SHRINKAGE * usual) / (self.known + SHRINKAGE)
        recent = (self.recent_renewed + SHRINKAGE * share) / (self.recent_known + SHRINKAGE)
        figures = RenewalFigures(share, recent, usual=tuple(self.usual))
        if not self.amounts:
            return figures
        return replace(figures, log_amount=self.log_amount, log_amount_spread=max(self.log_square, 0.0) ** 0.5)


class RenewalTrainer:
    """Learns renewals, raises and departures at all landmarks from the log of examples."""

    def __init__(self) -> None:
        """Start with an empty log."""
        self.heads = {(ending, landmark): RenewalHead(ending, landmark) for ending, landmark in RENEWAL_HEADS}
        self.tally = RenewalTally()
        self.retention = Retention()
        self.watch = DriftWatch()
        self.judge = Judge()
        self.cohorts = RenewalCohorts()
        self.types: list[str] = []
        self.position = 0
        self.learned = 0
        self.day = 0
        self.trained_ms = 0
        self._waiting: list[RenewalExample] = []

    def take(self, example: RenewalExample) -> bool:
        """Take the next example of the log; returns whether the day turned, so that new weights should be published."""
        day = renewal_day(example)
        turned = day > self.day and self.turn(day)
        self.day = max(self.day, day)
        self._waiting.append(example)
        self.position += 1
        return turned

    def withdraw(self, client_id: str) -> None:
        """Forget what waits to be learned about a client. What was learned stays: weights hold no client apart."""
        self._waiting = [row for row in self._waiting if row.client_id != client_id]

    def turn(self, day: int) -> bool:
        """Learn what was collected before `day` began; returns whether there was anything."""
        ready = [row for row in self._waiting if renewal_day(row) < day]
        if not ready:
            return False
        self._waiting = [row for row in self._waiting if renewal_day(row) >= day]
        for example in sorted(ready, key=_shuffled):
            self._learn(example)
        self.watch.turn()
        self.trained_ms = day * DAY_MS
        return True

    def _learn(self, example: RenewalExample) -> None:
        self.learned += 1
        slot = self._slot(example.contract_type)
        labels = {Ending.RENEWED: example.renewed, Ending.RAISED: example.raised, Ending.LEFT: example.left}
        for asked in example.questions:
            features = unpack_renewal(b64decode(asked.features))
            self._watch(asked, renewed=example.renewed)
            if asked is example.questions[-1]:
                self._judge(example, asked, features, slot)
            for ending, label in labels.items():
                if ending is Ending.RAISED and not example.renewed:
                    continue
                self.heads[ending, RenewalLandmark(asked.landmark)].learn(features, slot, label=label, pace=self.watch.pace)
            self.tally.see_question(features)
        self.tally.see(example)
        self.retention.see(example)
        self.cohorts.see(example)

    def _watch(self, asked: RenewalQuestion, *, renewed: bool) -> None:
        given = asked.chances[Ending.RENEWED] if asked.chances else -1.0
        if asked.landmark == RenewalLandmark.FORTNIGHT and given >= 0:
            self.watch.see(given, label=renewed)

    def _judge(self, example: RenewalExample, asked: RenewalQuestion, features: tuple[float, ...], slot: int) -> None:
        """Judge the last answer that was given before the renewal date, and do so before it is learned."""
        judge, renewed = self.judge, example.renewed
        judge.candidate.see(self.heads[Ending.RENEWED, RenewalLandmark(asked.landmark)].chance(features, slot), late=renewed)
        judge.rules.see(self._usual(example.contract_type), late=renewed)
        given = asked.chances[Ending.RENEWED] if asked.chances else -1.0
        if given < 0:
            return
        judge.live.see(given, late=renewed)
        if asked.shadow and asked.shadow_version and asked.shadow[Ending.RENEWED] >= 0:
            judge.see_shadow(asked.shadow_version, asked.shadow[Ending.RENEWED], live=given, late=renewed)

    def _usual(self, contract_type: str) -> float:
        """Return what plain rules would say: the share renewed of the contract type, shrunk to the firm's."""
        firm = self.tally.figures().renewed_share
        seen = self.retention.ages.get(type_group(contract_type))
        if seen is None:
            return firm
        return (sum(seen.renewed) + SHRINKAGE * firm) / (sum(seen.known) + SHRINKAGE)

    def _slot(self, contract_type: str) -> int:
        if contract_type in self.types:
            return self.types.index(contract_type)
        if len(self.types) >= SLOTS:
            return -1
        self.types.append(contract_type)
        return len(self.types) - 1

    def publish(self) -> RenewalWeights:
        """Return the weights as they stand."""
        return RenewalWeights(
            version=f"renewal-{RENEWAL_TABLE[:4]}.{self.position}",
            trained_ms=self.trained_ms,
            learned=self.learned,
            trust=self.watch.trust,
            types=tuple(self.types),
            lines=tuple(head.line(len(self.types)) for head in self.heads.values()),
            firm=self.tally.figures(),
            retention=Published.of(self.retention),
        )

    def checkpoint(self) -> RenewalCheckpoint:
        """Return everything needed to go on; call it right after `turn`, when nothing is waiting of earlier days."""
        return RenewalCheckpoint(
            position=self.position - len(self._waiting),
            learned=self.learned,
            day=self.day,
            trained_ms=self.trained_ms,
            types=tuple(self.types),
            heads=tuple(
                RenewalHeadState(int(ending), int(landmark), head.yes, head.kalman.dump(), head.recalibration.dump())
                for (ending, landmark), head in self.heads.items()
            ),
            tally=msgspec.msgpack.encode(self.tally),
            retention=msgspec.msgpack.encode(self.retention),
            watch=self.watch.dump(),
            judged=msgspec.msgpack.encode(self.judge),
            cohorts=msgspec.msgpack.encode(self.cohorts),
        )

    def save(self) -> bytes:
        """Return the bytes of a checkpoint."""
        return dump_renewal(self.checkpoint())

    def release(self) -> tuple[str, bytes]:
        """Return version and bytes of the weights as they stand."""
        weights = self.publish()
        return weights.version, dump_renewal(weights)

    @classmethod
    def restore(cls, raw: bytes) -> "RenewalTrainer":
        """Return the trainer that was saved. Raises SnapshotError for what this release cannot go on from."""
        return cls.resume(load_renewal_checkpoint(raw))

    @classmethod
    def resume(cls, checkpoint: RenewalCheckpoint) -> "RenewalTrainer":
        """Return a trainer that goes on from `checkpoint`; feed it the log from `position`."""
        trainer = cls()
        trainer.position, trainer.learned = checkpoint.position, checkpoint.learned
        trainer.day, trainer.trained_ms = checkpoint.day, checkpoint.trained_ms
        trainer.types = list(checkpoint.types)
        for row in checkpoint.heads:
            head = trainer.heads[Ending(row.ending), RenewalLandmark(row.landmark)]
            head.yes = row.yes
            head.kalman.load(*row.kalman)
            head.recalibration.load(*row.recalibration)
        trainer.tally = msgspec.msgpack.decode(checkpoint.tally, type=RenewalTally)
        trainer.retention = msgspec.msgpack.decode(checkpoint.retention, type=Retention)
        trainer.watch = DriftWatch.load(checkpoint.watch)
        if checkpoint.judged:
            trainer.judge = msgspec.msgpack.decode(checkpoint.judged, type=Judge)
        if checkpoint.cohorts:
            trainer.cohorts = msgspec.msgpack.decode(checkpoint.cohorts, type=RenewalCohorts)
        return trainer


def renewal_day(example: RenewalExample) -> int:
    """Return the day (since 1970-01-01 UTC) on which the answer became known."""
    return epoch_ms(example.decided_at) // DAY_MS


def _shuffled(example: RenewalExample) -> tuple[int, int]:
    # As with invoices: the order of a source may encode the outcome, a hash of day and contract does not.
    day = renewal_day(example)
    return day, mark_of(f"{day}:{example.client_id}:{example.contract_id}:{example.renews_day}")

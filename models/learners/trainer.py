"""The trainer of the lateness learners: examples in log order in, published weights out. One writer, no clock, no dice.

A day's examples are collected and learned together at the turn of the day, in an order that a hash decides; then new weights are
published. Every worker scores a whole day alike.
"""

from base64 import b64decode
from typing import Final

import msgspec

from models.features import INDEX, LATE_DAYS, TABLE, Landmark, is_first, unpack
from models.learners.chance import sigmoid
from models.learners.cohorts import PayCohorts
from models.learners.days import DaysLearner
from models.learners.drift import DriftWatch
from models.learners.firm import FirmTally
from models.learners.firsts import Firsts
from models.learners.head import Head, to_line
from models.learners.judging import Judge
from models.learners.prior import HEADS, days_means, prior_means
from models.learners.questions import day_known, examples_in_order
from models.learners.snapshot import (
    Checkpoint,
    DaysState,
    FirmFigures,
    FirstInvoices,
    HeadState,
    LatenessWeights,
    Range,
    TreesState,
    dump,
    load,
)
from models.learners.trees import TreesLearner
from models.state.habits import mark_of
from models.triggers import Example, Question
from models.workdays import DAY_MS

_SHARE: Final = INDEX[f"still_open_{LATE_DAYS[0]}"]
_ANSWERED: Final = LATE_DAYS[-1] + 1  # days after due on which the last answer is known: paid, or open for longer


class LatenessTrainer:
    """Learns lateness at all landmarks from the log of examples."""

    def __init__(self) -> None:
        """Start with an empty log, from what holds for other firms."""
        means = prior_means()
        self.trees = {landmark: TreesLearner(landmark) for landmark in Landmark}
        self.firsts = TreesLearner(Landmark.ISSUE)
        self.heads = {
            (landmark, days): Head(
                landmark,
                days,
                self.trees[landmark],
                prior=means[landmark, days],
                firsts=Firsts(self.firsts) if landmark is Landmark.ISSUE else None,
            )
            for landmark, days in HEADS
        }
        self.days = {landmark: DaysLearner(self.trees[landmark], mean) for landmark, mean in days_means().items()}
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
        """Forget what waits to be learned about a client, and its questions among those that trees are grown from.

        What was learned stays: weights hold no client apart.
        """
        self._waiting = [row for row in self._waiting if row.client_id != client_id]
        for learner in self._every_trees():
            learner.window.forget(mark_of(client_id))

    def turn(self, day: int) -> bool:
        """Learn what was collected before `day` began; returns whether there was anything."""
        ready = [row for row in self._waiting if day_known(row) < day]
        if not ready:
            return False
        self._waiting = [row for row in self._waiting if day_known(row) >= day]
        known = max(map(day_known, ready)) - self.tally.first_day
        for learner in self.trees.values():
            learner.window.widen(days=known)
        for head in self.heads.values():
            head.turn()
        for days in self.days.values():
            days.turn()
        for example in examples_in_order(ready):
            self._learn(example)
        self.watch.turn()
        for learner in self._every_trees():
            learner.grow_if_due()
        self.trained_ms = day * DAY_MS
        return True

    def _every_trees(self) -> tuple[TreesLearner, ...]:
        return (*self.trees.values(), self.firsts)

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
        else:
            self.tally.see_longer(place=LATE_DAYS.index(example.over_days) - 1, late=example.late)
        for asked in example.questions:
            # A question that was decided when it was put (entered long overdue) teaches nothing.
            if _overdue(example, asked) <= example.over_days:
                self._answer(example, asked)
                if example.late:
                    self._open(example, asked)
        if example.over_days == LATE_DAYS[-1]:
            self._ended(example)

    def _open(self, example: Example, asked: Question) -> None:
        """Learn that an invoice is still open when its grace has passed, so that a range is not learned from the prompt alone."""
        before = _open_at(example, asked, by=example.over_days)
        values = unpack(b64decode(asked.features))
        self.days[Landmark(asked.landmark)].learn_open(values, open_days=example.over_days + 1, before=before)

    def _ended(self, example: Example) -> None:
        """Note the last answer about an invoice: whatever is asked about it is known now."""
        mark = mark_of(example.client_id)
        for asked in example.questions:
            landmark, features = Landmark(asked.landmark), b64decode(asked.features)
            values = unpack(features)
            overdue = _overdue(example, asked)
            late = None if example.late else example.days_late
            if example.late and asked.days and asked.days[-1] < _ANSWERED:
                self.judge.see_range(asked.days[0], asked.days[-1], days_late=_ANSWERED)
            self.trees[landmark].window.see(features, overdue=overdue, days_late=late, mark=mark)
            if landmark is Landmark.ISSUE and is_first(values):
                self.firsts.window.see(features, overdue=overdue, days_late=late, mark=mark)

    def _settled(self, example: Example, days_late: int) -> None:
        self.tally.see_settlement(days_late)
        mark = mark_of(example.client_id)
        for asked in example.questions:
            landmark, features = Landmark(asked.landmark), b64decode(asked.features)
            open_days = _open_at(example, asked, by=day_known(example) - example.due_day)
            self.days[landmark].learn(unpack(features), days_late=days_late, open_days=open_days)
            if days_late > LATE_DAYS[-1]:
                self.trees[landmark].window.settle(features, days_late=days_late, mark=mark)
            # A range that had ended when the last answer found the invoice open was counted then.
            if asked.days and (days_late < _ANSWERED or asked.days[-1] >= _ANSWERED):
                self.judge.see_range(asked.days[0], asked.days[-1], days_late=days_late)

    def _answer(self, example: Example, asked: Question) -> None:
        head = self.heads.get((Landmark(asked.landmark), example.over_days))
        given = asked.chances[LATE_DAYS.index(example.over_days)] if asked.chances else -1.0
        if head is None:
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
                    to_line(
                        learner.weights(), landmark=landmark, days=LATE_DAYS[0], seen=learner.line.seen, trees=learner.leaned
                    ),
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
                view.late_beyond,
            ),
            forests=tuple(learner.forest for learner in self.trees.values() if learner.forest is not None),
            firsts=self._first_invoices(),
        )

    def _first_invoices(self) -> FirstInvoices | None:
        if self.firsts.forest is None:
            return None
        shares = tuple(head.firsts.share for head in self.heads.values() if head.firsts is not None)
        # Their days are not asked: hardly anything tells a stranger's day from the firm's.
        forest = msgspec.structs.replace(self.firsts.forest, days=b"", days_places=b"", days_points=b"")
        return FirstInvoices(forest, shares)

    def checkpoint(self) -> Checkpoint:
        """Return everything needed to go on; call it right after `turn`, when nothing is waiting of earlier days."""
        return Checkpoint(
            position=self.position - len(self._waiting),
            learned=self.learned,
            day=self.day,
            trained_ms=self.trained_ms,
            heads=tuple(
                HeadState(
                    int(landmark),
                    days,
                    head.kalman.dump(),
                    head.gradient.dump(),
                    head.recalibration.dump(),
                    head.blend.dump(),
                    head.leaning.dump(),
                    () if head.firsts is None else head.firsts.dump(),
                )
                for (landmark, days), head in self.heads.items()
            ),
            days=tuple(DaysState(int(landmark), learner.dump()) for landmark, learner in self.days.items()),
            tally=msgspec.msgpack.encode(self.tally),
            watch=self.watch.dump(),
            judged=msgspec.msgpack.encode(self.judge),
            cohorts=msgspec.msgpack.encode(self.cohorts),
            trees=tuple(TreesState(int(landmark), learner.dump()) for landmark, learner in self.trees.items()),
            firsts=TreesState(int(Landmark.ISSUE), self.firsts.dump()),
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
            head.leaning.load(row.leaning)
            if head.firsts is not None:
                head.firsts.load(row.firsts)
        for grown in checkpoint.trees:
            trainer.trees[Landmark(grown.landmark)].load(*grown.learner)
        if checkpoint.firsts is not None:
            trainer.firsts.load(*checkpoint.firsts.learner)
        for state in checkpoint.days:
            trainer.days[Landmark(state.landmark)].load(*state.learner)
        trainer.tally = msgspec.msgpack.decode(checkpoint.tally, type=FirmTally)
        trainer.watch = DriftWatch.load(checkpoint.watch)
        if checkpoint.judged:
            trainer.judge = msgspec.msgpack.decode(checkpoint.judged, type=Judge)
        if checkpoint.cohorts:
            trainer.cohorts = msgspec.msgpack.decode(checkpoint.cohorts, type=PayCohorts)
        return trainer


def _overdue(example: Example, asked: Question) -> int:
    """Return how many days past due an invoice was when the question was put; negative before."""
    return asked.asked_ms // DAY_MS - example.due_day


def _open_at(example: Example, asked: Question, *, by: int) -> int | None:
    """Return after how many days past due it was last learned, before day `by`, that an invoice was open; None: not yet."""
    since = _overdue(example, asked)
    return max((days + 1 for days in LATE_DAYS if since <= days < by), default=None)

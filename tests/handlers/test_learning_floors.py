"""Floors under what the lateness learners must reach on small made-up firms; learners broken on purpose fall through them."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pytest

from handlers.commands.book.plan import Asked
from handlers.commands.held_history import hold_history
from handlers.evaluation.answers import answers_of, client_share, settlements_of
from handlers.evaluation.judging import judge_days, judge_heads
from handlers.evaluation.kept import Kept, Put
from handlers.evaluation.metrics import auc, log_loss
from handlers.evaluation.telling import Telling
from models.features import LATE_DAYS, Landmark, unpack
from models.learners.lateness import LatenessScorer
from models.learners.pay_range import LEVELS
from models.learners.questions import day_known
from models.learners.scorer import PER_CHANCE, PER_DAY
from models.learners.trainer import LatenessTrainer
from models.triggers import Example
from models.workdays import DAY_MS
from tests.histories.books import DIALECTS, write_dialect
from tests.histories.firms import FIRMS

BILLS: Final = 180
LEARNED: Final = 0.3  # of the questions pass before figures are taken
MONTH: Final = 30
BEFORE_DUE: Final = (Landmark.ISSUE, Landmark.WEEK_BEFORE, Landmark.DAYS_BEFORE, Landmark.DUE)


class Recorder(LatenessTrainer):
    """The shipped trainer, which also keeps the log it learns from."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Example] = []

    def take(self, example: Example) -> bool:
        self.log.append(example)
        return super().take(example)


@lru_cache
def lived(firm: str, seed: int) -> tuple[Example, ...]:
    """Return the log of examples of a firm that the shipped code lived through."""
    telling, recorder = Telling(), Recorder()
    telling.trainer = recorder
    with TemporaryDirectory() as folder:
        path = write_dialect(Path(folder) / "book.csv", FIRMS[firm](seed, BILLS), DIALECTS["german"])
        telling.tell(hold_history(path, asked=Asked())[0])
    return tuple(recorder.log)


def kept(log: Sequence[Example]) -> Kept:
    found = Kept()
    for row in log:
        found.take(row)
    return found


def broken_floors(examples: Kept) -> set[str]:
    """Return the floors that the predictions stored with the questions do not reach."""
    ours, shares, truth = [], [], []
    for landmark in BEFORE_DUE:
        answers = answers_of(examples, landmark, LATE_DAYS[0])
        tail = slice(int(LEARNED * len(answers.labels)), None)
        ours.append(answers.chances[tail])
        shares.append(client_share(examples, answers)[tail])
        truth.append(answers.labels[tail])
    said, share, labels = np.concatenate(ours), np.concatenate(shares), np.concatenate(truth)
    days = settlements_of(examples)
    held = (days.truth >= np.floor(days.predicted[:, 0])) & (days.truth <= np.ceil(days.predicted[:, -1]))
    coverage = held[days.decided][int(LEARNED * days.decided.sum()) :].mean()
    found = {
        "ranking": auc(said, labels) < auc(share, labels) + 0.06,
        "log loss": log_loss(said, labels) >= log_loss(share, labels) - 0.04,
        "range too narrow": coverage < 0.80,
        "range too wide": coverage > 0.97,
    }
    return {name for name, is_broken in found.items() if is_broken}


@pytest.mark.parametrize(
    ("firm", "seed"), [("weekly_runs", 1), ("weekly_runs", 2), ("month_end", 2), ("month_end", 3), ("moody", 4), ("moody", 5)]
)
def test_a_small_firm_is_foretold_better_than_by_its_clients_shares_and_ranges_hold(firm: str, seed: int) -> None:
    assert broken_floors(kept(lived(firm, seed))) == set()


def answered_by(trainer: LatenessTrainer, log: Sequence[Example]) -> Kept:
    """Return what `trainer` would have said to the same questions, had it published once a month."""
    asked: defaultdict[int, dict[tuple[str, int], Put]] = defaultdict(dict)
    due = {row.invoice_id: row.due_day for row in log}
    for row in kept(log):
        for put in row.questions:
            asked[put.asked_ms // DAY_MS][row.invoice_id, put.landmark] = put
    said: dict[tuple[str, int], Put] = {}
    scorer, waiting = LatenessScorer(trainer.publish()), deque(log)
    published = 0
    for day in sorted(asked):
        while waiting and day_known(waiting[0]) < day:
            trainer.take(waiting.popleft())
        if day >= published + MONTH and trainer.turn(day):
            scorer, published = LatenessScorer(trainer.publish()), day
        for key, put in asked[day].items():
            said[key] = _answer(scorer, put, overdue=day - due[key[0]])
    answers = kept(log)
    return Kept(replace(row, questions=tuple(said[row.invoice_id, put.landmark] for put in row.questions)) for row in answers)


def _answer(scorer: LatenessScorer, put: Put, *, overdue: int) -> Put:
    features, landmark = unpack(put.features), Landmark(put.landmark)
    chances = scorer.chances(features, landmark=landmark, overdue=overdue)
    days = scorer.days(features, landmark=landmark, overdue=overdue)
    return replace(
        put,
        chances=tuple(part / PER_CHANCE if part >= 0 else -1.0 for part in chances),
        days=tuple(part / PER_DAY for part in days),
    )


class Blank(LatenessTrainer):
    """Begins from weights of zero, as if no firm had ever been seen."""

    def __init__(self) -> None:
        super().__init__()
        for head in self.heads.values():
            head.kalman.mean[:] = head.gradient.weights[:] = 0.0


def first_loss(examples: Kept) -> float:
    """Return the log loss of the first third of what was asked before due."""
    said, labels = [], []
    for landmark in BEFORE_DUE:
        answers = answers_of(examples, landmark, LATE_DAYS[0])
        first = slice(len(answers.labels) // 3)
        said.append(answers.chances[first])
        labels.append(answers.labels[first])
    return log_loss(np.concatenate(said), np.concatenate(labels))


@pytest.mark.parametrize(("firm", "seed"), [("weekly_runs", 1), ("moody", 4)])
def test_the_first_answers_of_a_firm_are_foretold_better_from_what_holds_for_others(firm: str, seed: int) -> None:
    log = lived(firm, seed)
    assert first_loss(answered_by(LatenessTrainer(), log)) < first_loss(answered_by(Blank(), log)) - 0.01


class OthersFeatures(LatenessTrainer):
    """Learns each answer with the features of another invoice: a table whose rows were shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[int, str] = {}

    def take(self, example: Example) -> bool:
        turned = []
        for put in example.questions:
            turned.append(put.model_copy(update={"features": self._last.get(put.landmark, put.features)}))
            self._last[put.landmark] = put.features
        return super().take(example.model_copy(update={"questions": tuple(turned)}))


class LateAnswers(LatenessTrainer):
    """Hears each answer two years after it was known."""

    def turn(self, day: int) -> bool:
        return super().turn(day - 730)


class OthersAnswers(LatenessTrainer):
    """Learns each question with the answer to the one before it."""

    def __init__(self) -> None:
        super().__init__()
        self._late = False

    def take(self, example: Example) -> bool:
        late, self._late = self._late, example.late
        return super().take(example.model_copy(update={"late": late}))


def stretched(examples: Kept, by: float) -> Kept:
    """Return the examples with promised ranges `by` times as wide around their middle."""

    def wider(put: Put) -> Put:
        middle = put.days[LEVELS.index(0.5)]
        return replace(put, days=tuple(middle + by * (day - middle) for day in put.days))

    return Kept(replace(row, questions=tuple(map(wider, row.questions))) for row in examples)


def test_what_is_answered_again_by_whole_learners_reaches_all_floors() -> None:
    assert broken_floors(answered_by(LatenessTrainer(), lived("weekly_runs", 2))) == set()


def test_the_batch_twins_are_refit_on_what_was_known_and_our_fold_is_held_against_them() -> None:
    examples = kept(lived("weekly_runs", 2))
    done: dict[str | None, float] = {}

    def count(things: float = 1, *, words: str | None = None) -> None:
        done[words] = done.get(words, 0) + things

    at_issue = next(judge_heads(examples, twins=True, count=count))
    rows = {row.predictor: row for row in at_issue.rows}
    assert set(rows) == {"Rapport", "client's shrunk share", "river, online", "logistic regression monthly", "LightGBM monthly"}
    assert done[None] == pytest.approx(3 * len(examples.about(5)))  # once for each of the others that learn
    assert "refitting LightGBM: more than 5 days, at issue" in done
    ours, *_, linear, trees = at_issue.rows
    # Both learned, or there would be nothing to be held against; on few bills ours is ahead of one and not far from the other.
    assert min(linear.auc, trees.auc) > 0.8
    assert ours.log_loss < linear.log_loss
    assert ours.log_loss < trees.log_loss + 0.05
    days = judge_days(examples, twins=True, count=count)
    assert days is not None
    assert list(days.errors) == [
        "Rapport",
        "client's median of 12",
        "river, online (absolute error)",
        "LightGBM (absolute error) monthly",
    ]
    assert days.errors["Rapport"] < days.errors["client's median of 12"]


@pytest.mark.parametrize(
    ("broken", "floor"), [(OthersFeatures, "ranking"), (OthersAnswers, "ranking"), (LateAnswers, "log loss")]
)
def test_learners_that_are_broken_on_purpose_fall_through_a_floor(broken: Callable[[], LatenessTrainer], floor: str) -> None:
    assert floor in broken_floors(answered_by(broken(), lived("weekly_runs", 2)))


def test_ranges_of_another_width_than_was_learned_fall_through_a_floor() -> None:
    examples = kept(lived("weekly_runs", 2))
    assert broken_floors(stretched(examples, 6.0)) == {"range too wide"}
    assert broken_floors(stretched(examples, 0.2)) == {"range too narrow"}

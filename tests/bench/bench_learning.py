"""What learning costs: a question with its features, an example, a snapshot both ways, activation. Prints, asserts nothing."""

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from typing import Final

from models.events.control import LearnerActivated
from models.events.envelope import epoch_ms
from models.events.union import AnyEvent
from models.features import LATE_DAYS, Landmark, lateness_features, unpack
from models.learners.activation import LATENESS
from models.learners.baseline import BASELINE
from models.learners.boosting import grow
from models.learners.explanation import explain
from models.learners.forest import opened
from models.learners.lateness import LatenessScorer, compiled
from models.learners.snapshot import Checkpoint, LatenessWeights, dump, load
from models.learners.trainer import LatenessTrainer
from models.learners.trees import OF_MANY
from models.learners.window import LARGEST, SIZE, Window
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.transition import transition
from models.triggers import Example
from streams.engine.program import ClientProgram
from streams.runtime.clock import monotonic
from streams.wire.codec import decode_event, encode_event
from tests.models.builders import START, Events
from tests.models.examples import example

ROUNDS: Final = 2_000
BATCHES: Final = 5
EXAMPLES: Final = 800


def best_us(work: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """Return microseconds per call, the best of some batches: what the machine can do when nobody disturbs it."""
    best = float("inf")
    for _ in range(BATCHES):
        start = monotonic()
        for _ in range(rounds):
            work()
        best = min(best, (monotonic() - start) / rounds)
    return best * 1e6


def client() -> ClientState:
    """Return a client with two years of monthly invoices, two of them open."""
    build = Events()
    events: list[AnyEvent] = []
    for month in range(24):
        events.append(build.issued(month * 30, f"I{month}", 100_000, due=month * 30 + 30))
        if month < 22:
            events.append(build.paid(month * 30 + 33, f"P{month}", 100_000, f"I{month}"))
    state: ClientState | None = None
    for event in sorted(events, key=lambda row: epoch_ms(row.occurred_at)):
        state = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
    if state is None:
        message = "a client without events"
        raise ValueError(message)
    return state


def on_the_due_date(number: int, *, over_days: int = LATE_DAYS[0]) -> Example:
    """Return an answered question that was put on the due date."""
    row = example(number, over_days=over_days)
    return row.model_copy(update={"questions": (row.questions[0].model_copy(update={"landmark": int(Landmark.DUE)}),)})


@cache
def _log(count: int) -> tuple[Example, ...]:
    return tuple(on_the_due_date(number, over_days=days) for number in range(count) for days in LATE_DAYS)


def with_trees(count: int) -> LatenessTrainer:
    """Return a trainer that has learned all answers about `count` invoices."""
    trainer = LatenessTrainer()
    for one in _log(count):
        trainer.take(one)
    trainer.turn(trainer.day + 1)
    return trainer


def wide_window() -> Window:
    """Return a window as a firm has it that answers much: full of coarse rows."""
    window = Window()
    for number in range(LARGEST):
        if number % SIZE == 0:
            window.widen(1)
        asked = example(number).questions[0]
        window.see(b64decode(asked.features), overdue=0, days_late=number % 40, mark=number % 50)
    return window


def test_what_learning_costs() -> None:
    trainer = with_trees(EXAMPLES)
    weights, checkpoint = trainer.publish(), trainer.checkpoint()
    scorer = LatenessScorer(weights)
    state = client()
    row, now = state.ledger.invoices[-1], state.now_ms
    asked = scorer.assess(state, row, now_ms=now, seen_ms=now, landmark=Landmark.DUE)
    features, overdue = unpack(asked.features), -1
    raw, kept = dump(weights), dump(checkpoint)
    forest = next(opened(one) for one in weights.forests if one.landmark == Landmark.DUE)
    line = next(compiled(one, forest[0]) for one in weights.lines if (one.landmark, one.days) == (Landmark.DUE, 5))
    window = trainer.trees[Landmark.DUE].window.arrays()
    examples = [on_the_due_date(number) for number in range(EXAMPLES, EXAMPLES + 400)]
    grown = next(one for one in weights.forests if one.landmark == Landmark.DUE)
    wide = wide_window()
    of_many, under = wide.arrays(), wide.under()
    packed = b64decode(examples[0].questions[0].features)

    def features_alone() -> object:
        return lateness_features(state, row, now_ms=now, seen_ms=now, landmark=Landmark.DUE, firm=scorer.firm)

    def learn() -> None:
        fresh = LatenessTrainer.resume(checkpoint)
        for one in examples:
            fresh.take(one)
        fresh.turn(fresh.day + 1)

    resume = best_us(lambda: LatenessTrainer.resume(checkpoint), rounds=5)
    report = (
        ("features of one question", best_us(features_alone), "us"),
        ("one chance from features", best_us(lambda: line.chance(features)), "us"),
        ("features, one chance", best_us(lambda: line.chance(tuple(features_alone()))), "us"),  # type: ignore[arg-type]
        ("three chances", best_us(lambda: scorer.chances(features, landmark=Landmark.DUE, overdue=overdue)), "us"),
        (
            "whole question: features, three chances, days, packing",
            best_us(lambda: scorer.assess(state, row, now_ms=now, seen_ms=now, landmark=Landmark.DUE)),
            "us",
        ),
        ("reasons in words", best_us(lambda: explain(line, features, state)), "us"),
        ("learn one example", (best_us(learn, rounds=2) - resume) / len(examples), "us"),
        (
            "learn one example from the first on, growing trees included",
            best_us(lambda: with_trees(EXAMPLES), rounds=1) / (EXAMPLES * len(LATE_DAYS)),
            "us",
        ),
        (
            f"grow the first trees of a landmark from {len(window[0])} questions",
            best_us(lambda: grow(Landmark.DUE, *window), rounds=2),
            "us",
        ),
        ("grow them again, half of them new", best_us(lambda: grow(Landmark.DUE, *window, standing=grown), rounds=2), "us"),
        (
            f"the same from {LARGEST:,} coarse rows, each {OF_MANY:,} answers",
            best_us(lambda: grow(Landmark.DUE, *of_many, standing=grown, under=under), rounds=2),
            "us",
        ),
        ("take one row into a wide window", best_us(lambda: wide.see(packed, overdue=0, days_late=0, mark=1)), "us"),
        ("dump weights", best_us(lambda: dump(weights), rounds=50), "us"),
        ("load weights", best_us(lambda: load(raw, LatenessWeights), rounds=50), "us"),
        ("activation: load, compile, first score", best_us(lambda: _activate(raw, features), rounds=50), "us"),
        ("activation through the log, per partition", best_us(lambda: _in_force(raw, weights.version, state), rounds=20), "us"),
        ("a batch's look at an unchanged regime", best_us(_look_again(raw, weights.version)), "us"),
        ("publish weights and checkpoint, both sealed", best_us(lambda: _harvest(trainer), rounds=5), "us"),
        ("weights", len(raw) / 1024, "KiB"),
        ("checkpoint", len(kept) / 1024, "KiB"),
        ("load checkpoint", best_us(lambda: load(kept, Checkpoint), rounds=5), "us"),
    )
    for name, value, unit in report:
        sys.stdout.write(f"\n{name:60} {value:10.1f} {unit}")
    sys.stdout.write("\n")


def _activated(raw: bytes, version: str) -> bytes:
    event = LearnerActivated(
        event_id="bench",
        source="bench",
        occurred_at=START,
        author="bench",
        reason="bench",
        learner=LATENESS,
        version=version,
        snapshot=b64encode(raw).decode(),
    )
    return encode_event(event)


def _in_force(raw: bytes, version: str, state: ClientState) -> object:
    """From the record as it stands on the log: decode, check, fold into the regime, bind, put the first question."""
    event = decode_event(_activated(raw, version))
    assert isinstance(event, LearnerActivated)
    program = ClientProgram()
    bound = program.under(program.govern(b"", event))
    row, now = state.ledger.invoices[-1], state.now_ms
    return bound.scorer.assess(state, row, now_ms=now, seen_ms=now, landmark=Landmark.DUE)


def _look_again(raw: bytes, version: str) -> Callable[[], object]:
    event = decode_event(_activated(raw, version))
    assert isinstance(event, LearnerActivated)
    program = ClientProgram()
    blob = program.govern(b"", event)
    program.under(blob)
    return lambda: program.under(blob)


def _harvest(trainer: LatenessTrainer) -> object:
    return dump(trainer.publish()), dump(trainer.checkpoint())


def _activate(raw: bytes, features: tuple[float, ...]) -> object:
    return LatenessScorer(load(raw, LatenessWeights)).chances(features, landmark=Landmark.DUE, overdue=-1)

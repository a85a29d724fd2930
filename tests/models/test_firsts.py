"""Trees of their own for first invoices: who hears them, what they change, how they travel and how they are told."""

from base64 import b64decode
from functools import lru_cache
from hashlib import blake2b
from itertools import product

import msgspec
import pytest
from msgspec.structs import replace as restruct

from models.features import INDEX, LATE_DAYS, Landmark, unpack
from models.learners.explanation import contributions
from models.learners.forest import opened
from models.learners.lateness import LatenessScorer, compiled, of_firsts
from models.learners.snapshot import Checkpoint, LatenessWeights, SnapshotError, dump, load
from models.learners.trainer import LatenessTrainer
from models.state.habits import mark_of
from models.triggers import Example
from tests.models.examples import example, noise, with_features


def turned(number: int) -> Example:
    """Return an answered question: of first invoices the large ones on short terms are late, of others none of those."""
    first, large, short = (noise("turned", name, number) > 0.5 for name in "fls")
    row = with_features(
        example(number), no_outcome=float(first), amount_firm=1.0 if large else -1.0, terms=-1.0 if short else 1.0
    )
    late = (large and short) if first else not (large and short)
    return row.model_copy(update={"late": late, "days_late": 60 if late else 0})


def taught(count: int) -> LatenessTrainer:
    trainer = LatenessTrainer()
    for number in range(count):
        trainer.take(turned(number))
        for days in LATE_DAYS[1:]:
            trainer.take(turned(number).model_copy(update={"over_days": days}))
    trainer.turn(trainer.day + 1)
    return trainer


@lru_cache(1)
def known() -> LatenessTrainer:
    """Return a trainer with trees of both kinds, which no test changes."""
    return taught(420)


def values_of(number: int, **named: float) -> tuple[float, ...]:
    return unpack(b64decode(with_features(turned(number), **named).questions[0].features))


def test_trees_of_first_invoices_are_heard_about_those_alone_and_as_the_head_hears_them() -> None:
    trainer = known()
    weights = load(dump(trainer.publish()), LatenessWeights)
    with_, without = LatenessScorer(weights), LatenessScorer(restruct(weights, firsts=None))
    head = trainer.heads[Landmark.ISSUE, 5]
    for landmark, first, size in product(Landmark, (0.0, 1.0), (-1.0, 1.0)):
        values = values_of(5_000, no_outcome=first, amount_firm=size, terms=-1.0)
        one, other = (scorer.chances(values, landmark=landmark, overdue=-30) for scorer in (with_, without))
        assert (one != other) is (landmark is Landmark.ISSUE and first == 1.0)
        if landmark is Landmark.ISSUE:
            assert one[0] / 10_000 == pytest.approx(max(head.chance(values), 0.003), abs=1e-4)
        assert with_.days(values, landmark=landmark, overdue=-30) == without.days(values, landmark=landmark, overdue=-30)


def test_what_holds_of_strangers_alone_is_said_with_more_certainty() -> None:
    weights = known().publish()
    with_, without = LatenessScorer(weights), LatenessScorer(restruct(weights, firsts=None))
    surer = 0
    for number in range(5_000, 5_040):
        values = values_of(number, no_outcome=1.0, amount_firm=1.0, terms=-1.0)
        one, other = (scorer.chances(values, landmark=Landmark.ISSUE, overdue=-30)[0] for scorer in (with_, without))
        surer += one > other
    assert surer > 30


def test_reasons_for_a_first_invoice_add_up_to_its_chance() -> None:
    weights = known().publish()
    assert weights.firsts is not None
    lines = {
        row.days: compiled(row, opened(weights.forests[0])[LATE_DAYS.index(row.days)])
        for row in weights.lines
        if row.landmark == Landmark.ISSUE
    }
    for line in of_firsts(lines, weights.firsts).values():
        for number in range(5_000, 5_010):
            values = values_of(number, no_outcome=1.0)
            assert line.intercept + sum(contributions(line, values).values()) == pytest.approx(line.value(values))


def test_an_erased_client_leaves_the_first_invoices_too() -> None:
    trainer = taught(90)
    marks = {row.mark for row in trainer.firsts.window.rows}
    assert mark_of("client-3") in marks
    trainer.withdraw("client-3")
    assert {row.mark for row in trainer.firsts.window.rows} == marks - {mark_of("client-3")}


def test_only_first_invoices_at_issue_are_kept_apart() -> None:
    trainer = taught(90)
    kept = [unpack(row.features)[INDEX["no_outcome"]] for row in trainer.firsts.window.rows]
    assert set(kept) == {1.0}
    assert 0 < len(kept) < len(trainer.trees[Landmark.ISSUE].window.rows)


def before(raw: bytes, *, fields: int) -> bytes:
    """Return bytes of today as the release before wrote them: format 3, without the last field."""
    kind, schema, libraries, body = msgspec.msgpack.decode(raw[20:])
    shorter = msgspec.msgpack.encode(msgspec.msgpack.decode(body)[:fields])
    content = b"\x03" + msgspec.msgpack.encode([kind, schema, libraries, shorter])
    return raw[:3] + blake2b(content, digest_size=16).digest() + content


def test_weights_and_checkpoints_of_the_release_before_have_no_trees_of_first_invoices_and_learn_on() -> None:
    trainer = known()
    weights = load(before(dump(trainer.publish()), fields=8), LatenessWeights)
    assert (weights.firsts, weights.forests) == (None, trainer.publish().forests)
    resumed = LatenessTrainer.resume(load(before(trainer.save(), fields=11), Checkpoint))
    assert not resumed.firsts.window.rows
    assert resumed.trees[Landmark.ISSUE].window.seen == trainer.trees[Landmark.ISSUE].window.seen


@pytest.mark.parametrize("shares", [(0.2, 0.2), (0.2, 1.4, 0.2), (0.2, float("nan"), 0.2)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    weights = known().publish()
    assert weights.firsts is not None
    with pytest.raises(SnapshotError, match="shares"):
        dump(restruct(weights, firsts=restruct(weights.firsts, shares=shares)))

"""Laws of the renewal learners: pure, restorable, bounded, and deaf to numbers that are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.learners.kalman import DivergedError
from models.learners.renewal import PublishedRenewals, renewal_contributions
from models.learners.renewal_scorer import UNSAID
from models.learners.renewal_snapshot import (
    RenewalLine,
    dump_renewal,
    guard_renewal,
    load_renewal,
    load_renewal_checkpoint,
)
from models.learners.renewal_trainer import SLOTS, WIDTH, RenewalTrainer, widened
from models.learners.scorer import PER_CHANCE
from models.learners.snapshot import CHECKPOINT_LIMIT, SIZE_LIMIT, LatenessWeights, SnapshotError, load
from models.renewal_features import RENEWAL_FEATURES, RENEWAL_INDEX, Ending, RenewalLandmark
from models.triggers import RenewalExample
from tests.models.renewal_examples import TYPES, features_of, renewal_example, renewal_trained

NUMBERS = st.lists(st.integers(0, 400), min_size=1, max_size=50)
VECTORS = st.lists(st.floats(-4, 4, width=16), min_size=len(RENEWAL_FEATURES), max_size=len(RENEWAL_FEATURES)).map(tuple)


def told(numbers: list[int]) -> list[RenewalExample]:
    return [renewal_example(number) for number in sorted(set(numbers))]


def learned(rows: list[RenewalExample]) -> RenewalTrainer:
    trainer = RenewalTrainer()
    for row in rows:
        trainer.take(row)
    trainer.turn(trainer.day + 1)
    return trainer


@given(numbers=NUMBERS)
@settings(max_examples=10)
def test_the_same_log_gives_the_same_weights_and_the_order_within_a_day_does_not_matter(numbers: list[int]) -> None:
    rows = told(numbers)
    turned = sorted(rows, key=lambda row: (row.decided_at.date(), row.contract_id[::-1]))
    assert learned(rows).publish() == learned(turned).publish()


@given(numbers=NUMBERS, cut=st.integers(0, 50))
@settings(max_examples=10)
def test_a_trainer_resumed_from_its_checkpoint_publishes_the_same(numbers: list[int], cut: int) -> None:
    rows = told(numbers)
    first = RenewalTrainer()
    checkpoint = first.checkpoint()
    for row in rows[:cut]:
        if first.take(row):
            checkpoint = first.checkpoint()
    second = RenewalTrainer.resume(load_renewal_checkpoint(dump_renewal(checkpoint)))
    for row in rows[checkpoint.position :]:
        second.take(row)
    second.turn(second.day + 1)
    assert second.publish() == learned(rows).publish()


@given(numbers=NUMBERS, probe=VECTORS)
@settings(max_examples=10)
def test_weights_score_the_same_after_their_way_over_the_log_and_are_bounded(
    numbers: list[int], probe: tuple[float, ...]
) -> None:
    weights = learned(told([*numbers, *range(120)])).publish()
    raw = dump_renewal(weights)
    assert len(raw) <= SIZE_LIMIT
    assert load_renewal(raw) == weights
    here, there = PublishedRenewals(weights), PublishedRenewals(load_renewal(raw))
    for landmark in RenewalLandmark:
        said = here.chances(probe, landmark=landmark, contract_type="retainer")
        assert said == there.chances(probe, landmark=landmark, contract_type="retainer")
        renewed, raised, left = said
        assert 0 < renewed < PER_CHANCE
        assert raised <= renewed
        assert renewed + left <= PER_CHANCE


def test_the_size_does_not_grow_with_types_segments_currencies_and_answers() -> None:
    trainer = RenewalTrainer()
    for number in range(600):
        row = renewal_example(number)
        odd = {"contract_type": f"type {number}", "segment": f"s{number}", "age": number, "tenure_days": number * 20}
        trainer.take(row.model_copy(update=odd | {"currency": f"C{chr(65 + number % 26)}{chr(65 + number % 7)}"}))
    trainer.turn(trainer.day + 1)
    assert len(trainer.types) == SLOTS
    assert len(dump_renewal(trainer.publish())) <= SIZE_LIMIT
    assert len(dump_renewal(trainer.checkpoint())) <= CHECKPOINT_LIMIT // 4


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_changes_nothing(poison: float) -> None:
    trainer = renewal_trained(40)
    head = trainer.heads[Ending.RENEWED, RenewalLandmark.MONTH]
    before = head.kalman.dump(), head.recalibration.dump(), head.yes
    with np.errstate(invalid="ignore"), pytest.raises(DivergedError):
        head.learn((poison,) * len(RENEWAL_FEATURES), 0, label=True)
    assert (head.kalman.dump(), head.recalibration.dump(), head.yes) == before


def test_damaged_foreign_and_wild_snapshots_are_refused() -> None:
    weights = renewal_trained(60).publish()
    raw = dump_renewal(weights)
    with pytest.raises(SnapshotError, match="checksum"):
        load_renewal(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(SnapshotError, match="holds RenewalWeights, not LatenessWeights"):
        load(raw, LatenessWeights)
    line = weights.lines[0]
    wild = replace(weights, lines=(replace(line, intercept=float("nan")),))
    with pytest.raises(SnapshotError, match="not finite"):
        dump_renewal(wild)
    with pytest.raises(SnapshotError, match="does not fit"):
        guard_renewal(replace(weights, lines=(replace(line, slopes=line.slopes[1:]),)))


@given(probe=VECTORS, kind=st.sampled_from([*TYPES, "never seen"]))
@settings(max_examples=20)
def test_contributions_sum_to_the_logit_and_the_line_says_what_the_head_says(probe: tuple[float, ...], kind: str) -> None:
    trainer = TRAINED
    weights = trainer.publish()
    line: RenewalLine = next(
        row for row in weights.lines if (row.ending, row.landmark) == (Ending.RENEWED, RenewalLandmark.MONTH)
    )
    slot = weights.types.index(kind) if kind in weights.types else -1
    own = line.types[slot] if slot >= 0 else 0.0
    head = trainer.heads[Ending.RENEWED, RenewalLandmark.MONTH]
    slope, shift = head.recalibration.slope_and_shift
    value = line.intercept + own + sum(renewal_contributions(line, probe).values())
    assert value == pytest.approx(slope * head.kalman.value(widened(probe, slot)) + shift)
    assert len(widened(probe, slot)) == WIDTH


TRAINED = renewal_trained(300)


def test_too_few_answers_or_too_few_of_the_rarer_kind_are_no_chance() -> None:
    few = PublishedRenewals(renewal_trained(20).publish())
    probe = tuple(features_of(1))
    assert few.chances(probe, landmark=RenewalLandmark.MONTH, contract_type="retainer") == (UNSAID,) * 3
    trainer = RenewalTrainer()
    for number in range(80):
        trainer.take(renewal_example(number).model_copy(update={"renewed": True, "raised": False, "left": False}))
    trainer.turn(trainer.day + 1)
    alike = PublishedRenewals(trainer.publish())
    assert alike.chances(probe, landmark=RenewalLandmark.MONTH, contract_type="retainer") == (UNSAID,) * 3


def test_learning_finds_what_decides_and_says_it_in_words() -> None:
    scorer = PublishedRenewals(TRAINED.publish())
    calm, risky = [0.0] * len(RENEWAL_FEATURES), [0.0] * len(RENEWAL_FEATURES)
    risky[RENEWAL_INDEX["late_share"]] = 1.0
    risky[RENEWAL_INDEX["price_rise"]] = 1.0
    month = RenewalLandmark.MONTH
    good = scorer.chances(tuple(calm), landmark=month, contract_type="retainer")[0]
    bad = scorer.chances(tuple(risky), landmark=month, contract_type="retainer")[0]
    assert good - bad > 1_500
    reasons = scorer.explain(tuple(risky), landmark=month, contract_type="retainer")
    assert any(reason.startswith("how they pay lowers it from") for reason in reasons)
    assert scorer.explain(tuple(calm), landmark=month, contract_type="never seen") == (
        "nothing about them stands out: it is the usual chance of a 'never seen'",
    )


def test_a_type_of_which_little_is_known_says_what_the_firm_says() -> None:
    trainer = RenewalTrainer()
    for number in range(240):
        trainer.take(renewal_example(number))
    for number in range(240, 243):
        lost = {"contract_type": "rare", "renewed": False, "raised": False, "left": True}
        trainer.take(renewal_example(number).model_copy(update=lost))
    trainer.turn(trainer.day + 1)
    scorer = PublishedRenewals(trainer.publish())
    zero = (0.0,) * len(RENEWAL_FEATURES)
    rare = scorer.chances(zero, landmark=RenewalLandmark.MONTH, contract_type="rare")[0]
    firm = scorer.chances(zero, landmark=RenewalLandmark.MONTH, contract_type="never seen")[0]
    assert 0 < firm - rare < 2_000

"""Synthetic answered periods with a known truth: two features and the type decide, a hash makes the noise."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Final

from models.learners.renewal_trainer import RenewalTrainer
from models.renewal_features import RENEWAL_FEATURES, RENEWAL_INDEX, RENEWAL_TABLE, RenewalLandmark, pack_renewal
from models.triggers import RenewalExample, RenewalQuestion
from tests.models.examples import noise

TYPES: Final = ("retainer", "subscription", "project")
_START: Final = datetime(2025, 1, 6, 12, tzinfo=UTC)


def features_of(number: int) -> list[float]:
    return [2 * noise("renewal", number, place) - 1 for place in range(len(RENEWAL_FEATURES))]


def truth_of(number: int) -> float:
    values = features_of(number)
    own = (0.8, 0.0, -0.8)[number % len(TYPES)]
    return 1 / (1 + exp(-(1.2 - 2.0 * values[RENEWAL_INDEX["late_share"]] + values[RENEWAL_INDEX["trend"]] + own)))


def renewal_example(number: int, *, per_day: int = 4) -> RenewalExample:
    """Return one answered period with a question at every landmark."""
    renewed = noise("renewed", number) < truth_of(number)
    at = _START + timedelta(days=number // per_day)
    day = int(at.timestamp() // 86_400)
    raw = b64encode(pack_renewal(features_of(number))).decode()
    asked = [
        RenewalQuestion(landmark=int(landmark), asked_ms=(day - 60) * 86_400_000, features=raw, chances=(0.8, 0.1, 0.1))
        for landmark in RenewalLandmark
    ]
    return RenewalExample(
        client_id=f"client-{number % 41}",
        decided_at=at,
        contract_id=f"contract-{number}",
        contract_type=TYPES[number % len(TYPES)],
        segment=("reliable", "slow")[number % 2],
        renewed=renewed,
        raised=renewed and noise("raised", number) < 0.2,
        left=not renewed and noise("left", number) < 0.7,
        age=number % 5,
        began_day=day - 212,
        renews_day=day - 30,
        tenure_days=182 * (number % 5),
        minor=600_000,
        after=612_000 if renewed else 0,
        earned=600_000 * (1 + number % 5),
        currency="EUR",
        table=RENEWAL_TABLE,
        questions=tuple(asked),
    )


def renewal_trained(count: int) -> RenewalTrainer:
    """Return a trainer that has learned the first `count` examples."""
    trainer = RenewalTrainer()
    for number in range(count):
        trainer.take(renewal_example(number))
    trainer.turn(trainer.day + 1)
    return trainer

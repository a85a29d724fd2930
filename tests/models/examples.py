"""Synthetic examples with a known truth: one feature decides, the rest is noise made by a hash, not by dice."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from math import exp
from typing import Final

from models.events.envelope import epoch_ms
from models.features import FEATURES, INDEX, TABLE, pack, unpack
from models.learners.trainer import LatenessTrainer
from models.triggers import Example, Question

DECISIVE: Final = "late_share"
_START: Final = datetime(2025, 1, 6, 12, tzinfo=UTC)
_PER_DAY: Final = 8


def noise(*parts: object) -> float:
    """Return a number in [0, 1) that is the same for the same parts."""
    digest = blake2b(repr(parts).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def example(number: int, *, over_days: int = 5) -> Example:
    """Return one answered question; the chance of being late is a logistic function of one feature."""
    values = [2 * noise("feature", number, place) - 1 for place in range(len(FEATURES))]
    values[INDEX[DECISIVE]] *= 2
    late = noise("outcome", number) < 1 / (1 + exp(-2 * values[INDEX[DECISIVE]] + 1))
    at = _START + timedelta(days=number // _PER_DAY)
    asked = epoch_ms(at - timedelta(days=36))
    return Example(
        client_id=f"client-{number % 17}",
        decided_at=at,
        invoice_id=f"invoice-{number}",
        over_days=over_days,
        late=late,
        days_late=round(10 * values[INDEX[DECISIVE]]),
        due_day=asked // 86_400_000 + 30,
        log_amount=6 + noise("amount", number),
        table=TABLE,
        questions=(
            Question(landmark=0, asked_ms=asked, features=b64encode(pack(values)).decode(), chances=(0.3, 0.2, 0.1), version="t"),
        ),
    )


def with_features(row: Example, **named: float) -> Example:
    """Return the example with other values of some features."""
    values = list(unpack(b64decode(row.questions[0].features)))
    for name, value in named.items():
        values[INDEX[name]] = value
    put = row.questions[0].model_copy(update={"features": b64encode(pack(values)).decode()})
    return row.model_copy(update={"questions": (put,)})


def trained(count: int, *, over_days: int = 5) -> LatenessTrainer:
    """Return a trainer that has learned the first `count` examples."""
    trainer = LatenessTrainer()
    for number in range(count):
        trainer.take(example(number, over_days=over_days))
    trainer.turn(trainer.day + 1)
    return trainer

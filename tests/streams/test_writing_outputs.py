"""Outputs are written as their contracts would write them, whatever their fields hold."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pytest

from models.events.signals import Role
from models.journey_names import OwnJourney
from models.learnt import Learnt, LearntKind, Quality
from models.money import Money
from models.triggers import AnyOutput, CancelWhen, ExperimentArm, Ruled, SegmentChange, StatementItem, StatementTotal
from streams.wire.codec import encode_output
from tests.streams.counting import Tally, make_decision, make_trigger

EURO = Money(minor=2**62, currency="EUR")
ARM = ExperimentArm(name="an own word", arm="b", stratum="new", share=1 / 3)
OWN = OwnJourney("a_word_after")
TALLY = Tally("Zoë \u2028 \x7f ☃ \U0001f600", now_ms=1_767_600_000_123)

TRIGGER = make_trigger(TALLY, fact='"quoted"\n\ttold\\').model_copy(
    update={
        "journey": OWN,
        "cancel_when": tuple(CancelWhen),
        "invoice_ids": ("I1", "I2"),
        "facts": {"count": 3, "is_first": True, "amount": EURO, "words": ""},
        "statement": (StatementItem(invoice_id="I1", open=EURO, due_on=date(2024, 2, 29)),),
        "totals": (StatementTotal(open=EURO, credit=Money(minor=0, currency="EUR"), invoices=2),),
        "audience": next(iter(Role)),
        "score": np.float64(0.1),
        "experiment": ARM,
    }
)
DECISION = make_decision(TALLY, TALLY.now_ms).model_copy(
    update={
        "journey": OWN,
        "late_seconds": 1e-7,
        "score": 0.1 + 0.2,
        "change": SegmentChange(before="new", after="slow", cause="often late", certainty=np.float64(0.75), open=(EURO,)),
        "holdouts": (),
        "rulings": (Ruled(matter="tone", value="firm", level="override", who="dana"),),
        "learnt": (
            Learnt(
                what=LearntKind.SCORE,
                value=float("1e300"),
                as_of=datetime(2025, 3, 30, 1, 59, 59, 999_999, tzinfo=UTC),
                age_days=0.0,
                quality=Quality.FAIR,
            ),
        ),
    }
)


@pytest.mark.parametrize("output", [TRIGGER, DECISION], ids=lambda output: output.kind)
def test_every_kind_of_value_is_written_as_the_contract_writes_it(output: AnyOutput) -> None:
    written = encode_output(output)
    assert json.loads(written) == json.loads(output.model_dump_json(exclude_none=True))
    assert type(output).model_validate_json(written) == output


def test_a_value_that_is_not_plain_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="not object"):
        encode_output(TRIGGER.model_copy(update={"facts": {"what": object()}}))

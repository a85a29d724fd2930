"""How the decisions are counted: once each, by age, and without stopping at one that cannot be read."""

from datetime import timedelta

import pytest

from handlers.channels.watch import count_decision
from handlers.commands.after_paid import age_in_words, tally
from models.triggers import Decision, DecisionOutcome, Journey
from streams.runtime.metrics import CANCELLED_YET_DELIVERED, DECISIONS_MADE, RETRACTIONS_UNACKNOWLEDGED, SENT_AFTER_PAID, Meter
from streams.wire.codec import encode_output
from tests.handlers.channel_examples import NOW


def decision(number: int, outcome: DecisionOutcome, late: float | None = None) -> Decision:
    return Decision(
        client_id="ada",
        decided_at=NOW + timedelta(seconds=number),
        decision_id=f"d{number}",
        outcome=outcome,
        journey=Journey.DELAY_SUPPORT,
        step="clear_dates",
        channel="email",
        trigger_id="t1",
        late_seconds=late,
        reasons=("because",),
        segment="slow",
        policy_version="p",
        learner_version="l",
    )


def test_every_finding_is_counted_in_its_own_metric() -> None:
    meter = Meter()
    for number, (outcome, late) in enumerate(
        [
            (DecisionOutcome.SENT_AFTER_PAID, 90.0),
            (DecisionOutcome.CANCELLED_YET_DELIVERED, 90.0),
            (DecisionOutcome.UNACKNOWLEDGED, None),
        ]
    ):
        count_decision(meter, encode_output(decision(number, outcome, late)))
    assert meter.read(CANCELLED_YET_DELIVERED, channel="email") == 1
    assert meter.read(RETRACTIONS_UNACKNOWLEDGED, channel="email") == 1
    buckets = {le: meter.registry.get_sample_value(f"{SENT_AFTER_PAID.full_name}_bucket", {"le": le}) for le in ("60.0", "300.0")}
    assert buckets == {"60.0": 0, "300.0": 1}


def test_a_record_that_is_no_decision_is_counted_as_unreadable() -> None:
    meter = Meter()
    for value in (b"{", b"\xff", b'{"a":' * 5_000):
        count_decision(meter, value)
    assert meter.read(DECISIONS_MADE, journey="", outcome="unreadable") == 3


def test_a_decision_published_twice_counts_once() -> None:
    found = tally([decision(1, DecisionOutcome.SENT_AFTER_PAID, 5.0)] * 2)
    assert found.ages.total() == 1


def test_the_table_says_how_many_how_late_and_whom() -> None:
    kinds = [*[DecisionOutcome.TRIGGERED] * 3, DecisionOutcome.RETRACTED, DecisionOutcome.HELD]
    found = tally(
        [*(decision(number, kind) for number, kind in enumerate(kinds)), decision(9, DecisionOutcome.SENT_AFTER_PAID, 7_200)]
    )
    said = "\n".join(found.lines())
    assert "triggered                       3" in said
    assert "within a day                  1" in said
    assert "delayed_payment_support/clear_dates of ada: 7,200.0 s" in said


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "within a second"), (60, "within a minute"), (61, "within an hour"), (1e6, "later than a day")]
)
def test_ages_fall_into_classes(seconds: float, words: str) -> None:
    assert age_in_words(seconds) == words

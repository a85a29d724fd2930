"""Stop on payment as a measure: what left after it was paid is found in either order of arrival, with its age."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome
from models.policy.outcomes import KEPT_AFTER_RETRACTION_MS
from models.triggers import Decision, DecisionOutcome
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import overdue, state_of

FINDINGS = {DecisionOutcome.SENT_AFTER_PAID, DecisionOutcome.CANCELLED_YET_DELIVERED, DecisionOutcome.UNACKNOWLEDGED}
MINUTE = 1 / 1440


def findings(firm: Firm) -> list[tuple[str, float | None]]:
    decisions = [output for output in firm.outputs if isinstance(output, Decision)]
    return [(row.outcome.value, row.late_seconds) for row in decisions if row.outcome in FINDINGS]


def test_a_mail_that_leaves_after_its_payment_was_known_is_found_with_its_age() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.paid(8))
    firm.feed(build.reported(8 + 2 * MINUTE, firm.triggers[0].trigger_id, DeliveryOutcome.TOO_LATE))
    assert findings(firm) == [("cancelled_yet_delivered", 120.0), ("sent_after_paid", 120.0)]


def test_a_mail_that_had_left_before_the_payment_was_known_is_no_fault() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.paid(8))
    firm.feed(build.reported(8 - MINUTE, firm.triggers[0].trigger_id, DeliveryOutcome.SENT))
    assert findings(firm) == [("cancelled_yet_delivered", 0.0)]


def test_a_payment_that_waited_in_a_backlog_tells_on_the_mail_that_overtook_it() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.paid(7.5, received=8 - 3 * MINUTE))
    assert findings(firm) == [("sent_after_paid", 180.0)]


def test_a_payment_that_arrives_after_the_mail_is_the_aim_and_no_finding() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.paid(7.5, received=9))
    assert findings(firm) == []


def test_a_payment_that_reached_us_after_the_mail_and_waited_is_no_finding_either() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.called(9))
    firm.feed(build.paid(7.5, received=8 + 3 * MINUTE))
    assert findings(firm) == []


def test_a_part_of_the_money_that_waited_in_a_backlog_is_no_finding_while_the_rest_was_rightly_asked_for() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.paid(7.5, minor=40_000, received=8 - 3 * MINUTE))
    assert findings(firm) == []
    firm.feed(build.paid(7.6, "P2", 60_000, received=8 - 2 * MINUTE))
    assert findings(firm) == [("sent_after_paid", 120.0)]


def test_a_dispute_that_came_too_late_is_counted_but_not_as_paid() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.disputed(8))
    firm.feed(build.reported(8 + MINUTE, firm.triggers[0].trigger_id, DeliveryOutcome.TOO_LATE))
    assert findings(firm) == [("cancelled_yet_delivered", 60.0)]


def test_a_retraction_in_time_leaves_nothing_to_find() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.paid(8))
    firm.feed(build.reported(8.1, firm.triggers[0].trigger_id, DeliveryOutcome.RETRACTED))
    firm.feed(build.called(60))
    assert findings(firm) == []


@pytest.mark.parametrize("outcome", [DeliveryOutcome.FAILED, DeliveryOutcome.EXPIRED, DeliveryOutcome.BOUNCED_HARD])
def test_a_message_that_was_taken_back_and_did_not_leave_makes_its_step_due_anew_once(outcome: DeliveryOutcome) -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id))
    firm.wake(ms(19))
    first, second = firm.triggers
    firm.feed(build.disputed(19))
    firm.feed(build.reported(19 + MINUTE, second.trigger_id, outcome, channel="webhook"))
    firm.feed(build.dispute_closed(20))
    firm.wake(ms(30))
    assert [row.step for row in firm.triggers] == [first.step, second.step, second.step]


def test_a_retraction_that_nobody_acknowledges_is_told_once() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.paid(8))
    long_after = (state_of(firm).care.pending[0].expires_ms - ms(0) + KEPT_AFTER_RETRACTION_MS) / DAY_MS + 1
    for day in (long_after, long_after + 1):
        firm.feed(build.called(day))
    assert findings(firm) == [("unacknowledged", None)]


@given(
    known=st.integers(-600, 600), outcome=st.sampled_from([DeliveryOutcome.SENT, DeliveryOutcome.TOO_LATE]), first=st.booleans()
)
def test_either_order_of_arrival_finds_the_same_lateness(known: int, outcome: DeliveryOutcome, *, first: bool) -> None:
    """`known` seconds lie between the payment's arrival at the edge and the provider's acceptance of the mail."""
    build = Events()
    firm = overdue(build)
    payment = build.paid(8 - known / 86_400)
    report = build.reported(8, firm.triggers[0].trigger_id, outcome)
    for event in (payment, report) if first else (report, payment):
        firm.feed(event)
    found = [late for what, late in findings(firm) if what == "sent_after_paid"]
    # At the very same millisecond the order of the log decides.
    assert found == ([float(known)] if known > 0 else [0.0] if known == 0 and first else [])

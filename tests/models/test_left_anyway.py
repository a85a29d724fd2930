"""What left although it was taken back was said: no step is said again because of it, in any journey."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Retraction
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.test_own_journeys import STEPS, declared, policy_with

CASES = {
    "renewal_options": (DEFAULT_POLICY, 28.2),
    "outcome_check": (DEFAULT_POLICY, 32.0),
    "word": (policy_with(declared(steps=[{**STEPS[0], "id": "word", "count": 20}])), 22.0),
    "explain_terms": (DEFAULT_POLICY, 8.0),
}


def told(name: str, build: Events) -> tuple[Firm, float]:
    """Return a firm whose message of that step was decided and has not been reported, and the day."""
    policy, day = CASES[name]
    log: list[AnyClientEvent] = [build.profiled(0)]
    log += [build.contract(0.1, renews=40)] if name == "renewal_options" else []
    log += [build.issued(0.2, "I1", due=3)] if name == "explain_terms" else []
    log += [build.paid(0.3, invoice=None)] if name in {"outcome_check", "word"} else []
    firm = Firm(policy=policy).run(log, until_ms=ms(1))
    for trigger in firm.triggers:
        firm.feed(build.reported(1, trigger.trigger_id))
    firm.wake(ms(day))
    assert [row.step for row in state_of(firm).care.pending] == [name]
    return firm, day


def said(firm: Firm, name: str) -> list[str]:
    """Return the messages of a step that were not taken back, or were and left all the same."""
    back = {row.trigger_id for row in firm.outputs if isinstance(row, Retraction)}
    return [row.trigger_id for row in firm.triggers if row.step == name and row.trigger_id not in back]


@pytest.mark.parametrize("name", CASES)
def test_a_message_that_left_before_it_could_be_taken_back_is_not_sent_again(name: str) -> None:
    build = Events()
    firm, day = told(name, build)
    (first,) = said(firm, name)
    firm.feed(build.disputed(day + 0.1, "D1", None))
    firm.feed(build.reported(day + 0.2, first, DeliveryOutcome.TOO_LATE))
    firm.feed(build.dispute_closed(day + 0.3))
    firm.wake(ms(day + 9))
    assert said(firm, name) == []


@pytest.mark.parametrize("name", CASES)
def test_a_second_message_that_was_decided_before_that_was_known_is_taken_back(name: str) -> None:
    build = Events()
    firm, day = told(name, build)
    (first,) = said(firm, name)
    firm.feed(build.disputed(day + 0.1, "D1", None))
    firm.feed(build.dispute_closed(day + 0.2))
    firm.wake(ms(day + 4.1))
    (second,) = said(firm, name)
    firm.feed(build.reported(day + 4.2, first, DeliveryOutcome.TOO_LATE))
    assert said(firm, name) == []
    firm.feed(build.reported(day + 4.3, second, DeliveryOutcome.RETRACTED))
    firm.wake(ms(day + 9))
    assert said(firm, name) == []


def test_what_rode_along_in_a_message_that_left_is_not_told_the_same_step_by_itself() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0.2, due=3), build.issued(0.3, "I2", due=3)], until_ms=ms(8))
    (first,) = firm.triggers
    assert first.anchor == "I1"
    assert "I2" in first.invoice_ids
    firm.feed(build.disputed(8.1, "D1", "I1"))
    firm.wake(ms(12))
    (second,) = firm.triggers[1:]
    assert (second.anchor, second.step) == ("I2", first.step)
    firm.feed(build.reported(12.1, first.trigger_id, DeliveryOutcome.TOO_LATE))
    assert second.trigger_id in {row.trigger_id for row in firm.outputs if isinstance(row, Retraction)}
    firm.wake(ms(20))
    assert len(firm.triggers) == 2


def test_what_left_after_it_was_over_for_good_is_counted_once_and_the_next_step_is_not_skipped() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.paid(0.3, "P1", invoice=None)], until_ms=ms(0.3))
    (thanks,) = said(firm, "thank_you")
    firm.feed(build.refunded(0.31, "R1", "P1"))
    firm.feed(build.reported(0.32, thanks, DeliveryOutcome.TOO_LATE))
    firm.feed(build.refund_failed(0.5, "R1", "P1"))
    firm.wake(ms(40))
    assert len(said(firm, "outcome_check")) == 1


class Slow(Carried):
    """A firm whose channels take messages four days late, and whatever is taken back too late."""

    def _deliver(self, until_ms: int) -> None:
        state = self.state
        for row in state.care.pending if state else ():
            at = max(row.not_before_ms + 4 * DAY_MS, state.now_ms if state else 0)
            if row.retracted or at <= until_ms:
                outcome = DeliveryOutcome.TOO_LATE if row.retracted else DeliveryOutcome.SENT
                at = state.now_ms if row.retracted and state else at
                self.left[row.journey, row.anchor, row.step] += 1
                self.feed(self.build.reported((at - ms(0)) / DAY_MS, row.trigger_id, outcome, channel=row.channel))

    def __init__(self, build: Events) -> None:
        super().__init__(build)
        self.left: Counter[tuple[int, str, str]] = Counter()


@given(renews=st.integers(20, 60), paid=st.integers(0, 20), disputed=st.sets(st.integers(10, 60), min_size=4, max_size=20))
@settings(max_examples=40)
def test_where_every_retraction_comes_too_late_no_step_of_care_is_said_twice(renews: int, paid: int, disputed: set[int]) -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.contract(0.1, renews=renews), build.paid(paid + 0.2, invoice=None)]
    for day in disputed:
        log += [build.disputed(day + 0.5, f"D{day}", None), build.dispute_closed(day + 0.6, f"D{day}")]
    firm = Slow(build)
    for event in sorted(log, key=lambda event: event.received_ms):
        firm.wake(event.received_ms)
        firm.feed(event)
    firm.wake(ms(90))
    assert max(firm.left.values()) == 1

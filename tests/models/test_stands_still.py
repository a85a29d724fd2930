"""What a message rests on is asked again at the last look: that money is late, that nothing is late, that nobody has written."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import Request
from models.events.union import AnyClientEvent
from models.policy.arrears import arrears
from models.policy.leave import Answer, Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY
from models.triggers import CancelWhen, Journey, Retraction, Trigger
from models.workdays import DAY_MS
from tests.models.builders import CLIENT, Events, ms, on
from tests.models.test_journey_laws import Firm, stories
from tests.models.test_leave import reminded, taken_back
from tests.models.test_outcomes import state_of
from tests.models.test_unanswered import Delivering

MOVED: tuple[Callable[[Events], AnyClientEvent], ...] = (
    lambda build: build.amended(8.1, "I1", due=40),
    lambda build: build.delay(8.1, "I1", expected=20),
)


def hear(firm: Firm, event: AnyClientEvent) -> None:
    firm.feed(event.model_copy(update={"client_id": CLIENT, "event_id": f"more-{event.event_id}"}))


def seen(firm: Firm, trigger: Trigger) -> Answer:
    """Return what a worker is told that looks at a message now."""
    state = state_of(firm)
    return may_leave(state, known_as(state, trigger), now_ms=state.now_ms, policy=firm.policy)


@pytest.mark.parametrize("news", MOVED)
def test_a_reminder_of_money_that_is_due_later_by_now_is_taken_back_and_comes_when_that_is_late(
    news: Callable[[Events], AnyClientEvent],
) -> None:
    firm, trigger = reminded()
    hear(firm, news(Events("more")))
    assert taken_back(firm, trigger).because is CancelWhen.DECIDED_ANEW
    before = len(firm.triggers)
    firm.wake(ms(19))
    assert len(firm.triggers) == before
    firm.wake(ms(60))
    assert firm.triggers[before].step == trigger.step


def test_an_invoice_whose_payment_was_announced_for_a_later_day_does_not_ride_along() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(0, due=2),
        build.issued(0.1, "I2", due=2),
        build.delay(3, "I2", expected=20),
    ]
    firm = Firm().run(story, until_ms=ms(10))
    assert [trigger.invoice_ids for trigger in firm.triggers] == [("I1",)]


def test_an_instalment_that_is_missing_is_spoken_of_although_its_invoice_is_due_later() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, due=60),
        build.planned(2, "L1", "I1", parts=((8, 50_000), (40, 50_000))),
    ]
    firm = Firm().run(story, until_ms=ms(20))
    assert [trigger.step for trigger in firm.triggers] == ["missed_instalment", "plan_check"]
    assert not [output for output in firm.outputs if isinstance(output, Retraction)]


def test_care_that_waited_until_money_was_late_is_left_for_support_and_thanks_are_not() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        build.contract(0.5, renews=28),
        build.issued(1, due=12),
        build.paid(14.02, "P0", 900, None),
    ]
    firm = Firm().run(story, until_ms=ms(14.05))
    care, thanks = firm.triggers
    assert (care.journey, thanks.journey) == (Journey.RENEWAL, Journey.ONBOARDING)
    firm.wake(ms(17))
    state = state_of(firm)
    answer = may_leave(state, known_as(state, care), now_ms=ms(17.01), policy=firm.policy)
    assert (answer.verdict, answer.code, answer.because) == (Verdict.WITHDRAW, "delay", CancelWhen.DECIDED_ANEW)
    assert may_leave(state, known_as(state, thanks), now_ms=ms(17.01), policy=firm.policy).verdict is Verdict.LEAVE


def test_thanks_that_are_no_receipt_are_said_to_who_owes_something_late() -> None:
    onboarding = tuple(replace(step, receipt=False) for step in DEFAULT_POLICY.journeys.onboarding)
    policy = replace(DEFAULT_POLICY, journeys=replace(DEFAULT_POLICY.journeys, onboarding=onboarding))
    build = Events()
    firm = Firm(policy=policy).run(
        [build.profiled(0), build.issued(0, due=2), build.paid(5.5, "P0", 900, None)], until_ms=ms(5.6)
    )
    assert [trigger.step for trigger in firm.triggers] == ["thank_you"]
    assert not [output for output in firm.outputs if isinstance(output, Retraction)]


def test_a_reminder_that_is_still_with_its_worker_when_the_client_writes_waits_until_somebody_has_read_it() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, due=2)], until_ms=ms(7.05))
    (trigger,) = firm.triggers
    firm.feed(build.asks(7.1, Request.MESSAGE))
    held = seen(firm, trigger)
    assert (held.verdict, held.code) == (Verdict.HOLD, "replied")
    assert held.until_ms >= ms(10)
    firm.feed(build.called(7.2))
    assert seen(firm, trigger).code != "replied"


def test_a_second_word_speaks_of_no_invoice_that_is_due_later_by_now() -> None:
    build = Events()
    firm = Delivering().run([build.profiled(0, phone="+353850000000"), build.issued(0, due=2), build.amended(8.1, due=40)])
    firm.wake(ms(30))
    assert [trigger.not_before < on(8.1) for trigger in firm.triggers] == [True]


def announced(build: Events, day: float, invoice: str) -> AnyClientEvent:
    return build.delay(day, invoice, expected=day + 9)


NEWS: tuple[Callable[[Events, float, str], AnyClientEvent], ...] = (
    lambda build, day, invoice: build.disputed(day, "DX", invoice),
    lambda build, day, invoice: build.promised(day, "YX", invoice, by=day + 9),
    lambda build, day, invoice: build.amended(day, invoice, due=day + 20),
    announced,
    lambda build, day, invoice: build.voided(day, invoice),
    lambda build, day, _: build.hold(day, until=day + 9, override="OX"),
    lambda build, day, _: build.asks(day, Request.MESSAGE),
)


@given(stories(), st.sampled_from(NEWS), st.integers(0, 3))
@settings(max_examples=30)
def test_nothing_leaves_that_would_not_be_decided_by_now(
    story: list[AnyClientEvent], news: Callable[[Events, float, str], AnyClientEvent], place: int
) -> None:
    firm = Firm().run(story)
    firm.wake(ms(90))
    letters = [row for row in firm.triggers if row.journey is Journey.DELAY_SUPPORT and row.channel == "email"]
    assume(len(letters) > place)
    letter = letters[place]
    at_ms = epoch_ms(letter.decided_at)
    again = Firm().run([event for event in story if event.received_ms <= at_ms], until_ms=at_ms)
    assume(any(row.trigger_id == letter.trigger_id for row in state_of(again).care.pending))
    limit_ms = again.policy.expected_limit_days * DAY_MS
    (due_ms,) = [row.due_ms for row in state_of(again).ledger.invoices if row.invoice_id == letter.invoice_ids[0]]
    assume(news is not announced or due_ms + limit_ms > at_ms + DAY_MS)  # nobody announces for ever
    hear(again, news(Events(), (at_ms - ms(0)) / DAY_MS + 0.001, letter.invoice_ids[0]))
    assert seen(again, letter).verdict is not Verdict.LEAVE
    named = {row.invoice.invoice_id: row for row in arrears(state_of(again), again.policy)}.get(letter.invoice_ids[0])
    now = state_of(again).now_ms
    assert named is None or named.silence or max(named.rest_ms, named.core_ms) > now  # nor would it be decided anew

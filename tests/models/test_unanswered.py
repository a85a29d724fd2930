"""A message that nobody answers may leave once more, by another channel: when, how often, and what every kind of answer does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from models.events.control import HaltScope
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome, OverrideEffect, Purpose
from models.events.union import AnyClientEvent, AnyEvent
from models.learners.baseline import BASELINE
from models.policy.gate import still_allowed
from models.policy.in_force import in_force
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy, stamped
from models.policy.requests import ANSWER_STEP
from models.regime import NOTHING_ACTIVATED, regime_after
from models.state.client import TimerKind
from models.state.codec import decode, encode
from models.transition import transition
from models.triggers import CancelWhen, Decision, Journey, Retraction, Trigger
from models.workdays import DAY_MS, HOUR_MS, moment
from tests.journeys.story import with_second_words
from tests.models.builders import CLIENT, Events, ms, on, tick_at
from tests.models.controls import halt
from tests.models.test_journey_laws import HORIZON, Firm, stories

POLICY = with_second_words(72, ("sms", "portal"))
PHONE = "+493090182000"
SENT, SAID_AGAIN = 7 - 1 / 24, 10 - 1 / 24  # days on which the first message is due, a Monday at eight, and the second


class Delivering(Firm):
    """A firm whose channels deliver a minute after the not-before, unless a message was taken back by then."""

    def __init__(self, policy: Policy = POLICY, *, punctual: bool = True) -> None:
        super().__init__(policy=policy, punctual=punctual)
        self.build = Events("reports")
        self.posted: dict[str, tuple[int, str]] = {}

    def feed(self, event: AnyEvent) -> None:
        seen = len(self.outputs)
        super().feed(event)
        for output in self.outputs[seen:]:
            if isinstance(output, Trigger):
                self.posted[output.trigger_id] = (epoch_ms(output.not_before) + 60_000, output.channel)
            elif isinstance(output, Retraction):
                self.posted.pop(output.trigger_id, None)

    def wake(self, until_ms: int) -> None:
        while True:
            due = until_ms + 1 if self.due is None else self.due
            first = min(((at, name) for name, (at, _) in self.posted.items()), default=(until_ms + 1, ""))
            if min(due, first[0]) > until_ms:
                return
            if first[0] <= due:
                _, channel = self.posted.pop(first[1])
                self.report(first[0], first[1], channel)
            else:
                self.feed(tick_at(due))

    def report(self, at_ms: int, trigger_id: str, channel: str, outcome: DeliveryOutcome = DeliveryOutcome.SENT) -> None:
        told = self.build.reported((at_ms - ms(0)) / DAY_MS, trigger_id, outcome, channel=channel)
        self.feed(told.model_copy(update={"client_id": CLIENT, "event_id": f"{outcome.value}-{trigger_id}"}))

    def said_again(self) -> list[Trigger]:
        return [trigger for trigger in self.triggers if CancelWhen.CLIENT_ANSWERED in trigger.cancel_when]

    def why_not(self) -> list[str]:
        return [row.reasons[0] for row in self.outputs if isinstance(row, Decision) and "nobody has answered" in row.reasons[0]]


def late(build: Events, *more: AnyClientEvent, minor: int = 100_000) -> list[AnyClientEvent]:
    return [build.profiled(0, phone=PHONE), build.issued(0, "I1", minor, due=2), *more]


def test_a_client_who_is_silent_gets_the_same_step_once_more_by_another_channel() -> None:
    firm = Delivering().run(late(Events()), until_ms=ms(14))
    first, second = firm.triggers
    assert (first.channel, second.channel) == ("email", "sms")
    assert (second.step, second.lineage, second.anchor, second.tone) == (first.step, first.lineage, first.anchor, first.tone)
    assert second.trigger_id != first.trigger_id
    assert second.not_before == on(SAID_AGAIN) + timedelta(minutes=1)
    assert second.expires_at == first.expires_at, "it does not outlive what it repeats"
    assert firm.state is not None
    assert len(firm.state.care.contacts) == 2, "it is a contact like any other"
    firm.wake(ms(17.5))
    assert [trigger.step for trigger in firm.triggers[2:]] == ["offer_help"], "it was no stage: the next comes when it would have"


def test_while_an_alarm_asks_a_person_nothing_is_said_once_more_by_itself() -> None:
    firm = Delivering().run(late(Events()), until_ms=ms(SENT) + 60_000)
    assert firm.state is not None
    firm.state = with_fields(firm.state, care=with_fields(firm.state.care, alarm_ms=firm.state.now_ms))
    firm.wake(ms(14))
    assert firm.said_again() == []
    assert firm.why_not() == ["nobody has answered, and a person is asked about this client already"]


def test_by_default_silence_is_an_answer() -> None:
    firm = Delivering(replace(DEFAULT_POLICY, fallback_channels=("sms",))).run(late(Events()), until_ms=ms(14))
    assert len(firm.triggers) == 1


ANSWERS: dict[str, Callable[[Events, float], AnyClientEvent]] = {
    "paid in part": lambda build, day: build.paid(day, "P1", 30_000, "I1"),
    "paid something else": lambda build, day: build.paid(day, "P1", 30_000, "I9"),
    "payment under way": lambda build, day: build.pending(day, "P1", 30_000, "I9", expected=day + 9),
    "disputed": lambda build, day: build.disputed(day, "D1", "I1"),
    "promised": lambda build, day: build.promised(day, "Y1", "I1", by=day + 20),
    "a plan": lambda build, day: build.planned(day, "L1", "I1", parts=[(day + 30, 100_000)]),
    "called": lambda build, day: build.called(day),
    "asked": lambda build, day: build.asks(day),
    "refused another purpose": lambda build, day: build.consent(day, Purpose.PROMOTION),
    "on hold": lambda build, day: build.hold(day, until=day + 20),
    "credited": lambda build, day: build.credit(day, "C1", 30_000, "I1"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_any_answer_ends_it(answer: Callable[[Events, float], AnyClientEvent]) -> None:
    build = Events()
    firm = Delivering().run(late(build, answer(build, SENT + 1)), until_ms=ms(11.9))
    assert firm.said_again() == []


@pytest.mark.parametrize("outcome", [DeliveryOutcome.REPLIED, DeliveryOutcome.COMPLAINED])
def test_a_reply_and_a_complaint_are_answers_in_whatever_order_they_are_told(outcome: DeliveryOutcome) -> None:
    told, before = Delivering().run(late(Events()), until_ms=ms(SENT) + 60_000), Delivering()
    told.report(ms(8), told.triggers[0].trigger_id, "email", outcome)
    told.wake(ms(14))
    before.run(late(Events()), until_ms=ms(SENT))
    before.report(ms(SENT) + 90_000, before.triggers[0].trigger_id, "email", outcome)
    before.wake(ms(14))
    assert told.said_again() == before.said_again() == []


def test_what_is_answered_between_decision_and_sending_is_taken_back() -> None:
    build = Events()
    firm = Delivering().run(late(build), until_ms=ms(SAID_AGAIN) + 60_000)
    (second,) = firm.said_again()
    assert firm.state is not None
    assert still_allowed(firm.state, second, now_ms=firm.state.now_ms).allowed
    firm.feed(build.asks(SAID_AGAIN + 1 / 900))
    (taken,) = (row for row in firm.outputs if isinstance(row, Retraction))
    assert (taken.trigger_id, taken.because) == (second.trigger_id, CancelWhen.CLIENT_ANSWERED)
    gate = still_allowed(firm.state, second, now_ms=firm.state.now_ms)
    assert gate.because is CancelWhen.CLIENT_ANSWERED, "the worker that looks once more sees it as well"


def test_a_stop_holds_it_and_says_so_once_and_it_never_outlives_the_first() -> None:
    stop = halt(8, scope=HaltScope.CHANNEL, target="sms")
    firm = Delivering().run(late(Events()), until_ms=ms(8))
    calm = firm.policy
    firm.policy = in_force(calm, regime_after(NOTHING_ACTIVATED, stop), base=calm, find=lambda _: None)
    firm.wake(ms(10.1))
    assert [row.reasons[0] for row in firm.outputs if isinstance(row, Decision)][-1:] == [
        "stopped by mia (channel sms): wrong amounts"
    ]
    assert firm.said_again() == []
    shorter = Delivering().run(late(Events()), until_ms=ms(8))
    shorter.policy = firm.policy
    shorter.wake(ms(10.1))
    shorter.policy = calm
    shorter.wake(ms(10.3))
    assert len(shorter.said_again()) == 1
    firm.wake(ms(14))
    assert firm.said_again() == []
    held = [row for row in firm.outputs if isinstance(row, Decision) and "wrong amounts" in row.reasons[0]]
    assert len(held) == 1


def test_found_too_late_it_is_explained_and_left_out() -> None:
    firm = Delivering().run(late(Events()), until_ms=ms(8))
    firm.feed(tick_at(ms(12.5)))
    assert firm.said_again() == []
    assert firm.why_not() == ["nobody has answered, and it is too late to say it once more by another channel"]


def test_who_asked_for_a_channel_and_what_a_manager_chose_stays_there() -> None:
    build = Events()
    wish = build.profiled(0, phone=PHONE).model_copy(update={"channel": "email"})
    asked = Delivering().run([wish, build.issued(0, "I1", due=2)], until_ms=ms(14))
    assert asked.why_not() == ["nobody has answered, and nothing but email is open to the client"]
    word = build.override(1, OverrideEffect.CHANNEL, until=60, value="email")
    chosen = Delivering().run(late(build, word), until_ms=ms(14))
    assert chosen.said_again() == []
    assert "email was chosen by" in chosen.why_not()[0]


def test_where_a_person_must_look_first_nothing_is_said_again_by_itself() -> None:
    rules = ApprovalRules(clients=(CLIENT,))
    firm = Delivering().run(late(Events()), until_ms=ms(8))
    firm.policy = stamped(replace(POLICY, approval=rules))
    firm.wake(ms(14))
    assert firm.said_again() == []
    assert "messages to this client are approved by a person" in firm.why_not()[0]


def test_a_second_message_that_bounces_gives_its_place_back_and_repeats_nothing() -> None:
    firm = Delivering().run(late(Events()), until_ms=ms(10.1))
    first, second = firm.triggers
    firm.report(ms(10.2), second.trigger_id, "sms", DeliveryOutcome.BOUNCED_HARD)
    firm.report(ms(10.3), first.trigger_id, "email", DeliveryOutcome.BOUNCED_HARD)
    assert firm.state is not None
    assert len(firm.state.care.contacts) == 1
    firm.wake(ms(14))
    assert firm.triggers == [first, second], "the step has been said as often as it may"


def test_a_first_message_that_bounces_late_goes_on_by_the_way_of_failures_alone() -> None:
    firm = Delivering().run(late(Events()), until_ms=ms(8))
    firm.report(ms(8), firm.triggers[0].trigger_id, "email", DeliveryOutcome.BOUNCED_HARD)
    firm.wake(ms(9.4))
    assert [trigger.channel for trigger in firm.triggers] == ["email", "sms"]
    assert firm.said_again() == [], "it is the same step, due anew, not a second word"


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Return policies with other waits, gaps and channels."""
    policy = replace(POLICY, min_gap_days=draw(st.integers(0, 5)), contacts_per_month=draw(st.integers(1, 6)))
    channels = draw(st.sampled_from([("sms", "portal"), ("portal",), ("sms",)]))
    return with_second_words(draw(st.integers(1, 119)), channels, policy)


def _reactions(draw: st.DrawFn, build: Events) -> list[AnyClientEvent]:
    names = draw(st.lists(st.sampled_from(sorted(ANSWERS)), max_size=3))
    return [ANSWERS[name](build, draw(st.integers(15, 100)) + index / 77) for index, name in enumerate(names)]


@st.composite
def tales(draw: st.DrawFn) -> list[AnyClientEvent]:
    """Return a plausible half year of a client with a phone, who may answer."""
    reactions = [
        event.model_copy(update={"event_id": f"reaction-{index}"}) for index, event in enumerate(_reactions(draw, Events()))
    ]
    story = [event.model_copy(update={"phone": PHONE}) if event.kind == "client.profiled" else event for event in draw(stories())]
    return sorted([*story, *reactions], key=lambda event: (event.received_ms, event.event_id))


def _sends(firm: Firm) -> list[Trigger]:
    gone = {row.trigger_id for row in firm.outputs if isinstance(row, Retraction)}
    return [row for row in firm.triggers if row.trigger_id not in gone]


@given(tales(), policies())
@settings(max_examples=80)
def test_a_second_word_is_one_in_time_within_the_budget_and_never_after_an_answer(
    story: Sequence[AnyClientEvent], policy: Policy
) -> None:
    firm = Delivering(policy).run(story, until_ms=HORIZON)
    answers = [event for event in story if event.kind in _SPOKEN]
    firsts = {(row.anchor, row.step): row for row in firm.triggers if row not in firm.said_again()}
    named = [row.trigger_id for row in firm.triggers if row.step != ANSWER_STEP]  # of two requests on a day one is the task
    assert len(set(named)) == len(named)
    for second in firm.said_again():
        same = [
            row
            for row in firm.triggers
            if (row.lineage, row.step) == (second.lineage, second.step) and row.expires_at == second.expires_at
        ]
        first = same[0]
        assert same == [first, second], "once, and in one lineage"
        assert firsts[second.anchor, second.step].journey is Journey.DELAY_SUPPORT
        assert second.channel not in {first.channel, *policy.internal_channels}
        left, decided = epoch_ms(first.not_before) + 60_000, epoch_ms(second.decided_at)
        assert decided >= left + HOUR_MS * _hours(policy, second.step)
        assert second.not_before < second.expires_at
        assert not [event for event in answers if left <= event.received_ms < decided]
        assert set(second.invoice_ids) <= set(first.invoice_ids)
    moments = sorted(
        epoch_ms(row.not_before)
        for row in _sends(firm)
        if row.channel not in policy.internal_channels and row.step != "thank_you"
    )
    for earlier, later in pairwise(moments):
        assert later - earlier >= policy.min_gap_days * DAY_MS
    for place, at in enumerate(moments):
        assert sum(other > at - 30 * DAY_MS for other in moments[: place + 1]) <= policy.contacts_per_month


_SPOKEN = {
    "payment.received", "payment.pending", "dispute.opened", "promise.made", "plan.agreed", "contact.logged", "client.asked",
    "consent.changed",
}  # fmt: skip


def _hours(policy: Policy, step_id: str) -> int:
    steps = [step for ladder in policy.journeys.delay.values() for step in ladder.steps]
    return min(step.unanswered_hours for step in steps if step.id == step_id)


@given(tales(), policies())
@settings(max_examples=40)
def test_its_timers_follow_from_the_state_and_a_tick_wakes_like_an_event(story: Sequence[AnyClientEvent], policy: Policy) -> None:
    firm = Delivering(policy)
    for event in story:
        firm.run([event])
        assert firm.state is not None
        timers = [timer for timer in firm.state.care.timers if timer.kind == TimerKind.UNANSWERED]
        waiting = {row.message.trigger_id: row for row in firm.state.care.unanswered if not row.again}
        assert {timer.anchor for timer in timers} <= set(waiting)
        for timer in timers:
            row = waiting[timer.anchor]
            assert row.left_ms < timer.due_ms <= row.message.expires_ms
        again = transition(decode(encode(firm.state)), tick_at(firm.state.now_ms), policy=policy, scorer=BASELINE)
        assert again.next_due_ms == firm.due, "what is due next is no memory, it is read from the state"


def test_the_words_of_a_second_message_name_the_first() -> None:
    (second,) = Delivering().run(late(Events()), until_ms=ms(10.1)).said_again()
    assert second.reasons[1] == "no answer to explain_terms by email for 3 days: once more, by sms"
    assert moment(ms(SAID_AGAIN)).date() == second.not_before.date()

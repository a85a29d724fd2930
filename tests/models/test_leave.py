"""The gate asked again: what was decided is held or taken back when the client, a colleague or the policy says otherwise."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from handlers.channels.presend import at_any_hour, gate_look
from models.events.envelope import epoch_ms
from models.events.signals import ApprovalAnswered, DeliveryOutcome, OverrideEffect, Style
from models.events.signals import Verdict as Said
from models.events.union import AnyClientEvent
from models.policy.holdout import Holdout
from models.policy.leave import LOOK_AGAIN_MS, Answer, Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy
from models.policy.tones import is_above
from models.state.client import ClientState, Pending
from models.state.codec import decode, encode
from models.triggers import CancelWhen, Decision, DecisionOutcome, Journey, Retraction, Tone, Trigger
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, tick_at
from tests.models.test_journey_laws import Firm, stories
from tests.models.test_outcomes import state_of
from tests.models.test_unanswered import Delivering

GAP_MS = DEFAULT_POLICY.min_gap_days * DAY_MS


def pressing(build: Events) -> tuple[Firm, Trigger]:
    """Return a firm that is about to say something firmer than gentle to a client whose money is late."""
    firm = Firm().run([build.profiled(0), build.override(0, OverrideEffect.SEGMENT, value="problem", until=200)])
    firm.run([build.issued(0, due=2)])
    for _ in range(40):
        firm.wake(firm.due or 0)
        last = firm.triggers[-1] if firm.triggers else None
        if last is not None and is_above(last.tone, Tone.GENTLE) and last.channel == "email":
            return firm, last
        if last is not None and any(row.trigger_id == last.trigger_id for row in state_of(firm).care.pending):
            firm.feed(build.reported(_day(firm), last.trigger_id, channel=last.channel))
    pytest.fail("nothing firmer than gentle was decided")


def _day(firm: Firm) -> float:
    return (state_of(firm).now_ms - ms(0)) / DAY_MS + 0.001


def reminded(policy: Policy = DEFAULT_POLICY, *, minor: int = 100_000) -> tuple[Firm, Trigger]:
    build = Events()
    firm = Firm(policy=policy).run([build.profiled(0), build.issued(0, minor=minor, due=2)], until_ms=ms(8))
    (trigger,) = firm.triggers
    return firm, trigger


def test_a_hold_keeps_back_also_what_was_decided_without_a_word_on_holds() -> None:
    firm, _ = reminded()
    state = state_of(firm)
    bare = with_fields(state.care.pending[0], cancel_when=())
    build = Events()
    held = state_of(Firm().run([build.profiled(0), build.hold(0.1, until=90)], until_ms=ms(1)))
    state = with_fields(state, person=held.person)
    answer = may_leave(state, bare, now_ms=bare.not_before_ms, policy=DEFAULT_POLICY)
    assert (answer.verdict, answer.code, answer.because) == (Verdict.WITHDRAW, "hold", CancelWhen.ON_HOLD)


def asked(firm: Firm, trigger: Trigger, *, at_ms: int = 0, policy: Policy | None = None) -> tuple[Verdict, str]:
    state = state_of(firm)
    now = at_ms or firm.policy.open_hour(state, max(state.now_ms, epoch_ms(trigger.not_before)))
    answer = may_leave(state, known_as(state, trigger), now_ms=now, policy=policy or firm.policy)
    return answer.verdict, answer.code


def taken_back(firm: Firm, trigger: Trigger) -> Retraction:
    (row,) = (each for each in firm.outputs if isinstance(each, Retraction) and each.trigger_id == trigger.trigger_id)
    told = [each for each in firm.outputs if isinstance(each, Decision) and each.trigger_id == trigger.trigger_id]
    assert told[-1].outcome is DecisionOutcome.RETRACTED
    assert told[-1].reasons == row.reasons
    return row


def test_what_a_worker_stops_at_its_last_look_is_a_decision_with_its_reason() -> None:
    firm, trigger = reminded()
    stopped = Events().reported(8.1, trigger.trigger_id, DeliveryOutcome.SUPPRESSED)
    firm.feed(stopped.model_copy(update={"event_id": "stopped", "reason": "tone; too firm now"}))
    told = [row for row in firm.outputs if isinstance(row, Decision)][-1]
    assert (told.outcome, told.trigger_id) == (DecisionOutcome.SUPPRESSED, trigger.trigger_id)
    assert told.reasons == ("email did not send it, as it looked once more (tone; too firm now), and its step is due anew",)


SOFTER: dict[str, Callable[[Events, float], AnyClientEvent]] = {
    "the client wants gentle messages": lambda build, day: build.profiled(day).model_copy(update={"style": Style.GENTLE}),
    "a colleague wants another tone": lambda build, day: build.override(
        day, OverrideEffect.TONE, value="gentle", until=300, override="soft"
    ),
    "the client is in a milder segment": lambda build, day: build.override(
        day, OverrideEffect.SEGMENT, value="reliable", until=300, override="mild"
    ),
}


@pytest.mark.parametrize("why", SOFTER)
def test_a_message_that_is_firmer_than_may_be_said_now_is_taken_back_and_said_more_softly(why: str) -> None:
    build = Events()
    firm, trigger = pressing(build)
    before = state_of(firm)
    assert asked(firm, trigger) == (Verdict.LEAVE, "")
    firm.feed(SOFTER[why](build, _day(firm)))
    row = taken_back(firm, trigger)
    assert row.because is CancelWhen.DECIDED_ANEW
    assert row.reasons[0].startswith(f"{trigger.tone.value} is firmer than may be said now: gentle")
    assert asked(firm, trigger) == (Verdict.WITHDRAW, "decided_anew"), "the worker that has not heard of it yet stops it too"
    # The worker alone sees it as well: nothing but the state and the trigger is asked.
    unmarked = with_fields(state_of(firm), care=with_fields(state_of(firm).care, pending=before.care.pending))
    seen = gate_look(firm.policy)(encode(unmarked), trigger, epoch_ms(trigger.not_before), b"")
    assert (seen.allowed, seen.code) == (False, "tone")
    firm.feed(build.reported(_day(firm), trigger.trigger_id, DeliveryOutcome.RETRACTED))
    for _ in range(6):
        firm.wake(firm.due or 0)
    assert firm.triggers[-1].trigger_id != trigger.trigger_id
    assert firm.triggers[-1].tone in {Tone.GENTLE, Tone.EDUCATIONAL}


RULES: dict[str, Policy] = {
    "small": replace(DEFAULT_POLICY, small_units=5_000),
    "approval": replace(DEFAULT_POLICY, approval=ApprovalRules(amount_units=500)),
}


@pytest.mark.parametrize("code", RULES)
def test_another_policy_takes_back_what_it_would_not_have_decided(code: str) -> None:
    firm, trigger = reminded()
    assert asked(firm, trigger) == (Verdict.LEAVE, "")
    assert asked(firm, trigger, policy=RULES[code]) == (Verdict.WITHDRAW, code)
    firm.policy = RULES[code]
    firm.feed(tick_at(state_of(firm).now_ms))  # an activation wakes everybody
    assert taken_back(firm, trigger).because is CancelWhen.DECIDED_ANEW


def test_a_client_drawn_into_a_holdout_meanwhile_is_left_alone_but_for_servicing() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.contract(0, renews=40)], until_ms=ms(30))
    offer = next(row for row in firm.triggers if row.journey is Journey.RENEWAL)
    everybody = replace(DEFAULT_POLICY, holdout=Holdout(percent=100.0))
    assert asked(firm, offer, at_ms=epoch_ms(offer.not_before)) == (Verdict.LEAVE, "")
    assert asked(firm, offer, at_ms=epoch_ms(offer.not_before), policy=everybody) == (Verdict.WITHDRAW, "holdout")
    servicing, reminder = reminded()
    assert asked(servicing, reminder, policy=everybody) == (Verdict.LEAVE, "")


def test_what_the_processor_is_about_to_charge_by_itself_is_held_until_it_has_tried() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, due=2)], until_ms=ms(8))
    (trigger,) = firm.triggers
    assert asked(firm, trigger)[0] is Verdict.LEAVE
    firm.feed(build.failed(8.1, retry=10))
    assert asked(firm, trigger) == (Verdict.HOLD, "retry")
    assert asked(firm, trigger, at_ms=ms(11.01))[0] is Verdict.LEAVE, "a day after it was to be tried"


def test_what_a_person_has_approved_needs_no_second_approval() -> None:
    policy, build = replace(DEFAULT_POLICY, approval=ApprovalRules(amount_units=500)), Events()
    firm = Firm(policy=policy).run([build.profiled(0), build.issued(0, due=2)], until_ms=ms(8))
    (task,) = firm.triggers
    said = ApprovalAnswered(
        **build.called(8.1).model_dump(include={"event_id", "source", "client_id", "occurred_at", "received_at"}),
        trigger_id=task.trigger_id,
        verdict=Said.APPROVE,
        author="mia",
    )
    firm.feed(said)
    firm.wake(ms(9))
    message = firm.triggers[-1]
    assert message.channel == "email"
    assert asked(firm, message) == (Verdict.LEAVE, "")


def test_a_client_who_wants_less_is_written_to_less_from_the_next_message_on() -> None:
    build = Events()
    firm, trigger = reminded()
    firm.feed(build.called(2).model_copy(update={"event_id": "called", "received_at": build.called(8.1).received_at}))
    assert asked(firm, trigger) == (Verdict.LEAVE, "")
    firm.feed(build.profiled(8.2).model_copy(update={"event_id": "less", "most_per_month": 1}))
    assert asked(firm, trigger) == (Verdict.WITHDRAW, "expired"), "the month has room again only after it has expired"
    told = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.HELD]
    assert told[-1].trigger_id == trigger.trigger_id
    assert told[-1].reasons[0] == "1 contacts within 30 days are as many as the client wants"
    held = len(told)
    firm.feed(build.consent(8.3, granted=True).model_copy(update={"event_id": "other"}))
    again = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.HELD]
    assert len(again) == held, "it is explained once"


def siblings(*, reported: DeliveryOutcome | None = None, at: float = 0.0) -> tuple[ClientState, Pending, Pending]:
    """Return a client with two messages decided a gap apart while nobody sent them; the first one's outcome on request."""
    state = ClientState("client-1", now_ms=ms(9))
    first = Pending("a", 0, "A", "s", "email", 0, ms(4), ms(11), (), tone="gentle")
    second = with_fields(first, trigger_id="b", anchor="B", channel="sms", not_before_ms=ms(7), expires_ms=ms(14))
    contacts = (ms(at),) if reported is DeliveryOutcome.SENT else ()
    pending = (second,) if reported is not None else (first, second)
    return with_fields(state, care=with_fields(state.care, pending=pending, contacts=contacts)), first, second


def test_of_two_messages_that_waited_the_earlier_goes_first_and_the_later_keeps_the_gap() -> None:
    state, first, second = siblings()
    assert may_leave(state, first, now_ms=ms(9), policy=DEFAULT_POLICY).verdict is Verdict.LEAVE
    held = may_leave(state, second, now_ms=ms(9), policy=DEFAULT_POLICY)
    assert (held.verdict, held.code, held.until_ms) == (Verdict.HOLD, "earlier", ms(9) + LOOK_AGAIN_MS)
    state, _, second = siblings(reported=DeliveryOutcome.SENT, at=9)
    held = may_leave(state, second, now_ms=ms(9.5), policy=DEFAULT_POLICY)
    assert (held.verdict, held.code) == (Verdict.HOLD, "gap")
    assert held.until_ms >= ms(9) + GAP_MS
    assert may_leave(state, second, now_ms=held.until_ms, policy=DEFAULT_POLICY).verdict is Verdict.LEAVE
    state, _, second = siblings(reported=DeliveryOutcome.EXPIRED)
    assert may_leave(state, second, now_ms=ms(9), policy=DEFAULT_POLICY).verdict is Verdict.LEAVE, "the first never left"


def test_a_message_taken_back_without_a_word_from_its_worker_still_keeps_the_next_at_a_distance() -> None:
    state, first, second = siblings()
    gone = with_fields(first, retracted=True, retracted_ms=ms(8.9))
    state = with_fields(state, care=with_fields(state.care, pending=(gone, second)))
    assert may_leave(state, second, now_ms=ms(9), policy=DEFAULT_POLICY).code == "earlier"
    assert may_leave(state, gone, now_ms=ms(9), policy=DEFAULT_POLICY).verdict is Verdict.WITHDRAW


def test_nobody_waits_longer_than_until_the_earlier_one_can_no_longer_have_left() -> None:
    state, first, second = siblings()
    later = with_fields(second, expires_ms=ms(40))
    state = with_fields(state, care=with_fields(state.care, pending=(first, later)))
    end = first.expires_ms + GAP_MS
    assert may_leave(state, later, now_ms=end - 1, policy=DEFAULT_POLICY).code == "earlier"
    assert may_leave(state, later, now_ms=end, policy=DEFAULT_POLICY).verdict is Verdict.LEAVE


def test_receipts_and_tasks_wait_for_nobody() -> None:
    state, first, second = siblings()
    for other in (with_fields(second, free=True), with_fields(second, channel="task")):
        known = with_fields(state, care=with_fields(state.care, pending=(first, other)))
        assert may_leave(known, other, now_ms=ms(9), policy=DEFAULT_POLICY).verdict is Verdict.LEAVE


def test_a_clock_that_races_keeps_no_distances_or_nothing_would_ever_leave() -> None:
    firm, trigger = reminded()
    firm.feed(Events().called(8.1).model_copy(update={"event_id": "called"}))
    look, now = gate_look(DEFAULT_POLICY), ms(8.2)
    assert look(encode(state_of(firm)), trigger, now, b"").not_before_ms > now
    assert at_any_hour(look)(encode(state_of(firm)), trigger, now, b"").not_before_ms == 0


def test_a_message_decided_before_states_remembered_tones_is_judged_by_its_own() -> None:
    build = Events()
    firm, trigger = pressing(build)
    state = state_of(firm)
    old = tuple(with_fields(row, tone="") for row in state.care.pending)
    state = decode(encode(with_fields(state, care=with_fields(state.care, pending=old))))
    firm.state = state
    firm.feed(SOFTER["the client wants gentle messages"](build, _day(firm)))
    assert asked(firm, trigger) == (Verdict.WITHDRAW, "tone")


class Batches(Delivering):
    """A firm whose channels work for a moment every so many days: what has waited is sent then, as far as the gate lets it.

    All at once, as couriers of several workers do: each asks about the state as it was before any of them had told anything.
    """

    def __init__(self, every_days: int, policy: Policy) -> None:
        super().__init__(policy)
        self.every_ms = every_days * DAY_MS
        self.left: list[tuple[int, Trigger]] = []
        self.seen: tuple[int, ClientState] = (0, ClientState("nobody"))

    def report(self, at_ms: int, trigger_id: str, channel: str, outcome: DeliveryOutcome = DeliveryOutcome.SENT) -> None:
        trigger = next(row for row in self.triggers if row.trigger_id == trigger_id)
        if self.seen[0] != at_ms:
            self.seen = (at_ms, state_of(self))
        state = self.seen[1]
        works_ms = ms(1 / 8) - (ms(1 / 8) - at_ms) // self.every_ms * self.every_ms  # at noon, when letters are welcome
        if at_ms >= epoch_ms(trigger.expires_at):
            super().report(at_ms, trigger_id, channel, DeliveryOutcome.EXPIRED)
        elif works_ms > at_ms:
            self.posted[trigger_id] = (works_ms, channel)
        else:
            self._try(at_ms, trigger, may_leave(state, known_as(state, trigger), now_ms=at_ms, policy=self.policy), outcome)

    def _try(self, at_ms: int, trigger: Trigger, answer: Answer, outcome: DeliveryOutcome) -> None:
        match answer.verdict:
            case Verdict.HOLD:
                self.posted[trigger.trigger_id] = (max(answer.until_ms, at_ms + 1), trigger.channel)
            case Verdict.WITHDRAW:
                dead = DeliveryOutcome.SUPPRESSED if answer.because else DeliveryOutcome.EXPIRED
                super().report(at_ms, trigger.trigger_id, trigger.channel, dead)
            case Verdict.LEAVE:
                if trigger.channel not in self.policy.internal_channels and trigger.step != "thank_you":
                    self.left.append((at_ms, trigger))
                super().report(at_ms, trigger.trigger_id, trigger.channel, outcome)


LADDERS = {
    segment: replace(ladder, steps=tuple(replace(step, valid_days=25) for step in ladder.steps))
    for segment, ladder in DEFAULT_POLICY.journeys.delay.items()
}
PATIENT = replace(DEFAULT_POLICY, journeys=replace(DEFAULT_POLICY.journeys, delay=LADDERS))
"""A policy whose messages wait so long that several wait at a time."""


@given(stories(), st.integers(5, 25))
@settings(max_examples=60)
def test_whenever_channels_work_any_two_contacts_keep_their_distance_when_they_leave(
    story: list[AnyClientEvent], every: int
) -> None:
    firm = Batches(every, PATIENT).run(story, until_ms=ms(150))
    for (before, one), (after, other) in pairwise(sorted(firm.left, key=lambda row: row[0])):
        assert after - before >= GAP_MS, (one.step, other.step)

"""Whoever wrote back is read before they are written to again."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import ClientAsked, DeliveryOutcome, OverrideEffect, Request
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY, stamped
from models.policy.standing import standing
from models.triggers import CancelWhen, Decision, DecisionOutcome, Journey, Retraction, Trigger
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_hours import answering, log_of
from tests.models.test_journey_laws import Firm, stories
from tests.models.test_outcomes import state_of


def late(build: Events, *, until: float) -> Carried:
    """Return a firm whose new client is late since day 10."""
    return Carried(build).run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(until))


def second_at(firm: Carried) -> float:
    """Return on which day the second message leaves."""
    _, second = [row for row in firm.triggers if row.channel == "email"][:2]
    return (round(second.not_before.timestamp() * 1000) - ms(0)) / DAY_MS


def undisturbed() -> float:
    """Return on which day the second message leaves when nobody replies."""
    return second_at(late(Events(), until=60))


def test_a_reply_to_a_message_holds_the_next_one_for_three_business_days_and_says_why() -> None:
    build = Events()
    due = undisturbed()
    firm = late(build, until=due - 0.5)
    firm.feed(build.reported(due - 0.4, firm.triggers[0].trigger_id, DeliveryOutcome.REPLIED))
    firm.wake(ms(60))
    assert second_at(firm) >= due - 0.4 + 3
    held = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.HELD]
    assert [row.step for row in held] == ["offer_help"]
    assert held[0].reasons[0].startswith("they wrote to us about invoice I1 on 2024-")


def test_a_weekend_is_no_time_to_answer() -> None:
    build = Events()
    firm = late(build, until=23)  # a Wednesday; the third business day after it is Monday, till the office closes
    firm.feed(build.asks(23.1))
    firm.wake(ms(60))
    assert round(second_at(firm)) == undisturbed() + 5  # so it is Tuesday instead of Thursday, as soon as the office opens


def test_a_reply_long_before_the_next_message_changes_nothing() -> None:
    build = Events()
    firm = late(build, until=15)
    firm.feed(build.asks(15))
    firm.wake(ms(60))
    assert second_at(firm) == undisturbed()


@pytest.mark.parametrize("outcome", [DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED])
def test_it_ends_when_a_colleague_has_ended_the_task_about_it(outcome: DeliveryOutcome) -> None:
    build = Events()
    due = undisturbed()
    firm = late(build, until=due - 1)
    firm.feed(build.asks(due - 0.9))
    firm.wake(ms(due - 0.8))
    task = next(row for row in firm.triggers if row.step == "answer_request")
    firm.feed(build.reported(due - 0.7, task.trigger_id, outcome, channel="task"))
    firm.wake(ms(60))
    assert second_at(firm) == due


def test_it_ends_when_a_colleague_has_spoken_with_them() -> None:
    build = Events()
    due = undisturbed()
    firm = late(build, until=due - 4)
    firm.feed(build.asks(due - 3.9))
    firm.feed(build.called(due - 3.5))
    firm.wake(ms(60))
    assert second_at(firm) == due


def test_what_was_decided_and_has_not_left_yet_is_taken_back_and_no_step_is_lost() -> None:
    firm = answering(16)
    message = next(row for row in firm.triggers if row.channel == "email" and row.not_before > row.decided_at)
    firm = Firm().run(log_of(16), until_ms=epoch_ms(message.decided_at))
    wrote = ClientAsked(
        event_id="before-it-left",
        source="link",
        client_id=message.client_id,
        occurred_at=message.decided_at + timedelta(hours=1),
        received_at=message.decided_at + timedelta(hours=1),
        request=Request.MESSAGE,
        channel="email",
    )
    firm.feed(wrote)
    (back,) = (row for row in firm.outputs if isinstance(row, Retraction))
    assert (back.trigger_id, back.because) == (message.trigger_id, CancelWhen.CLIENT_ANSWERED)
    firm.wake(epoch_ms(message.decided_at) + 9 * DAY_MS)
    again = [row for row in firm.triggers if row.step == message.step and row.channel == "email"]
    assert len(again) == 2
    assert again[1].not_before - wrote.occurred_at > timedelta(days=3)


def test_a_policy_may_leave_it_out() -> None:
    build = Events()
    due = undisturbed()
    firm = Carried(build, policy=stamped(replace(DEFAULT_POLICY, reply_days=0)))
    firm.run([build.profiled(0), build.issued(1, "I1", due=10), build.asks(due - 0.4)], until_ms=ms(60))
    assert second_at(firm) == due


@given(days=st.lists(st.integers(11, 90), min_size=1, max_size=6, unique=True))
def test_whatever_they_write_nothing_that_asks_for_money_leaves_within_a_day_of_it_and_every_step_once(days: list[int]) -> None:
    build = Events()
    events = [build.asks(day + 0.01) for day in sorted(days)]
    firm = Carried(build).run([build.profiled(0), build.issued(1, "I1", due=10), *events], until_ms=ms(150))
    sent = [row for row in firm.triggers if row.channel == "email"]
    assert [row.step for row in sent] == ["explain_terms", "offer_help"]
    for message in sent:
        left = round(message.not_before.timestamp() * 1000)
        assert not any(ms(day + 0.01) <= left < ms(day + 0.01) + DAY_MS for day in days)
    assert all(one.not_before < two.not_before for one, two in pairwise(sent))


def two_late(build: Events) -> Carried:
    """Return a firm whose client was written to about I1, and is about to be about I2, which is not late yet."""
    events: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=2), build.issued(1.1, "I2", 50_000, due=11)]
    return Carried(build).run(events, until_ms=ms(15))


def names_of(firm: Carried) -> list[set[str]]:
    return [set(row.invoice_ids) for row in firm.triggers if row.channel == "email"]


def test_a_reply_about_one_invoice_lets_another_that_falls_late_be_written_about_alone() -> None:
    build = Events()
    quiet = two_late(build)
    quiet.wake(ms(18.5))
    assert names_of(quiet) == [{"I1"}, {"I1", "I2"}]
    build = Events()
    firm = two_late(build)
    first = firm.triggers[0].trigger_id
    firm.feed(build.reported(16.5, first, DeliveryOutcome.REPLIED))
    firm.feed(build.asks(16.5, Request.MESSAGE))
    firm.wake(ms(18.5))
    assert names_of(firm) == [{"I1"}, {"I2"}]
    (task,) = [row for row in firm.triggers if row.step == "answer_request"]
    assert any("invoice I1: this one alone waits" in reason for reason in task.reasons)
    assert [line for line in standing(state_of(firm), DEFAULT_POLICY) if line.startswith("nothing asks for this one")]


def test_words_of_another_moment_and_a_reply_to_a_message_about_several_let_everything_wait() -> None:
    build = Events()
    firm = two_late(build)
    firm.feed(build.reported(16.5, firm.triggers[0].trigger_id, DeliveryOutcome.REPLIED))
    firm.feed(build.asks(16.55, Request.MESSAGE))
    firm.wake(ms(18.5))
    assert names_of(firm) == [{"I1"}]
    build = Events()
    firm = two_late(build)
    firm.wake(ms(18.5))
    both = next(row for row in firm.triggers if len(row.invoice_ids) == 2)
    firm.feed(build.reported(18.6, both.trigger_id, DeliveryOutcome.REPLIED))
    assert state_of(firm).care.replies == ()
    assert state_of(firm).care.replied_ms == ms(18.6)


def test_the_task_about_it_ends_the_pause_of_one_invoice_too_and_a_hold_widens_it() -> None:
    build = Events()
    firm = two_late(build)
    firm.feed(build.reported(16.5, firm.triggers[0].trigger_id, DeliveryOutcome.REPLIED))
    firm.feed(build.asks(16.5, Request.MESSAGE))
    firm.wake(ms(16.55))
    task = next(row for row in firm.triggers if row.step == "answer_request")
    firm.feed(build.reported(16.6, task.trigger_id, DeliveryOutcome.DELIVERED, channel="task"))
    assert state_of(firm).care.replies == ()
    firm.wake(ms(18.5))
    assert names_of(firm) == [{"I1"}, {"I1", "I2"}]
    build = Events()
    firm = two_late(build)
    firm.feed(build.reported(16.5, firm.triggers[0].trigger_id, DeliveryOutcome.REPLIED))
    firm.feed(build.override(16.55, OverrideEffect.HOLD, journey=Journey.DELAY_SUPPORT.value, until=40))
    firm.wake(ms(30))
    assert names_of(firm) == [{"I1"}]


def test_a_request_about_one_invoice_lets_this_one_wait_as_a_reply_does_and_one_about_an_unknown_one_all() -> None:
    for named, expected in (("I1", [{"I1"}, {"I2"}]), (None, [{"I1"}]), ("I9", [{"I1"}])):
        build = Events()
        firm = two_late(build)
        firm.feed(build.asks(16.5).model_copy(update={"invoice_id": named}))
        firm.wake(ms(18.5))
        assert names_of(firm) == expected, named
        (task,) = [row for row in firm.triggers if row.step == "answer_request"]
        assert any("I1: this one alone waits" in reason for reason in task.reasons) is (named == "I1")


def test_a_hold_on_one_invoice_takes_back_what_names_it_and_leaves_the_others_alone() -> None:
    build = Events()
    firm = Carried(build, away_from=16)
    firm.run([build.profiled(0), build.issued(1, "I1", due=2), build.issued(1.1, "I2", 50_000, due=11)], until_ms=ms(18.2))
    both = next(row for row in firm.triggers if len(row.invoice_ids) == 2)
    hold = build.override(18.3, OverrideEffect.HOLD, until=60)
    firm.feed(hold.model_copy(update={"invoice_id": "I1"}))
    (back,) = (row for row in firm.outputs if isinstance(row, Retraction))
    assert (back.trigger_id, back.because) == (both.trigger_id, CancelWhen.ON_HOLD)
    assert back.reasons == ("invoice I1 is on hold by sam: talked on the phone",)
    firm.away_ms = ms(1_000)
    firm.wake(ms(45))
    assert names_of(firm)[2:] == [{"I2"}, {"I2"}]
    silences = [row.reasons[0] for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.HELD]
    assert back.reasons[0] in silences
    firm.feed(build.cleared(45.1))
    firm.wake(ms(60))
    assert names_of(firm)[4:] == [{"I1"}]


@given(stories(), st.integers(0, 6), st.floats(0.05, 4), st.booleans())
def test_while_a_reply_waits_to_be_read_nothing_names_what_it_is_about_and_the_rest_is_no_matter_of_it(
    story: list[AnyClientEvent], which: int, after: float, told_twice: bool
) -> None:
    build = Events()
    firm = Carried(build).run(story, until_ms=ms(200))
    asking = [row for row in firm.triggers if row.journey is Journey.DELAY_SUPPORT and row.channel == "email"]
    if not asking:
        return
    message = asking[which % len(asking)]
    at = (epoch_ms(message.not_before) - ms(0)) / DAY_MS + after
    answer: list[AnyClientEvent] = [build.reported(at, message.trigger_id, DeliveryOutcome.REPLIED)]
    answer += [build.asks(at, Request.MESSAGE)] * told_twice
    again = Events()
    live = Carried(again).run([row for row in story if row.received_ms <= ms(at)], until_ms=ms(at))
    for event in answer:
        live.feed(event.model_copy(update={"event_id": f"answer-{event.event_id}"}))
    before = len(live.outputs)
    live.wake(ms(at + 1))
    replies = state_of(live).care.replies
    assert len(replies) <= 4
    for row in live.outputs[before:]:
        if isinstance(row, Trigger) and row.journey is Journey.DELAY_SUPPORT and row.channel == "email":
            assert len(message.invoice_ids) == 1
            assert not set(message.invoice_ids) & set(row.invoice_ids)

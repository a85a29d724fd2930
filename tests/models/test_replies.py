"""Whoever wrote back is read before they are written to again."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import ClientAsked, DeliveryOutcome, Request
from models.policy.policy import DEFAULT_POLICY, stamped
from models.triggers import CancelWhen, Decision, DecisionOutcome, Retraction
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_hours import answering, log_of
from tests.models.test_journey_laws import Firm


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
    assert held[0].reasons[0].startswith("they wrote to us on 2024-")


def test_a_weekend_is_no_time_to_answer() -> None:
    build = Events()
    firm = late(build, until=23)  # a Wednesday; the third business day after it is Monday, till the office closes
    firm.feed(build.asks(23.1))
    firm.wake(ms(60))
    assert second_at(firm) == undisturbed() + 5  # so it is Tuesday instead of Thursday


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

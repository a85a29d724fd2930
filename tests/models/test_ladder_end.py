"""Where a ladder has no further message and money is open, a person is asked to decide: once, and whatever the segment."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome, Industry, OverrideEffect, Style
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.state.client import Segment
from models.triggers import Decision, DecisionOutcome, Journey, Retraction, Trigger
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_journey_laws import Firm

_DAYS = 200


def asked_to_decide(firm: Firm) -> list[Trigger]:
    """Return the tasks at the end of a ladder."""
    return [row for row in firm.triggers if row.step == "ladder_end"]


def left_open(dues: list[int], segment: Segment) -> Firm:
    """Return what comes of invoices that fall due on those days and are never paid, from a client of `segment`."""
    build = Events()
    events: list[AnyClientEvent] = [
        build.profiled(0),
        build.override(0.1, OverrideEffect.SEGMENT, until=400, value=segment.value),
    ]
    events += [build.issued(1 + place / 8, f"I{place}", due=due) for place, due in enumerate(dues)]
    return Carried(build).run(events, until_ms=ms(_DAYS + 50))


@pytest.mark.parametrize("segment", list(Segment))
@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("industry", list(Industry))
def test_an_invoice_that_stays_open_ends_with_one_person_for_every_segment_and_tone(
    segment: Segment, style: Style, industry: Industry
) -> None:
    build = Events()
    known = build.profiled(0).model_copy(update={"style": style, "industry": industry})
    said = build.override(0.1, OverrideEffect.SEGMENT, until=400, value=segment.value)
    firm = Carried(build).run([known, said, build.issued(1, "I1", due=10)], until_ms=ms(_DAYS))
    (task,) = asked_to_decide(firm)
    messages = [row for row in firm.triggers if row.channel == "email"]
    assert (task.channel, task.invoice_ids) == ("task", ("I1",))
    assert len(messages) == len(DEFAULT_POLICY.journeys.delay[segment].steps)
    assert task.decided_at >= messages[-1].not_before
    assert (task.decided_at - messages[-1].not_before).days >= DEFAULT_POLICY.journeys.ladder_end.after_days
    assert firm.triggers[-1] is task
    assert len({row.lineage for row in firm.triggers}) == 1, "mails and what a colleague does after them are one lineage"
    decision = next(row for row in firm.outputs if isinstance(row, Decision) and row.trigger_id == task.trigger_id)
    assert (decision.outcome, decision.step) == (DecisionOutcome.TRIGGERED, "ladder_end")
    assert "a person decides" in " ".join(decision.reasons)


@given(dues=st.lists(st.integers(2, 40), min_size=1, max_size=4), segment=st.sampled_from(Segment))
def test_every_invoice_left_open_is_put_before_a_person_once(dues: list[int], segment: Segment) -> None:
    firm = left_open(dues, segment)
    named = sorted(name for task in asked_to_decide(firm) for name in task.invoice_ids)
    assert named == sorted(f"I{place}" for place in range(len(dues)))


def test_nobody_is_asked_about_what_was_paid_promised_or_disputed_meanwhile() -> None:
    build = Events()
    start: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=10)]
    known: list[AnyClientEvent] = [
        build.paid(25, "P1", 100_000, "I1"),
        build.disputed(25, "D1", "I1"),
        build.promised(25, "Y1", "I1", by=190),
    ]
    for event in known:
        assert asked_to_decide(Carried(build).run([*start, event], until_ms=ms(180))) == []


def test_what_cannot_be_delivered_is_put_before_a_person_too() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(14))
    for _ in range(DEFAULT_POLICY.attempts):
        message = firm.triggers[-1]
        day = (firm.state.now_ms - ms(0)) / DAY_MS + 0.01 if firm.state else 0
        firm.feed(build.reported(day, message.trigger_id, DeliveryOutcome.FAILED))
        firm.wake(ms(day + 5))
    (task,) = asked_to_decide(firm)
    assert "could not be delivered: a person is needed" in " ".join(task.reasons)
    firm.feed(build.reported(40, task.trigger_id, channel="task"))
    firm.wake(ms(_DAYS))
    assert len(asked_to_decide(firm)) == 1


def test_a_task_that_no_board_took_is_asked_again_and_another_one() -> None:
    build = Events()
    firm = Carried(build, away_from=30).run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(60))
    (first,) = asked_to_decide(firm)
    firm.feed(build.reported(60, first.trigger_id, DeliveryOutcome.EXPIRED, channel="task"))
    firm.wake(ms(70))
    assert len(asked_to_decide(firm)) == 2
    assert len({row.trigger_id for row in asked_to_decide(firm)}) == 2


def test_what_is_paid_in_part_is_put_before_a_person_anew() -> None:
    build = Events()
    firm = Carried(build, away_from=30).run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(45))
    (first,) = asked_to_decide(firm)
    firm.feed(build.paid(45, "P1", 40_000, "I1"))
    firm.wake(ms(60))
    assert [row.trigger_id for row in firm.outputs if isinstance(row, Retraction)] == [first.trigger_id]
    assert len(asked_to_decide(firm)) == 2


def test_a_broken_promise_takes_the_ladder_a_step_back_and_a_person_is_asked_after_it_again() -> None:
    build = Events()
    firm = Carried(build).run([build.profiled(0), build.issued(1, "I1", due=10), build.promised(60, "Y1", "I1", by=70)])
    firm.wake(ms(_DAYS))
    steps = [row.step for row in firm.triggers]
    assert steps == ["explain_terms", "offer_help", "ladder_end", "offer_help", "ladder_end"]


def test_a_ladder_that_ends_with_a_colleague_has_asked_already() -> None:
    journeys = DEFAULT_POLICY.journeys
    ladders = {
        segment: replace(ladder, steps=(*ladder.steps, replace(ladder.human, id="colleague", after_days=14)))
        for segment, ladder in journeys.delay.items()
    }
    policy: Policy = stamped(replace(DEFAULT_POLICY, journeys=replace(journeys, delay=ladders)))
    build = Events()
    firm = Carried(build, policy=policy).run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(_DAYS))
    assert [row.step for row in firm.triggers][-1] == "colleague"


def test_a_hold_keeps_the_question_back_until_it_ends() -> None:
    build = Events()
    hold = build.override(30, OverrideEffect.HOLD, until=80)
    firm = Carried(build).run([build.profiled(0), build.issued(1, "I1", due=10), hold], until_ms=ms(_DAYS))
    (task,) = asked_to_decide(firm)
    assert round(task.decided_at.timestamp() * 1000) >= ms(80)


@given(dues=st.lists(st.integers(2, 40), min_size=2, max_size=4), segment=st.sampled_from(Segment))
def test_what_a_last_message_has_named_is_never_written_about_again(dues: list[int], segment: Segment) -> None:
    firm = left_open(dues, segment)
    final_step = DEFAULT_POLICY.journeys.delay[segment].steps[-1].id
    promised: set[str] = set()
    for message in (row for row in firm.triggers if row.channel == "email"):
        assert promised.isdisjoint(message.invoice_ids)
        promised |= set(message.invoice_ids) if message.step == final_step else set()
    assert promised == {f"I{place}" for place in range(len(dues))}


def test_a_last_message_that_bounced_has_promised_nothing() -> None:
    build = Events()
    firm = Carried(build, away_from=20).run(
        [build.profiled(0), build.issued(1, "I1", due=10), build.issued(1.1, "I2", due=18)], until_ms=ms(25)
    )
    last = firm.triggers[-1]
    assert (last.step, last.invoice_ids) == ("offer_help", ("I1", "I2"))
    firm.feed(build.reported(25, last.trigger_id, DeliveryOutcome.FAILED))
    firm.away_ms = ms(1_000)
    firm.wake(ms(40))
    assert [(row.step, row.invoice_ids) for row in firm.triggers if row.channel == "email"][-1] == ("offer_help", ("I1", "I2"))
    assert len([row for row in firm.triggers if row.step == "offer_help"]) == 2


@pytest.mark.parametrize("word", [None, OverrideEffect.RELEASE])
def test_a_book_that_was_long_overdue_when_first_seen_is_put_before_a_person_once_and_again_at_its_ladders_end(
    word: OverrideEffect | None,
) -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(100)]
    events += [build.issued(1 + place, f"OLD{place}", due=15 + place, received=100) for place in range(3)]
    events += [build.override(110, word, until=300)] if word else []
    firm = Carried(build).run(events, until_ms=ms(_DAYS))
    first, *others = asked_to_decide(firm)
    assert first.invoice_ids == ("OLD0", "OLD1", "OLD2")
    assert "long overdue when it became known" in " ".join(first.reasons)
    steps = [row.step for row in firm.triggers]
    assert (steps[0], steps[-1], steps.count("ladder_end")) == ("ladder_end", "ladder_end", 2 if word else 1)
    assert any(row.channel == "email" for row in firm.triggers) == (word is not None)
    assert all("the ladder is at its end" in " ".join(row.reasons) for row in others)
    assert len({row.trigger_id for row in firm.triggers}) == len(firm.triggers)


def test_money_that_was_given_back_is_put_before_a_person_once_and_no_message_leaves() -> None:
    build = Events()
    start: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=10), build.paid(9, "P1", 100_000, "I1")]
    firm = Carried(build).run([*start, build.refunded(12, "R1", "P1", 100_000)], until_ms=ms(_DAYS))
    (task,) = asked_to_decide(firm)
    assert task.invoice_ids == ("I1",)
    assert "money was given back: a person decides whether it is still owed" in task.reasons
    support = [row for row in firm.triggers if row.journey is Journey.DELAY_SUPPORT]
    assert support == [task]
    firm.feed(build.credit(_DAYS, "C1", 100_000, "I1"))
    assert firm.state is not None
    assert not firm.state.care.tasks

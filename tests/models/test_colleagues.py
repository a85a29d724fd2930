"""A person's step holds back what follows until somebody has tried; a task that nobody does expires, says so, and softens."""

import msgspec
import pytest

from models.events.signals import DeliveryOutcome, OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.colleagues import KEPT
from models.policy.journeys import Step
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState, Segment, Timer, TimerKind
from models.state.describe import describe
from models.triggers import Decision, DecisionOutcome, Tone, Trigger
from models.workdays import DAY_MS, moment
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_outcomes import state_of

PERSON: Step = DEFAULT_POLICY.journeys.delay[Segment.PROBLEM].human


def problem(build: Events, *, until: float, invoices: int = 1) -> Carried:
    """Return a firm with a problem client whose invoices are due on day 10."""
    events: list[AnyClientEvent] = [build.profiled(0), build.override(0.1, OverrideEffect.SEGMENT, until=400, value="problem")]
    events += [build.issued(1 + place / 8, f"I{place}", due=10) for place in range(invoices)]
    return Carried(build).run(events, until_ms=ms(until))


def decisions(firm: Carried) -> list[Decision]:
    """Return what was decided, in order."""
    return [row for row in firm.outputs if isinstance(row, Decision)]


def mails(firm: Carried) -> list[Trigger]:
    """Return the messages to the client."""
    return [row for row in firm.triggers if row.channel == "email"]


def test_nothing_firm_leaves_while_nobody_has_tried_and_the_hold_says_why() -> None:
    firm = problem(Events(), until=22)
    assert [row.step for row in firm.triggers] == ["personal_contact"]
    last = decisions(firm)[-1]
    assert (last.outcome, last.step) == (DecisionOutcome.HELD, "firm_dates")
    assert "a person was asked to speak with the client first" in last.reasons[0]


def test_people_read_until_when_an_open_task_waits() -> None:
    firm = problem(Events(), until=14)
    (task,) = state_of(firm).care.tasks
    until = f"{moment(task.expires_ms):%Y-%m-%d %H:%M}"
    assert f"next {until}: a task expires, if nobody ends it ({task.trigger_id})" in describe(state_of(firm))


@pytest.mark.parametrize("kind", TimerKind)
def test_whatever_is_due_next_there_are_words_for_it(kind: TimerKind) -> None:
    known = ClientState("c")
    due = msgspec.structs.replace(known, care=msgspec.structs.replace(known.care, timers=(Timer(ms(3), kind, "A1"),)))
    (line,) = [row for row in describe(due) if row.startswith("next ")]
    assert line.endswith(" (A1)")


@pytest.mark.parametrize("outcome", [DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED])
def test_once_somebody_has_tried_the_ladder_goes_on_as_it_was_meant(outcome: DeliveryOutcome) -> None:
    build = Events()
    firm = problem(build, until=19, invoices=2)
    (task,) = firm.triggers
    firm.feed(build.reported(19, task.trigger_id, outcome, channel="task"))
    assert state_of(firm).care.tasks == ()
    firm.wake(ms(26))
    (first,) = mails(firm)
    assert (first.step, first.tone, first.invoice_ids) == ("firm_dates", Tone.FIRM, ("I0", "I1"))
    firm.wake(ms(40))
    assert [row.tone for row in mails(firm)] == [Tone.FIRM, Tone.FIRM]


def test_a_talk_told_before_the_board_was_heard_of_counts() -> None:
    build = Events()
    firm = problem(build, until=12)
    firm.away_ms = ms(0)
    firm.wake(ms(15))
    firm.feed(build.reported(15.1, firm.triggers[0].trigger_id, DeliveryOutcome.DELIVERED, channel="task"))
    firm.away_ms = ms(1_000)
    firm.wake(ms(30))
    assert mails(firm)[0].tone is Tone.FIRM


def test_a_call_that_nobody_booked_on_the_task_counts_as_a_try_too() -> None:
    build = Events()
    firm = problem(build, until=16)
    firm.feed(build.called(16))
    firm.wake(ms(30))
    assert mails(firm)[0].tone is Tone.FIRM


def test_a_call_long_before_does_not() -> None:
    build = Events()
    firm = Carried(build).run(
        [
            build.profiled(0),
            build.called(0.5),
            build.override(1, OverrideEffect.SEGMENT, until=400, value="problem"),
            build.issued(1, "I0", due=10),
        ],
        until_ms=ms(40),
    )
    assert {row.tone for row in mails(firm)} == {Tone.STRUCTURED}


def test_a_task_that_nobody_does_expires_says_so_and_what_follows_is_softer_with_the_reason() -> None:
    firm = problem(Events(), until=60)
    (task, *_) = firm.triggers
    first = mails(firm)[0]
    assert first.not_before >= task.expires_at
    assert (task.expires_at - task.not_before).days == PERSON.valid_days
    assert {row.tone for row in mails(firm)} == {Tone.STRUCTURED}
    assert "nobody has said that they tried to speak with the client first: it is said more gently" in first.reasons
    said = [row for row in decisions(firm) if row.trigger_id == task.trigger_id and row.outcome is DecisionOutcome.SUPPRESSED]
    assert len(said) == 1
    assert "nobody has ended this task" in said[0].reasons[0]
    assert said[0].decided_at <= first.decided_at


def test_what_the_facts_overtake_does_not_expire_and_a_talk_still_needed_is_asked_for_anew() -> None:
    build = Events()
    firm = problem(build, until=16)
    firm.feed(build.paid(16, "P1", 40_000, "I0"))
    firm.wake(ms(20))
    assert [row.step for row in firm.triggers if row.channel == "task"] == ["personal_contact", "personal_contact"]
    firm.feed(build.paid(20, "P2", 60_000, "I0"))
    firm.wake(ms(60))
    assert state_of(firm).care.tasks == ()
    assert not any("nobody has ended" in row.reasons[0] for row in decisions(firm))


def test_open_tasks_are_bounded() -> None:
    build = Events()
    firm = Carried(build).run([build.profiled(0)])
    for place in range(KEPT + 3):
        firm.feed(build.asks(1 + place))
        firm.wake(ms(1 + place) + DAY_MS // 8)
    assert 0 < len(state_of(firm).care.tasks) <= KEPT

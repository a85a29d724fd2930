"""The circuit for a reliable payer who suddenly turns late: people first, nothing harsher, nobody moved meanwhile."""

import pytest

from models.events.signals import DeliveryOutcome
from models.events.union import AnyClientEvent
from models.policy.in_force import in_force
from models.policy.material import material_lateness
from models.policy.policy import DEFAULT_POLICY, Policy, SegmentRules
from models.policy.segments import is_alarming
from models.regime import LateFeed, Regime
from models.state.client import Segment, TimerKind
from models.triggers import CancelWhen, Decision, DecisionOutcome, Retraction, Trigger
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly, moves

HOLD = DEFAULT_POLICY.segments.alarm_hold_days
ALARM = 261
"""Day on which the older of two invoices due on days 250 and 251 is eleven days past due."""


def turning_late(build: Events) -> list[AnyClientEvent]:
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=-2)]
    log += [build.issued(240, "X1", 90_000, due=250), build.issued(240.5, "X2", 90_000, due=251)]
    return log


def named(firm: Firm, *steps: str) -> list[Trigger]:
    return [row for row in firm.triggers if row.step in steps]


def told(firm: Firm, outcome: DeliveryOutcome, build: Events, *, step: str, day: float) -> None:
    (trigger,) = named(firm, step)
    firm.feed(build.reported(day, trigger.trigger_id, outcome, channel=trigger.channel))


def test_time_alone_raises_the_alarm_and_opens_both_tasks_the_same_day() -> None:
    firm = Firm().run(turning_late(Events()), until_ms=ms(ALARM - 0.1))
    assert firm.state is not None
    assert not firm.state.care.alarm_ms
    firm.wake(ms(ALARM + 0.9))
    assert firm.state.care.alarm_ms == ms(ALARM)
    tasks = named(firm, "contact_check", "personal_contact")
    assert sorted(row.step for row in tasks) == ["contact_check", "personal_contact"]
    assert {row.channel for row in tasks} <= DEFAULT_POLICY.internal_channels
    assert all(ms(ALARM) <= row.decided_at.timestamp() * 1000 < ms(ALARM + 0.9) for row in tasks)


@pytest.mark.parametrize("segment", Segment)
def test_nobody_but_a_reliable_payer_turns_late_suddenly(segment: Segment) -> None:
    firm = Firm().run(turning_late(Events()), until_ms=ms(ALARM + 0.9))
    assert firm.state is not None
    past = material_lateness(firm.state, DEFAULT_POLICY)
    assert is_alarming(past, segment, DEFAULT_POLICY) is (segment is Segment.RELIABLE)


def test_nothing_is_sent_by_itself_while_a_person_is_waited_for() -> None:
    firm = Firm().run(turning_late(Events()), until_ms=ms(ALARM + HOLD - 1))
    sent = [row for row in firm.triggers if row.decided_at.timestamp() * 1000 >= ms(ALARM) and row.channel == "email"]
    assert not sent
    firm.wake(ms(ALARM + HOLD + 5))
    (after,) = [row for row in firm.triggers if row.decided_at.timestamp() * 1000 >= ms(ALARM) and row.channel == "email"]
    assert (after.step, after.tone.value) == ("offer_help", "gentle")


def test_nobody_is_moved_before_a_person_has_spoken_or_the_wait_is_over() -> None:
    build = Events()
    # Rules that move at once and believe anything: only the circuit is left to wait.
    swift = SegmentRules(persist_days=1, agree=0.0, problem_share=0.05, problem_days=12)
    policy = Policy(segments=swift)
    looks = [build.profiled(ALARM + day) for day in (3, 6, 9)]  # at each of them the client is judged anew
    waiting = Firm(policy=policy).run([*turning_late(build), *looks], until_ms=ms(ALARM + HOLD - 1))
    assert [row.change.after for row in moves(waiting) if row.change] == ["reliable"]
    asked = Firm(policy=policy).run([*turning_late(build), build.called(ALARM + 3)], until_ms=ms(ALARM + 14))
    assert [row.change.after for row in moves(asked) if row.change] == ["reliable", "problem"]
    waiting.wake(ms(ALARM + HOLD + 14))
    assert [row.change.after for row in moves(waiting) if row.change] == ["reliable", "problem"]


def test_the_alarm_ends_with_the_last_overdue_invoice_and_takes_the_check_back() -> None:
    build = Events()
    log = [*turning_late(build), build.paid(ALARM + 2, "PX2", 90_000, "X2"), build.paid(ALARM + 4, "PX1", 90_000, "X1")]
    firm = Firm().run(log, until_ms=ms(ALARM + 90))
    assert firm.state is not None
    assert firm.state.care.alarm_ms == 0
    assert firm.state.care.segment is Segment.RELIABLE
    (check,) = named(firm, "contact_check")
    back = [row for row in firm.outputs if isinstance(row, Retraction) and row.trigger_id == check.trigger_id]
    assert [row.because for row in back] == [CancelWhen.INVOICES_SETTLED]
    assert len(moves(firm)) == 1


def test_the_check_is_taken_back_where_what_was_overdue_is_due_later_and_not_paid() -> None:
    build = Events()
    log = [*turning_late(build), *(build.amended(ALARM + 2, name, due=300) for name in ("X1", "X2"))]
    firm = Firm().run(log, until_ms=ms(ALARM + 5))
    assert firm.state is not None
    assert firm.state.care.alarm_ms == 0
    (check,) = named(firm, "contact_check")
    back = [row for row in firm.outputs if isinstance(row, Retraction) and row.trigger_id == check.trigger_id]
    assert [row.reasons for row in back] == [("nothing is overdue any more",)]


def alarmed(log: list[AnyClientEvent], build: Events, *, day: float) -> bool:
    firm = Firm().run([*log, build.profiled(day)])
    return firm.state is not None and firm.state.care.alarm_ms > 0


def test_one_invoice_too_little_history_or_a_client_who_is_often_late_is_nothing_sudden() -> None:
    build = Events()
    assert alarmed(turning_late(build), build, day=ALARM + 1)
    assert not alarmed(turning_late(build), build, day=ALARM - 1)
    assert not alarmed(turning_late(build)[:-1], build, day=ALARM + 20)
    brief = [build.profiled(0), *monthly(build, 3, late=-2)]
    brief += [build.issued(95, "X1", 90_000, due=100), build.issued(95.5, "X2", 90_000, due=101)]
    assert not alarmed(brief, build, day=112)
    mixed = [build.profiled(0), *monthly(build, 6, late=-2), *monthly(build, 2, late=9, first=6)]
    mixed += turning_late(build)[-2:]
    (first,) = {row.change.after for row in moves(Firm().run(mixed)) if row.change}
    assert first == "reliable"
    assert not alarmed(mixed, build, day=ALARM + 1)


def test_what_becomes_of_the_check_moves_no_step_of_the_ladder() -> None:
    build = Events()
    firm = Firm().run(turning_late(build), until_ms=ms(ALARM + 0.9))
    assert firm.state is not None
    runs = firm.state.care.runs
    told(firm, DeliveryOutcome.FAILED, build, step="contact_check", day=ALARM + 1)
    assert firm.state.care.runs == runs


def test_the_alarm_says_why_in_one_decision() -> None:
    firm = Firm().run(turning_late(Events()), until_ms=ms(ALARM + 40))
    held = [row for row in firm.outputs if getattr(row, "outcome", None) is DecisionOutcome.HELD and "suddenly" in str(row)]
    assert len(held) == 1


def test_a_client_with_one_open_invoice_has_no_alarm_to_wait_for() -> None:
    build = Events()
    firm = Firm().run([*monthly(build, 8, late=-2), build.issued(240, "X1", 90_000, due=250)])
    assert firm.state is not None
    grown_old = ms(250 + DEFAULT_POLICY.segments.problem_days + 1)
    assert [row.due_ms for row in firm.state.care.timers if row.kind == TimerKind.SEGMENT] == [grown_old]


def without_news(day: float) -> Policy:
    """Return the policy while the source of the builders' payments has been silent since `day`."""
    late = Regime(feeds=(LateFeed("test", ms(day), ms(day), "watch", "silent"),))
    return in_force(DEFAULT_POLICY, late, base=DEFAULT_POLICY, find=lambda _: None)


def test_a_source_that_is_late_raises_no_alarm_until_it_delivers_again() -> None:
    firm = Firm().run(turning_late(Events()), until_ms=ms(ALARM - 3))
    firm.policy = without_news(ALARM - 5)
    firm.wake(ms(ALARM + 6))
    assert not named(firm, "contact_check")
    firm.policy = DEFAULT_POLICY
    firm.wake(ms(ALARM + 7))
    assert len(named(firm, "contact_check")) == 1


def test_nobody_becomes_slow_while_the_source_of_their_money_is_late() -> None:
    def story(policy: Policy, build: Events) -> Firm:
        log = [*monthly(build, 6, late=-2), *monthly(build, 8, late=12, first=6)]
        return Firm(policy=policy).run(log, until_ms=ms(450))

    def moved(firm: Firm) -> list[str]:
        return [row.change.after for row in moves(firm) if row.change]

    assert moved(story(DEFAULT_POLICY, Events())) == ["reliable", "slow"]
    build = Events()
    blind = story(without_news(0), build)
    assert moved(blind) == ["reliable"]
    said = [row for row in blind.outputs if isinstance(row, Decision) and "stays reliable, not slow" in row.reasons[0]]
    assert [row.outcome for row in said] == [DecisionOutcome.SUPPRESSED]
    blind.policy = DEFAULT_POLICY
    blind.feed(build.paid(451, "LATE", 100, None))
    assert moved(blind) == ["reliable", "slow"]

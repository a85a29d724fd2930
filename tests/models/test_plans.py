"""Instalment plans: what rests, what is asked for, in any order of arrival, and what kept and broken plans say of a client."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome
from models.events.union import AnyClientEvent
from models.state.balances import exposures, items
from models.state.client import ClientState, Segment
from models.state.describe import describe
from models.state.history import lateness
from models.triggers import CancelWhen, Decision, DecisionOutcome, Journey, Retraction, Trigger
from tests.models.builders import Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.views import final, money_view

THREE = ((40, 30_000), (70, 30_000), (100, 40_000))


def firm_with_plan(build: Events, *, agreed: float = 5) -> Firm:
    return Firm().run([build.profiled(0), build.issued(1, "I1", 100_000, due=20), build.planned(agreed, parts=THREE)])


def support(firm: Firm) -> list[Trigger]:
    return [row for row in firm.triggers if row.journey is Journey.DELAY_SUPPORT]


def held(firm: Firm) -> list[str]:
    return [row.reasons[0] for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.HELD]


def test_a_plan_agreed_before_the_due_date_mutes_the_invoice_and_says_so_once() -> None:
    firm = firm_with_plan(Events())
    firm.wake(ms(41))
    assert not support(firm)
    assert [line for line in held(firm) if "plan" in line] == ["a plan covers invoice I1: instalment 1 of 3 is due on 2024-02-17"]


def test_each_missed_instalment_is_spoken_of_once_gently_then_a_person_asks_and_then_the_plan_ends() -> None:
    firm = firm_with_plan(Events())
    firm.wake(ms(75))
    steps = [(row.step, row.tone.value, row.facts.get("instalment")) for row in support(firm)]
    assert steps[:2] == [("missed_instalment", "gentle", 1), ("plan_check", "gentle", 1)]
    mail, call = support(firm)[:2]
    assert (mail.channel, call.channel, call.lineage) == ("email", "task", mail.lineage)
    assert support(firm)[0].facts["amount_open"].minor == 30_000  # type: ignore[union-attr]
    assert any("the plan holds no more" in line for line in held(firm))
    assert steps[2][0] == "explain_terms"
    assert support(firm)[2].facts["amount_open"].minor == 100_000  # type: ignore[union-attr]


def test_a_missed_instalment_that_is_promised_waits_for_the_promise() -> None:
    build = Events()
    firm = firm_with_plan(build)
    firm.run([build.promised(39, by=55, minor=30_000)], until_ms=ms(54))
    assert not support(firm)
    assert "payment of invoice I1 is promised" in held(firm)
    assert firm.due is not None
    assert firm.due > ms(54)
    firm.wake(ms(60))
    assert [row.facts["instalment"] for row in support(firm)] == [1]


def test_an_instalment_paid_late_brings_the_plan_back_and_the_next_one_has_its_own_note() -> None:
    build = Events()
    firm = firm_with_plan(build)
    firm.run([build.paid(47, "P1", 30_000, "I1")], until_ms=ms(76))
    assert [(row.step, row.facts["instalment"]) for row in support(firm)] == [
        ("missed_instalment", 1),
        ("missed_instalment", 2),
    ]
    assert support(firm)[0].trigger_id != support(firm)[1].trigger_id


def test_a_plan_takes_back_the_reminder_that_has_not_left_and_a_paid_instalment_its_note() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, "I1", 100_000, due=10)], until_ms=ms(14.5))
    assert [row.step for row in support(firm)] == ["explain_terms"]
    firm.run([build.planned(14.6, parts=THREE)])
    (taken,) = [row for row in firm.outputs if isinstance(row, Retraction)]
    assert (taken.because, taken.reasons) == (CancelWhen.INVOICES_PROMISED, ("invoice I1 is paid in instalments",))
    firm.wake(ms(46))
    note = support(firm)[-1]
    assert note.step == "missed_instalment"
    firm.run([build.paid(46.1, "P1", 30_000, "I1")])
    assert [row for row in firm.outputs if isinstance(row, Retraction)][-1].because is CancelWhen.INVOICES_SETTLED


def test_an_instalment_s_note_that_failed_is_sent_anew_and_moves_no_other_step() -> None:
    build = Events()
    firm = firm_with_plan(build)
    firm.wake(ms(46))
    (note,) = support(firm)
    firm.run([build.reported(46.1, note.trigger_id, DeliveryOutcome.FAILED)], until_ms=ms(50))
    assert [row.step for row in support(firm)] == ["missed_instalment", "missed_instalment"]
    assert support(firm)[1].trigger_id != note.trigger_id


def test_exposure_and_description_show_what_rests_under_a_plan() -> None:
    build = Events()
    firm = firm_with_plan(build).run([build.paid(30, "P1", 10_000, "I1")], until_ms=ms(45))
    assert firm.state is not None
    (row,) = exposures(firm.state.ledger, firm.state.now_ms)
    assert (row.part_paid, row.planned, row.net) == (10_000, 70_000, 20_000)
    told = "\n".join(describe(firm.state))
    assert "700.00 EUR planned" in told
    assert "plan: instalment 1 of 3 is next, due 2024-02-17" in told


@given(st.permutations(range(6)))
@settings(max_examples=40)
def test_whatever_order_the_news_of_a_plan_arrive_in_the_money_is_the_same(order: list[int]) -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.issued(1, "I1", 100_000, due=20),
        build.planned(5, parts=THREE),
        build.planned(6, "L1", parts=((45, 50_000), (75, 50_000))),
        build.paid(41, "P1", 30_000, "I1"),
        build.plan_cancelled(4, "L1"),
        build.planned(3, "L0", parts=((200, 100_000),)),
    ]
    views = [
        money_view(final([event.model_copy(update={"received_at": on(50 + place)}) for place, event in enumerate(log)]))
        for log in (story, [story[index] for index in order])
    ]
    assert views[0] == views[1]


def test_a_cancelled_plan_leaves_no_trace_in_the_money_whichever_word_comes_first() -> None:
    build = Events()
    issued = build.issued(1, "I1", 100_000, due=20)
    agreed, cancelled = build.planned(5, parts=THREE), build.plan_cancelled(6)
    without = final([issued])
    told: list[AnyClientEvent] = [issued, agreed, cancelled]
    for log in permutations(told):
        state = final([event.model_copy(update={"received_at": on(30)}) for event in log])
        assert exposures(state.ledger, ms(30)) == exposures(without.ledger, ms(30))
        (item,) = items(state.ledger, ms(30))
        assert (item.rest, item.standing) == (100_000, None)


def _client(build: Events, *, kept: bool) -> ClientState:
    """Return a client whose ten invoices were deferred by sixty days before they were due, and paid then, or forty days later."""
    log: list[AnyClientEvent] = []
    for number in range(10):
        first, due = number * 30 + 1.0, number * 30 + 15.0
        name = f"I{number}"
        log += [
            build.issued(first, name, 10_000, due=due),
            build.planned(first + 1, f"L{number}", name, parts=((due + 60, 10_000),)),
            build.paid(due + (59 if kept else 100), f"P{number}", 10_000, name),
        ]
    firm = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(480))
    assert firm.state is not None
    return firm.state


def test_kept_plans_count_as_paid_on_time_and_broken_ones_as_late_for_segment_and_learner() -> None:
    kept, broken = _client(Events(), kept=True), _client(Events(), kept=False)
    assert (lateness(kept).late, lateness(broken).late) == (0, 10)
    assert kept.care.segment is Segment.RELIABLE
    assert broken.care.segment in {Segment.SLOW, Segment.PROBLEM}
    assert kept.habits.late == 0
    assert broken.habits.late == 10


def test_what_was_late_before_a_plan_was_agreed_stays_late() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.issued(1, "I1", 10_000, due=10),
        build.planned(40, parts=((60, 10_000),)),
        build.paid(59, "P1", 10_000, "I1"),
    ]
    firm = Firm().run(log)
    assert firm.state is not None
    (label,) = lateness(firm.state).recent
    assert label.days_late == 30


def test_while_a_plan_holds_the_invoice_is_not_overdue_for_the_rules() -> None:
    firm = firm_with_plan(Events())
    firm.wake(ms(38))
    assert firm.state is not None
    assert lateness(firm.state).overdue_now == 0

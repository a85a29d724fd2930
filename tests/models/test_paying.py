"""A parent that pays for its children: whatever the order in which partitions read, money is with who pays, once."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.signals import ClientAsked, Request
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY
from models.policy.requests import ANSWER_STEP
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.describe import describe
from models.transition import Disposition, transition
from models.triggers import CancelWhen, ExamplesWithdrawn, Retraction, Trigger
from tests.models.builders import Events, ms, on, tick
from tests.models.stories import arriving, facts
from tests.models.test_merging import DICE, Firm, called, firm_that_wrote, told_by
from tests.models.test_money_laws import accounted
from tests.models.views import final, money_view, rhythm_view


def holdings(firm: Firm) -> dict[str, list[tuple[str, int, int]]]:
    """Return what each client has: its invoices with what was paid on them."""
    return {
        name: sorted((row.invoice_id, row.minor, row.paid) for row in state.ledger.invoices)
        for name, state in sorted(firm.states.items())
    }


@given(facts(), DICE)
@settings(max_examples=150)
def test_wherever_the_word_falls_who_pays_has_the_money_and_rhythm_of_the_joined_history(
    events: list[AnyClientEvent], dice: Random
) -> None:
    log = arriving(events, list(range(len(events))))
    told = told_by(("child", "parent"), log, dice)
    place = dice.randint(0, len(told))
    told.insert(place, Events("child").delegated(6, "parent", received=7 + place / 1440, event_id="word"))
    firm = Firm(dice).tell(told).read().tell([called("parent")]).read()
    alone = final([*log, called("client-1")])
    assert money_view(firm.states["parent"]) == money_view(alone)
    assert rhythm_view(firm.states["parent"]) == rhythm_view(alone)
    assert accounted(firm.states["parent"])
    assert firm.states["child"].ledger == ClientState("").ledger


@given(facts(), DICE)
@settings(max_examples=100)
def test_what_a_grandparent_pays_and_what_is_merged_on_the_way_ends_with_the_last_that_pays(
    events: list[AnyClientEvent], dice: Random
) -> None:
    log = arriving(events, list(range(len(events))))
    told = told_by(("old", "child", "parent", "top"), log, dice)
    words: list[AnyClientEvent] = [
        Events("old").merged(6, "child", received=7, event_id="merge"),
        Events("child").delegated(6, "parent", received=7, event_id="word-1"),
        Events("parent").delegated(6, "top", received=7, event_id="word-2"),
    ]
    for word in words:
        told.insert(dice.randint(0, len(told)), word)
    firm = Firm(dice).tell(told).read().tell([called("top")]).read()
    assert money_view(firm.states["top"]) == money_view(final([*log, called("client-1")]))
    for name in ("old", "child", "parent"):
        assert firm.states[name].ledger == ClientState("").ledger


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc-")), max_size=6), st.integers(1, 6), DICE)
@settings(max_examples=300)
def test_however_words_of_who_pays_cross_every_invoice_is_in_one_place_and_its_payment_finds_it(
    words: list[tuple[str, str]], count: int, dice: Random
) -> None:
    told: list[AnyClientEvent] = []
    for number in range(count):
        name = dice.choice("abc")
        told.append(Events(name).issued(0.5, f"I{number}", 1_000, event_id=f"issued-{number}", received=7))
    for number, (child, payer) in enumerate(words):
        word = Events(child).delegated(number / 10, None if payer == "-" else payer, received=7, event_id=f"word-{number}")
        told.insert(dice.randint(0, len(told)), word)
    named = {event.event_id: event.client_id for event in told}
    firm = Firm(dice).tell(told).read()
    for number in range(count):
        paid = Events(named[f"issued-{number}"]).paid(1, f"P{number}", 1_000, f"I{number}", received=8, event_id=f"paid-{number}")
        firm.tell([paid])
    firm.read()
    rows = [row for state in firm.states.values() for row in state.ledger.invoices]
    assert sorted((row.invoice_id, row.minor, row.paid) for row in rows) == [
        (f"I{number}", 1_000, 1_000) for number in range(count)
    ]
    assert sum(len(state.ledger.payments) for state in firm.states.values()) == count


def test_a_payment_finds_its_invoice_whichever_of_the_two_it_names() -> None:
    told: list[AnyClientEvent] = [
        Events("child").issued(1, "I1", 90_000, event_id="i1"),
        Events("child").delegated(2, "parent", event_id="word"),
        Events("child").issued(3, "I2", 50_000, event_id="i2"),
        Events("parent").issued(3, "I3", 10_000, event_id="i3"),
        Events("parent").paid(4, "P1", 90_000, "I1", event_id="p1"),
        Events("child").paid(4, "P2", 50_000, "I2", event_id="p2"),
        Events("parent").paid(5, "P3", 4_000, None, event_id="p3"),
    ]
    firm = Firm().tell(told).read()
    assert holdings(firm) == {"child": [], "parent": [("I1", 90_000, 90_000), ("I2", 50_000, 50_000), ("I3", 10_000, 0)]}
    (row,) = exposures(firm.states["parent"].ledger, ms(5))
    assert row.net == 6_000
    assert "it pays for child" in describe(firm.states["parent"])
    assert "parent pays for it: invoices and payments are there" in describe(firm.states["child"])


def test_ended_what_came_before_stays_where_it_is_and_what_names_it_goes_there() -> None:
    told: list[AnyClientEvent] = [
        Events("child").issued(1, "I1", 90_000, event_id="i1"),
        Events("child").delegated(2, "parent", event_id="word"),
        Events("child").issued(3, "I2", 50_000, event_id="i2"),
        Events("child").delegated(4, None, event_id="end"),
        Events("child").issued(5, "I3", 70_000, event_id="i3"),
        Events("child").paid(6, "P1", 90_000, "I1", event_id="p1"),
        Events("child").paid(6, "P2", 50_000, "I2", event_id="p2"),
        Events("child").paid(6, "P3", 70_000, "I3", event_id="p3"),
        Events("child").refunded(7, "R2", "P2", 20_000).model_copy(update={"event_id": "r2"}),
    ]
    firm = Firm().tell(told).read()
    assert holdings(firm) == {"child": [("I3", 70_000, 70_000)], "parent": [("I1", 90_000, 90_000), ("I2", 50_000, 30_000)]}
    assert "it paid for child" in describe(firm.states["parent"])
    assert "parent has invoices and payments of before: what names them goes there" in describe(firm.states["child"])


def test_an_earlier_word_that_arrives_later_changes_nothing_and_a_client_does_not_pay_for_itself() -> None:
    told: list[AnyClientEvent] = [
        Events("child").delegated(4, None, event_id="end", received=5),
        Events("child").delegated(2, "parent", event_id="word", received=6),
        Events("child").issued(6, "I1", 1_000, event_id="i1"),
        Events("child").delegated(7, "child", event_id="self"),
        Events("old").merged(7, "child", event_id="merge"),
    ]
    firm = Firm().tell(told).read().tell([Events("child").delegated(8, "old", event_id="part")]).read()
    assert holdings(firm)["child"] == [("I1", 1_000, 0)]
    assert firm.states["child"].identity.payer == ""
    assert [row.outcome for row in firm.states["child"].care.notes].count("refused") == 2


def test_what_was_about_to_be_asked_of_the_child_is_taken_back_and_nobody_asks_it_again() -> None:
    firm, message = firm_that_wrote()
    day = (message.decided_at - on(0)).total_seconds() / 86_400
    result = firm.fold(Events("a").delegated(day + 0.01, "parent", event_id="word"))
    (back,) = [output for output in result.outputs if isinstance(output, Retraction)]
    assert (back.trigger_id, back.because) == (message.trigger_id, CancelWhen.CLIENT_MERGED)
    firm.read()
    assert [row.invoice_id for row in firm.states["parent"].ledger.invoices] == list(message.invoice_ids)
    assert not any(timer.anchor for timer in firm.states["a"].care.timers)
    assert [timer.anchor for timer in firm.states["parent"].care.timers if timer.anchor] == list(message.invoice_ids)


def test_news_of_what_a_payer_knows_is_counted_once_although_it_is_published_twice() -> None:
    firm = Firm().tell([Events("child").issued(1, "I1", 90_000, event_id="i1")]).read()
    firm.tell([Events("child").delegated(2, "parent", event_id="word")]).read()
    firm.tell([Events("child").paid(3, "P1", 40_000, "I1", event_id="p1")]).read()
    firm.tell([Events("parent").called(30 + day).model_copy(update={"event_id": f"call-{day}"}) for day in range(80)]).read()
    before = firm.states["parent"]
    again = [firm.fold(event) for event in firm.published["child"]]
    assert [result.disposition for result in again] == [Disposition.DUPLICATE, Disposition.DUPLICATE]
    assert firm.states["parent"] == before


@given(DICE)
@settings(max_examples=20)
def test_a_payer_that_asks_to_be_forgotten_pays_for_nobody_any_more(dice: Random) -> None:
    told: list[AnyClientEvent] = [
        Events("child").issued(1, "I1", 90_000, event_id="i1"),
        Events("child").delegated(2, "parent", event_id="word"),
        Events("parent").erased(3).model_copy(update={"event_id": "erasure"}),
    ]
    firm = Firm(dice).tell(told).read().tell([Events("child").issued(4, "I2", 50_000, event_id="i2")]).read()
    assert holdings(firm) == {"child": [("I2", 50_000, 0)], "parent": []}


def test_a_child_that_asks_to_be_forgotten_is_and_payments_in_its_name_still_reach_what_is_owed() -> None:
    told: list[AnyClientEvent] = [
        Events("child").profiled(0),
        Events("child").issued(1, "I1", 90_000, event_id="i1"),
        Events("child").delegated(2, "parent", event_id="word"),
        Events("child").erased(3).model_copy(update={"event_id": "erasure"}),
        Events("child").paid(4, "P1", 90_000, "I1", event_id="p1"),
        Events("child").issued(5, "I2", 50_000, event_id="i2"),
    ]
    firm = Firm().tell(told).read()
    assert holdings(firm) == {"child": [], "parent": [("I1", 90_000, 90_000)]}
    assert firm.states["child"].person == ClientState("").person
    assert {output.client_id for output in firm.outputs if isinstance(output, ExamplesWithdrawn)} == {"child"}


def firm_that_owes() -> Firm:
    """Return a parent that is about to be written to about two invoices of its child."""
    child = Events("child")
    told: list[AnyClientEvent] = [
        child.profiled(0),
        child.issued(1, "I1", 90_000, due=10),
        child.issued(1, "I2", 90_000, due=10),
        Events("parent").profiled(0).model_copy(update={"event_id": "profile"}),
        child.delegated(2, "parent", event_id="word"),
    ]
    return Firm().tell(told).read()


def written_about(firm: Firm, *, until: float) -> list[tuple[str, ...]]:
    """Wake the parent and return what it is written to about."""
    result = transition(firm.states["parent"], tick(until), policy=DEFAULT_POLICY, scorer=BASELINE)
    return [row.invoice_ids for row in result.outputs if isinstance(row, Trigger)]


def asked(day: float, request: Request, invoice: str | None = None) -> AnyClientEvent:
    known = Events("child").asks(day, request).model_dump() | {"event_id": f"asked-{request}-{invoice}", "invoice_id": invoice}
    return ClientAsked.model_validate(known)


def tasks(firm: Firm) -> list[tuple[str, str]]:
    return [(row.client_id, row.anchor) for row in firm.outputs if isinstance(row, Trigger) and row.step == ANSWER_STEP]


@pytest.mark.parametrize("request_", [Request.PLAN, Request.LATER])
@pytest.mark.parametrize("invoice", ["I1", None])
def test_who_asks_for_time_by_an_old_link_asks_the_firm_about_who_pays_and_that_one_is_not_asked_meanwhile(
    request_: Request, invoice: str | None
) -> None:
    firm = firm_that_owes()
    assert written_about(firm, until=14) == [("I1", "I2")]
    firm.tell([asked(12.1, request_, invoice)]).read()
    assert [name for name, _ in tasks(firm)] == ["parent"]
    (task,) = [row for row in firm.outputs if isinstance(row, Trigger) and row.step == ANSWER_STEP]
    assert "child asks, for whom this client pays" in task.reasons
    assert written_about(firm, until=14) == ([("I2",)] if invoice else [])


def test_a_hold_on_an_invoice_goes_where_the_invoice_is_and_one_on_a_journey_stays() -> None:
    firm = firm_that_owes()
    hold = Events("child").hold(12.1, until=30, override="link.plan")
    whole = hold.model_copy(update={"event_id": "whole", "override_id": "link.pause"})
    firm.tell([hold.model_copy(update={"event_id": "one", "invoice_id": "I1"}), whole]).read()
    held = {name: [row.override_id for row in state.person.overrides] for name, state in firm.states.items()}
    assert held == {"parent": ["link.plan"], "child": ["link.pause"]}


def test_what_a_wish_names_several_of_rests_with_the_payer_for_as_long_as_the_page_says() -> None:
    firm = firm_that_owes()
    hold = Events("child").hold(12.1, until=26.1)
    holds = [
        hold.model_copy(update={"event_id": name, "override_id": f"link.plan-{name}", "invoice_id": name})
        for name in ("I1", "I2")
    ]
    firm.tell([asked(12.1, Request.PLAN), *holds]).read()
    assert written_about(firm, until=17) == []
    assert written_about(firm, until=28) == [("I1", "I2")]
    without = firm_that_owes()
    without.tell([asked(12.1, Request.PLAN)]).read()
    assert written_about(without, until=17) == [("I1", "I2")], "a wish alone rests all for a few business days"


def test_what_is_asked_of_people_about_the_client_itself_stays_with_it() -> None:
    firm = firm_that_owes()
    firm.tell([asked(12.1, request) for request in Request if request not in {Request.PLAN, Request.LATER}]).read()
    assert {name for name, _ in tasks(firm)} == {"child"}
    assert written_about(firm, until=14) == [("I1", "I2")]


def test_a_word_about_an_invoice_that_nobody_knows_does_not_make_it_the_payer_s() -> None:
    firm = firm_that_owes()
    firm.tell([asked(12.1, Request.PLAN, "I9"), Events("child").delegated(13, None, event_id="end")]).read()
    firm.tell([Events("child").issued(14, "I9", 5_000, event_id="i9")]).read()
    assert holdings(firm)["child"] == [("I9", 5_000, 0)]

"""A merge that is undone: what was told before stays where it is and is found there, what is new is the client's own again."""

from collections.abc import Callable
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome, Purpose
from models.events.union import AnyClientEvent
from models.policy.gate import refusal
from models.state.client import ClientState
from models.state.describe import describe
from models.transition import Disposition
from models.triggers import ExamplesWithdrawn
from tests.models.builders import Events
from tests.models.test_merging import DICE, Firm
from tests.models.test_paying import holdings

WORDS: dict[str, Callable[[str, str, int], AnyClientEvent]] = {
    "merge": lambda one, other, at: Events(one).merged(at / 10, other, received=7, event_id=f"word-{at}"),
    "split": lambda one, _, at: Events(one).split(at / 10, received=7, event_id=f"word-{at}"),
    "pays": lambda one, other, at: Events(one).delegated(at / 10, other, received=7, event_id=f"word-{at}"),
    "ends": lambda one, _, at: Events(one).delegated(at / 10, None, received=7, event_id=f"word-{at}"),
}


@given(
    st.lists(st.tuples(st.sampled_from(sorted(WORDS)), st.sampled_from("abc"), st.sampled_from("abc")), max_size=7),
    st.integers(1, 5),
    DICE,
)
@example(
    [("split", "b", "a"), ("merge", "c", "a"), ("pays", "c", "b"), ("merge", "a", "c"), ("merge", "b", "a")],
    1,
    Random(236),  # noqa: S311 - the way they are read
).via("the word that b is split off overtakes what b brought along, which goes in a circle first")
@settings(max_examples=400)
def test_however_merges_splits_and_words_of_who_pays_cross_every_invoice_is_in_one_place_and_its_payment_finds_it(
    words: list[tuple[str, str, str]], count: int, dice: Random
) -> None:
    told: list[AnyClientEvent] = [
        Events(dice.choice("abc")).issued(0.5, f"I{number}", 1_000, event_id=f"issued-{number}", received=7)
        for number in range(count)
    ]
    for at, (kind, one, other) in enumerate(words):
        told.insert(dice.randint(0, len(told)), WORDS[kind](one, other, at))
    named = {event.event_id: event.client_id for event in told}
    firm = Firm(dice).tell(told).read()
    for number in range(count):
        name = named[f"issued-{number}"]
        firm.tell([Events(name).paid(1, f"P{number}", 1_000, f"I{number}", received=8, event_id=f"paid-{number}")])
    firm.read()
    rows = [row for state in firm.states.values() for row in state.ledger.invoices]
    assert sorted((row.invoice_id, row.minor, row.paid) for row in rows) == [
        (f"I{number}", 1_000, 1_000) for number in range(count)
    ]
    assert sum(len(state.ledger.payments) for state in firm.states.values()) == count
    for state in firm.states.values():
        assert not (state.identity.into and state.ledger != ClientState("").ledger)


def company() -> Firm:
    told: list[AnyClientEvent] = [
        Events("a").profiled(0),
        Events("a").issued(1, "I1", 90_000, event_id="i1"),
        Events("b").issued(1, "I2", 50_000, event_id="i2"),
        Events("a").merged(2, "b", event_id="merge"),
        Events("a").issued(3, "I3", 70_000, event_id="i3"),
    ]
    return Firm().tell(told).read()


def test_what_was_told_before_a_split_stays_and_what_names_it_goes_there() -> None:
    firm = company().tell([Events("a").split(4, event_id="split")]).read()
    after: list[AnyClientEvent] = [
        Events("a").paid(5, "P1", 90_000, "I1", event_id="p1"),
        Events("a").paid(5, "P3", 30_000, "I3", event_id="p3"),
        Events("a").issued(6, "I4", 10_000, event_id="i4"),
        Events("a").paid(7, "P4", 10_000, "I4", event_id="p4"),
    ]
    firm.tell(after).read()
    assert holdings(firm) == {
        "a": [("I4", 10_000, 10_000)],
        "b": [("I1", 90_000, 90_000), ("I2", 50_000, 0), ("I3", 70_000, 30_000)],
    }
    assert "a was part of it" in describe(firm.states["b"])
    assert "b has invoices and payments of before: what names them goes there" in describe(firm.states["a"])


def test_a_refusal_told_while_they_were_one_holds_for_both_afterwards() -> None:
    firm = company()
    told: list[AnyClientEvent] = [
        Events("b").consent(3, Purpose.RELATIONSHIP).model_copy(update={"event_id": "no"}),
        Events("a").reported(3, "t", DeliveryOutcome.COMPLAINED).model_copy(update={"event_id": "spam"}),
        Events("b").consent(3, Purpose.PROMOTION, granted=True).model_copy(update={"event_id": "yes"}),
    ]
    firm.tell(told).read().tell([Events("a").split(4, event_id="split")]).read()
    for name in ("a", "b"):
        assert refusal(firm.states[name], Purpose.RELATIONSHIP, "sms")
        assert refusal(firm.states[name], Purpose.SERVICING, "email")
        assert refusal(firm.states[name], Purpose.SERVICING, "sms") is None
    assert refusal(firm.states["a"], Purpose.PROMOTION, "sms")
    assert refusal(firm.states["b"], Purpose.PROMOTION, "sms") is None


def test_a_split_of_what_is_part_of_nobody_is_refused_and_one_that_is_published_again_changes_nothing() -> None:
    firm = company().tell([Events("b").split(4, event_id="wrong"), Events("a").split(4, event_id="split")]).read()
    assert firm.states["b"].care.notes[-2].outcome == "refused"
    before = firm.states["b"]
    again = [firm.fold(event).disposition for event in firm.published["a"]]
    assert again == [Disposition.DUPLICATE] * len(again)
    assert firm.states["b"] == before


def test_a_client_that_was_part_of_the_one_split_off_goes_with_it() -> None:
    told: list[AnyClientEvent] = [Events("older").merged(2, "a", event_id="m1"), Events("a").merged(3, "b", event_id="m2")]
    firm = Firm().tell([Events("older").issued(1, "I1", 1_000, event_id="i1"), *told]).read()
    firm.tell([Events("a").split(4, event_id="split")]).read()
    firm.tell([Events("older").issued(5, "I2", 1_000, event_id="i2"), Events("older").paid(5, "P1", 1_000, "I1", event_id="p1")])
    assert holdings(firm.read()) == {"a": [("I2", 1_000, 0)], "b": [("I1", 1_000, 1_000)], "older": []}
    said = "\n".join(describe(firm.states["b"]))
    assert "a was part of it" in said
    assert "older was part of it" in said


def test_split_and_merged_again_all_is_one_once_more() -> None:
    firm = company().tell([Events("a").split(4, event_id="split")]).read()
    firm.tell([Events("a").issued(5, "I4", 10_000, event_id="i4"), Events("a").merged(6, "b", event_id="again")]).read()
    firm.tell([Events("a").paid(7, "P1", 90_000, "I1", event_id="p1"), Events("a").paid(7, "P4", 10_000, "I4", event_id="p4")])
    assert holdings(firm.read())["b"] == [("I1", 90_000, 90_000), ("I2", 50_000, 0), ("I3", 70_000, 0), ("I4", 10_000, 10_000)]
    assert "a is part of it" in describe(firm.states["b"])


def test_erased_after_the_split_only_what_is_told_in_that_name_since_is_forgotten() -> None:
    firm = company().tell([Events("a").split(4, event_id="split")]).read()
    firm.tell([Events("b").erased(5).model_copy(update={"event_id": "erasure"})]).read()
    firm.tell([Events("a").issued(6, "I4", 10_000, event_id="i4")]).read()
    assert holdings(firm) == {"a": [("I4", 10_000, 0)], "b": []}
    assert {output.client_id for output in firm.outputs if isinstance(output, ExamplesWithdrawn)} == {"b"}

"""Merges of clients: whatever the order in which partitions read, nothing is lost, doubled, or sent in the old name."""

from collections import deque
from collections.abc import Iterable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.policy.gate import still_allowed
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.state.describe import describe
from models.state.history import lateness
from models.transition import Disposition, Transition, transition
from models.triggers import AnyOutput, CancelWhen, ExamplesWithdrawn, Retraction, Trigger
from tests.models.builders import Events, ms, on, tick_at
from tests.models.stories import arriving, facts
from tests.models.test_money_laws import accounted
from tests.models.views import final, money_view, rhythm_view


class Firm:
    """Every client on a partition of its own, read in any order; what one passes on goes to the end of another's.

    Publishers are allowed what they may do: after a crash they begin again at something they had published before, so a stretch
    of what one client passed on may arrive again, in its order.
    """

    def __init__(self, dice: Random | None = None) -> None:
        self.logs: dict[str, deque[AnyClientEvent]] = {}
        self.states: dict[str, ClientState] = {}
        self.outputs: list[AnyOutput] = []
        self.published: dict[str, list[AnyClientEvent]] = {}
        self.dice = dice

    def tell(self, events: Iterable[AnyClientEvent]) -> "Firm":
        """Put events on the logs of their clients."""
        for event in events:
            self.logs.setdefault(event.client_id, deque()).append(event)
        return self

    def read(self) -> "Firm":
        """Read all logs to their ends, in the order in which the dice fall; without dice, as they lie."""
        while waiting := sorted(name for name, log in self.logs.items() if log):
            name = self.dice.choice(waiting) if self.dice else waiting[0]
            self.fold(self.logs[name].popleft())
            if self.dice and self.published and self.dice.random() < 0.3:
                self.crash(self.dice.choice(sorted(self.published)))
        return self

    def fold(self, event: AnyClientEvent) -> Transition:
        """Fold one event and publish what it makes the client pass on."""
        result = transition(self.states.get(event.client_id), event, policy=DEFAULT_POLICY, scorer=BASELINE)
        self.states[event.client_id] = decode(encode(result.state))
        self.outputs += result.outputs
        if result.passed_on:
            self.published.setdefault(event.client_id, []).extend(result.passed_on)
            self.tell(result.passed_on)
        return result

    def crash(self, name: str) -> None:
        """Publish the latest things that a client had passed on once more."""
        assert self.dice is not None
        self.tell(self.published[name][-self.dice.randint(1, 3) :])

    def standing(self) -> list[str]:
        """Return the clients that were merged into nobody."""
        return sorted(name for name, state in self.states.items() if not state.identity.into)


def told_by(names: Sequence[str], log: Sequence[AnyClientEvent], dice: Random) -> list[AnyClientEvent]:
    """Return the events, each told of one of the clients."""
    return [event.model_copy(update={"client_id": dice.choice(names)}) for event in log]


def called(name: str) -> AnyClientEvent:
    """Return an event that changes no money and comes after all others: it brings a client's clock to one moment."""
    return Events(name).called(0).model_copy(update={"event_id": "call", "received_at": on(8)})


NAMES = ("a", "b", "c")
DICE = st.integers(0, 2**32).map(Random)


@given(facts(), DICE)
@settings(max_examples=150)
def test_wherever_a_merge_falls_the_one_that_remains_has_the_money_and_rhythm_of_the_joined_history(
    events: list[AnyClientEvent], dice: Random
) -> None:
    log = arriving(events, list(range(len(events))))
    told: list[AnyClientEvent] = told_by(("a", "b"), log, dice)
    place = dice.randint(0, len(told))
    told.insert(place, Events("a").merged(6, "b", received=7 + place / 1440, event_id="merge"))
    firm = Firm(dice).tell(told).read().tell([called("b")]).read()
    assert firm.standing() == ["b"]
    alone = final([*log, called("client-1")])
    assert money_view(firm.states["b"]) == money_view(alone)
    assert rhythm_view(firm.states["b"]) == rhythm_view(alone)
    assert accounted(firm.states["b"])


@given(facts(), st.lists(st.permutations(NAMES), min_size=1, max_size=4), DICE)
@settings(max_examples=200)
def test_merged_in_chains_and_circles_all_money_ends_in_one_client_of_each_company_and_is_there_once(
    events: list[AnyClientEvent], merges: list[list[str]], dice: Random
) -> None:
    log = told_by(NAMES, arriving(events, list(range(len(events)))), dice)
    told = list(log)
    for number, (one, into, _) in enumerate(merges):
        told.insert(dice.randint(0, len(told)), Events(one).merged(6, into, received=7, event_id=f"merge-{number}"))
    firm = Firm(dice).tell(told).read()
    for company in companies_of(merges):
        if not company & firm.states.keys():
            continue
        (name,) = company & set(firm.standing())
        firm.tell([called(name)]).read()
        own = [event.model_copy(update={"client_id": name}) for event in log if event.client_id in company]
        assert money_view(firm.states[name]) == money_view(final([*own, called(name)]))
    for name, state in firm.states.items():
        if state.identity.into:
            assert (state.ledger, state.care.timers, state.care.pending) == (ClientState(name).ledger, (), ())


@given(st.lists(st.permutations("abcde"), min_size=2, max_size=8), DICE)
@settings(max_examples=300)
def test_however_merges_meet_on_their_ways_one_client_of_each_company_remains(merges: list[list[str]], dice: Random) -> None:
    told = [Events(one).merged(6, into, event_id=f"merge-{number}") for number, (one, into, *_) in enumerate(merges)]
    firm = Firm(dice).tell(told).read()
    for company in companies_of(merges):
        assert len(company & set(firm.standing())) == bool(company & firm.states.keys())


def companies_of(merges: Sequence[Sequence[str]]) -> list[set[str]]:
    """Return the names of each company, given pairs of names (and what follows them) that are one."""
    companies: list[set[str]] = [{name} for name in sorted({name for merge in merges for name in merge[:2]} | set(NAMES))]
    for one, into, *_ in merges:
        joined = [known for known in companies if known & {one, into}]
        companies = [known for known in companies if known not in joined] + [set().union(*joined)]
    return companies


def test_what_was_passed_on_long_ago_and_comes_again_from_a_rebuilt_log_is_neither_counted_nor_a_dead_letter() -> None:
    firm = Firm().tell([Events("a").issued(1, "I1", event_id="i1"), Events("a").merged(2, "b", event_id="merge")]).read()
    firm.tell([Events("a").paid(3, "P1", 40_000, "I1", event_id="p1")]).read()
    firm.tell([Events("b").called(30 + day).model_copy(update={"event_id": f"call-{day}"}) for day in range(80)]).read()
    before = firm.states["b"]
    again = [firm.fold(event) for event in firm.published["a"]]
    assert [result.disposition for result in again] == [Disposition.DUPLICATE, Disposition.DUPLICATE]
    assert firm.states["b"] == before


SENT: tuple[AnyClientEvent, ...] = (
    Events("a").profiled(0),
    Events("a").issued(1, "I1", 50_000, due=15, event_id="issued"),
)


def firm_that_wrote() -> tuple[Firm, Trigger]:
    """Return a firm whose client `a` is about to get its first message about an invoice that is overdue."""
    firm = Firm().tell([event.model_copy(update={"event_id": f"a-{at}"}) for at, event in enumerate(SENT)]).read()
    for _ in range(60):
        due = firm.states["a"].care.timers[0].due_ms
        result = transition(firm.states["a"], tick_at(due), policy=DEFAULT_POLICY, scorer=BASELINE)
        firm.states["a"] = result.state
        found = [output for output in result.outputs if isinstance(output, Trigger)]
        if found:
            return firm, found[0]
    raise AssertionError


def test_what_was_about_to_leave_in_the_old_name_is_taken_back_and_said_again_in_the_new_one() -> None:
    firm, message = firm_that_wrote()
    day = (epoch_ms(message.decided_at) - ms(0)) / 86_400_000
    firm.tell([Events("b").profiled(day).model_copy(update={"event_id": "b-0"})]).read()
    result = firm.fold(Events("a").merged(day + 0.01, "b", event_id="merge"))
    (back,) = [output for output in result.outputs if isinstance(output, Retraction)]
    assert (back.trigger_id, back.because) == (message.trigger_id, CancelWhen.CLIENT_MERGED)
    look = still_allowed(firm.states["a"], message, now_ms=ms(day + 0.01))
    assert (look.allowed, look.because) == (False, CancelWhen.CLIENT_MERGED)
    firm.read()
    word = Events("a").reported(day + 0.02, message.trigger_id, DeliveryOutcome.RETRACTED, channel=message.channel)
    firm.tell([word.model_copy(update={"event_id": "word"})]).read()
    state = firm.states["b"]
    assert state.care.pending == ()
    said: list[Trigger] = []
    while not said:
        result = transition(state, tick_at(state.care.timers[0].due_ms), policy=DEFAULT_POLICY, scorer=BASELINE)
        state = result.state
        said = [output for output in result.outputs if isinstance(output, Trigger)]
    assert (said[0].client_id, said[0].invoice_ids, said[0].step) == ("b", message.invoice_ids, message.step)


def test_a_message_that_had_left_before_the_merge_reached_the_channel_counts_as_a_contact_of_the_one_that_remains() -> None:
    firm, message = firm_that_wrote()
    day = (epoch_ms(message.decided_at) - ms(0)) / 86_400_000
    late = Events("a").reported(day + 0.02, message.trigger_id, DeliveryOutcome.TOO_LATE, channel=message.channel)
    firm.tell([Events("a").merged(day + 0.01, "b", event_id="merge"), late.model_copy(update={"event_id": "late"})]).read()
    care = firm.states["b"].care
    assert care.contacts == (ms(day + 0.02),)
    (run,) = [row for row in care.runs if row.anchor == "I1"]
    assert run.stage == 1


@given(DICE)
@settings(max_examples=30)
def test_erased_under_either_name_nothing_is_kept_and_examples_of_both_are_taken_back(dice: Random) -> None:
    told: list[AnyClientEvent] = [
        *(event.model_copy(update={"event_id": f"a-{at}"}) for at, event in enumerate(SENT)),
        Events("b").profiled(0).model_copy(update={"event_id": "b-0"}),
        Events("a").merged(2, "b", event_id="merge"),
    ]
    name = dice.choice(("a", "b"))
    told.insert(4 if name == "a" else dice.randint(3, 4), Events(name).erased(3).model_copy(update={"event_id": "erasure"}))
    firm = Firm(dice).tell(told).read()
    for state in firm.states.values():
        assert state.ledger == ClientState("").ledger
        assert state.person == ClientState("").person
    forgotten = {output.client_id for output in firm.outputs if isinstance(output, ExamplesWithdrawn)}
    assert forgotten == {"a", "b"}


def test_a_client_is_not_merged_into_itself_nor_into_what_is_part_of_it() -> None:
    firm = Firm().tell([Events("a").profiled(0), Events("a").merged(1, "b", event_id="one")]).read()
    firm.tell([Events("b").merged(2, "a", event_id="two"), Events("b").merged(3, "b", event_id="three")]).read()
    assert firm.standing() == ["b"]
    assert [row.outcome for row in firm.states["b"].care.notes] == ["merged", "refused", "refused"]
    assert firm.states["b"].person.name.value == firm.states["b"].person.name.value != ""


@pytest.mark.parametrize("place", range(3))
def test_what_a_worker_could_not_read_is_taken_in_when_it_is_driven_again_and_only_once(place: int) -> None:
    """At place 0 it is the state itself that could not be read."""
    firm = Firm().tell([Events("a").profiled(0), Events("a").issued(1, "I0", event_id="i0")]).read()
    firm.fold(Events("a").merged(1, "b", event_id="merge"))
    firm.fold(Events("a").issued(2, "I1", event_id="i1"))
    firm.fold(Events("a").issued(2, "I2", event_id="i2"))
    firm.fold(Events("a").issued(2, "I3", event_id="i3"))
    waiting = list(firm.logs.pop("b"))
    lost = waiting.pop(place)
    firm.tell(waiting).read()
    assert "1 of what it passed on did not come" in "\n".join(describe(firm.states["b"]))
    assert [firm.fold(lost).disposition for _ in range(2)] == [Disposition.APPLIED, Disposition.DUPLICATE]
    assert sorted(row.invoice_id for row in firm.states["b"].ledger.invoices) == ["I0", "I1", "I2", "I3"]
    assert "did not come" not in "\n".join(describe(firm.states["b"]))


def test_a_merged_client_has_nothing_to_do_when_time_passes_or_another_policy_is_in_force() -> None:
    firm = Firm().tell([Events("a").profiled(0), Events("a").merged(1, "b", event_id="merge")]).read()
    result = transition(firm.states["a"], tick_at(ms(400)), policy=DEFAULT_POLICY, scorer=BASELINE)
    assert (result.outputs, result.next_due_ms) == ((), None)


def test_segment_and_history_come_along_where_nothing_was_known_of_the_one_that_remains() -> None:
    firm = Firm().tell([event.model_copy(update={"client_id": "a"}) for event in year()])
    firm.read()
    before = transition(firm.states["a"], tick_at(ms(400)), policy=DEFAULT_POLICY, scorer=BASELINE).state
    firm.tell([Events("a").merged(400, "b", event_id="merge")]).read()
    after = firm.states["b"]
    assert (after.care.segment, after.first_seen_ms) == (before.care.segment, before.first_seen_ms)
    assert after.care.segment is not ClientState("").care.segment
    assert (after.habits.known, after.habits.endings) == (before.habits.known, before.habits.endings)
    assert lateness(after) == lateness(before)


def year() -> list[AnyClientEvent]:
    """Return a year of monthly invoices paid in time."""
    build = Events("a")
    told: list[AnyClientEvent] = [build.profiled(0)]
    for month in range(12):
        told.append(build.issued(1 + month * 30, f"I{month}", 10_000, due=15 + month * 30))
        told.append(build.paid(14 + month * 30, f"P{month}", 10_000, f"I{month}"))
    return told

"""The contact budget: reserved, spent or given back, once each, for the company and for the person; receipts cost nothing."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from models.events.envelope import epoch_ms
from models.events.signals import Colleague, Role
from models.events.union import AnyClientEvent
from models.policy.budget import MONTH_MS, commit, contact_times, full, refund, reserve, room, spend, unspend
from models.policy.leave import Verdict, may_leave
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState, Pending
from models.triggers import Decision
from models.workdays import DAY_MS
from tests.models.builders import CLIENT, Events, ms, on
from tests.models.test_journey_laws import Firm

POLICY = replace(DEFAULT_POLICY, contacts_per_month=5, contacts_per_person=2)
_CHANNELS = st.sampled_from(["email", "sms", "task", "console"])
_PEOPLE = st.sampled_from(["", "partner", "accounts_payable"])


def _row(name: str, *, day: float, channel: str = "email", person: str = "", free: bool = False) -> Pending:
    at = ms(day)
    return Pending(name, 0, "A", "s", channel, 0, at, at + 5 * DAY_MS, (), person=person, free=free)


def test_what_was_taken_back_keeps_no_place_and_what_waits_keeps_one() -> None:
    row = _row("t1", day=1, person="partner")
    for retracted in (False, True):
        state = reserve(ClientState(CLIENT), with_fields(row, retracted=retracted))
        for person in ("", "partner"):
            assert contact_times(state, POLICY, person=person) == ([] if retracted else [ms(1)])


@dataclass
class Books:
    """What should have happened to the places of messages, kept beside the state."""

    state: ClientState = field(default_factory=lambda: ClientState(CLIENT))
    open: dict[str, Pending] = field(default_factory=dict)
    spent: list[tuple[int, str]] = field(default_factory=list)

    def costing(self) -> list[Pending]:
        return [row for row in self.open.values() if not row.free and row.channel not in POLICY.internal_channels]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Books, int]:
    """Return a state after any reservations, spendings and refunds, also repeated and unknown ones, and the day it ended on."""
    books, names = Books(), [f"t{number}" for number in range(draw(st.integers(1, 8)))]
    day = 0
    for _ in range(draw(st.integers(0, 14))):
        day += draw(st.integers(0, 6))
        name, what = draw(st.sampled_from(names)), draw(st.sampled_from(["reserve", "commit", "refund", "by hand"]))
        if what == "reserve" and name not in books.open:
            row = _row(name, day=day, channel=draw(_CHANNELS), person=draw(_PEOPLE), free=draw(st.booleans()))
            books.state, books.open[name] = reserve(books.state, row), row
        elif what == "commit":
            books.state = commit(books.state, name, at_ms=ms(day), policy=POLICY)
            if name in books.open and books.open[name] in books.costing():
                books.spent.append((ms(day), books.open[name].person))
            books.open.pop(name, None)
        elif what == "refund":
            books.state = refund(refund(books.state, name), name)
            books.open.pop(name, None)
        elif what == "by hand":
            books.state = spend(books.state, at_ms=ms(day))
            books.spent.append((ms(day), ""))
    return books, day


@given(histories())
@settings(max_examples=150)
def test_every_place_is_reserved_spent_or_free_and_nothing_is_lost_or_counted_twice(found: tuple[Books, int]) -> None:
    books, _ = found
    expected = sorted([at for at, _ in books.spent] + [row.not_before_ms for row in books.costing()])
    assert contact_times(books.state, POLICY) == expected
    for person in ("partner", "accounts_payable"):
        own = [at for at, who in books.spent if who == person] + [
            row.not_before_ms for row in books.costing() if row.person == person
        ]
        assert contact_times(books.state, POLICY, person=person) == sorted(own)
    assert {row.trigger_id for row in books.state.care.pending} == set(books.open)


@given(histories(), _PEOPLE)
@settings(max_examples=150)
def test_the_room_is_never_less_than_none_and_where_there_is_none_nothing_leaves(found: tuple[Books, int], person: str) -> None:
    books, day = found
    now = ms(day) + 1
    left = room(books.state, POLICY, at_ms=now, person=person)
    assert 0 <= left <= POLICY.contacts_per_month
    held = full(books.state, POLICY, at_ms=now, person=person)
    if left == 0:
        assert held is not None
    if held is not None:
        assert held.until_ms > now
        later = full(books.state, POLICY, at_ms=held.until_ms, person=person)
        assert later is None or later.until_ms > held.until_ms  # the reason that ended has ended


@given(histories(), _PEOPLE)
def test_a_place_that_was_given_back_was_never_taken(found: tuple[Books, int], person: str) -> None:
    books, day = found
    row = _row("fresh", day=day, person=person)
    taken = reserve(books.state, row)
    assert len(contact_times(taken, POLICY)) == len(contact_times(books.state, POLICY)) + 1
    assert refund(taken, "fresh") == books.state
    spent = commit(taken, "fresh", at_ms=ms(day), policy=POLICY)
    if not any(at == ms(day) for at, _ in books.spent):
        assert unspend(spent, at_ms=ms(day)) == books.state
    assert refund(spent, "fresh") == commit(spent, "fresh", at_ms=ms(day + 1), policy=POLICY) == spent


def test_a_client_who_wants_fewer_has_a_smaller_budget() -> None:
    state = ClientState(CLIENT)
    modest = spend(with_fields(state, person=with_fields(state.person, pace=1)), at_ms=ms(0))
    assert room(modest, POLICY, at_ms=ms(10)) == 0
    assert room(modest, POLICY, at_ms=ms(0) + MONTH_MS + 1) == 1


def test_a_month_that_was_overspent_by_hand_has_room_when_enough_of_its_contacts_have_left_it() -> None:
    state, tight = ClientState(CLIENT), replace(POLICY, contacts_per_month=2)
    for day in (0, 5, 10, 15):
        state = spend(state, at_ms=ms(day))
    held = full(state, tight, at_ms=ms(25))
    assert held is not None
    assert held.until_ms == ms(10) + MONTH_MS
    assert full(state, tight, at_ms=held.until_ms) is None


def test_a_receipt_waits_for_no_budget_and_takes_no_place() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.called(1), build.paid(1.1, minor=50_000, invoice=None)], until_ms=ms(1.2))
    (thanks,) = firm.triggers
    assert thanks.step == "thank_you"
    firm.feed(build.reported(1.3, thanks.trigger_id))
    assert firm.state is not None
    assert contact_times(firm.state, DEFAULT_POLICY) == [ms(1)]


def test_one_person_at_the_client_is_written_to_no_more_often_than_agreed() -> None:
    build = Events()
    payable = Colleague(role=Role.ACCOUNTS_PAYABLE, name="Bo", email="bo@client.example")
    profile = build.profiled(0).model_copy(update={"colleagues": (payable,)})
    story: list[AnyClientEvent] = [profile, build.issued(1, due=10), build.issued(2, "I2", due=26)]
    counts = []
    for most in (6, 1):
        firm = Firm(policy=replace(DEFAULT_POLICY, contacts_per_person=most)).run(story, until_ms=ms(14))
        for _ in range(6):
            for trigger in firm.triggers:
                firm.feed(build.reported(14, trigger.trigger_id).model_copy(update={"event_id": f"sent-{trigger.trigger_id}"}))
            firm.wake(ms(36))
        assert {row.audience for row in firm.triggers} == {Role.ACCOUNTS_PAYABLE}
        counts.append(len(firm.triggers))
    assert counts[0] > counts[1] == 1
    held = [row.reasons[0] for row in firm.outputs if isinstance(row, Decision)]
    assert "1 contacts within 30 days with the accounts payable are enough" in held


def test_a_call_between_decision_and_dispatch_makes_the_message_keep_the_gap_or_stay() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, due=10)], until_ms=ms(14))
    (trigger,) = firm.triggers
    now = epoch_ms(trigger.not_before)
    assert firm.state is not None
    (row,) = firm.state.care.pending
    assert may_leave(firm.state, row, now_ms=now, policy=DEFAULT_POLICY).verdict is Verdict.LEAVE
    firm.feed(build.called(14.1))
    (row,) = firm.state.care.pending
    held = may_leave(firm.state, row, now_ms=ms(14.2), policy=DEFAULT_POLICY)
    assert (held.verdict, held.code) == (Verdict.HOLD, "gap")
    assert held.until_ms >= ms(14.1) + DEFAULT_POLICY.min_gap_days * DAY_MS
    assert may_leave(firm.state, row, now_ms=held.until_ms, policy=DEFAULT_POLICY).verdict is Verdict.LEAVE
    receipt = with_fields(row, free=True)
    assert may_leave(firm.state, receipt, now_ms=ms(14.2), policy=DEFAULT_POLICY).verdict is Verdict.LEAVE
    firm.feed(build.called(18))
    assert may_leave(firm.state, row, now_ms=ms(18.1), policy=DEFAULT_POLICY).code == "expired"
    assert trigger.expires_at < on(21)


def test_a_contact_keeps_its_place_for_thirty_days() -> None:
    state = spend(ClientState(CLIENT), at_ms=ms(0))
    assert [room(state, POLICY, at_ms=ms(day)) for day in (0, 29.9, 30.1)] == [4, 4, 5]

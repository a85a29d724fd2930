"""Two clients who are one company: joined, their states say what one client would be known to be."""

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.events.envelope import epoch_ms
from models.events.union import AnyClientEvent
from models.state.client import Care, ClientState, Person
from models.state.joining import joined
from models.state.reckoning import left
from models.state.renewals import Renewals
from models.state.rhythm import Bucket, Rhythm
from models.state.rows import Ledger
from models.state.windows import compact
from tests.models.builders import Events, on
from tests.models.stories import INVOICES, PAYMENTS, again, arriving, facts
from tests.models.test_money_laws import accounted
from tests.models.views import final, fold, money_view, rhythm_view

JOINED = {
    ClientState: "client_id now_ms first_seen_ms erased_ms events ledger rhythm person care memory habits renewals feeds"
    " identity",
    Person: "name email phone timezone country locale consents suppressions overrides contracts rests reactions style industry"
    " colleagues colleagues_at pace pace_at risk channel hours statements",
    Care: "segment segment_since_ms candidate candidate_since_ms alarm_ms onboarded runs pending timers contacts last_human_ms"
    " notes assigned approvals spoken unanswered heard_ms answers tasks replied_ms asked stays replies",
    Rhythm: "buckets pay_days methods failures last_paid_ms next_retry_ms retry_at labels labelled late written_off disputes"
    " pay_methods failure_methods refused",
    Ledger: "invoices payments credits disputes promises totals plans",
    Renewals: "periods known renewed raised unwatched",
}


@pytest.mark.parametrize("struct", JOINED)
def test_whoever_adds_a_field_says_what_becomes_of_it_when_two_clients_are_one(struct: type[msgspec.Struct]) -> None:
    """Add it to `models.state.joining` (or its rows) first, then here."""
    assert list(struct.__struct_fields__) == JOINED[struct].split()


def known_as(name: str, events: list[AnyClientEvent]) -> ClientState:
    """Return what is known of a client after `events`, which may be none."""
    mine = [event.model_copy(update={"client_id": name}) for event in events]
    return final(mine) if mine else ClientState(name, now_ms=epoch_ms(on(7)))


@given(facts(), st.data())
@settings(max_examples=100)
def test_whichever_of_two_clients_was_told_a_fact_joined_they_have_the_money_and_rhythm_of_one(
    events: list[AnyClientEvent], data: st.DataObject
) -> None:
    log = arriving(events, list(range(len(events))))
    told = data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log)))
    one = known_as("client-1", [event for event, mine in zip(log, told, strict=True) if mine])
    two = known_as("client-2", [event for event, mine in zip(log, told, strict=True) if not mine])
    together, alone = joined(one, two), final(log)
    assert money_view(together) == money_view(alone)
    assert rhythm_view(together) == rhythm_view(alone)
    assert accounted(together)


@given(facts(), st.data())
@settings(max_examples=100)
def test_facts_that_both_clients_were_told_are_counted_once(events: list[AnyClientEvent], data: st.DataObject) -> None:
    log = arriving(events, list(range(len(events))))
    told = data.draw(st.lists(st.sampled_from((1, 2, 3)), min_size=len(log), max_size=len(log)))
    one = known_as("client-1", [event for event, whom in zip(log, told, strict=True) if whom & 1])
    two = known_as("client-2", [event for event, whom in zip(log, told, strict=True) if whom & 2])
    assert money_view(joined(one, two)) == money_view(final(log))


@given(facts())
@settings(max_examples=60)
def test_joined_with_itself_or_with_nobody_a_client_has_the_money_it_had(events: list[AnyClientEvent]) -> None:
    state = final(arriving(events, list(range(len(events)))))
    for other in (state, ClientState("client-2")):
        assert money_view(joined(state, other)) == money_view(joined(other, state)) == money_view(state)


def test_what_came_back_of_a_collapsed_payment_is_known_to_have_when_two_clients_are_one() -> None:
    build = Events()
    paid = [build.paid(1, payment, 90_000, None) for payment in ("P0", "P1", "P2")]
    gone = [build.refunded(3, f"R{number}", f"P{number}", 90_000) for number in range(3)]
    weeks = [build.called(60), build.called(80)]
    one = known_as("client-1", [*paid, *gone, build.refund_failed(5, "R1", "P1", 90_000), *weeks])
    together = joined(one, known_as("client-2", [build.profiled(0), *weeks]))
    again = fold([build.refund_failed(90, "R1", "P1", 90_000), build.refund_failed(91, "RX", "P1", 90_000)], state=together)
    assert not together.ledger.payments
    assert money_view(again[-1].state)["cash"] == {"EUR": 90_000}
    assert money_view(fold([build.refund_failed(92, "R2", "P2", 90_000)], state=together)[-1].state)["cash"] == {"EUR": 180_000}


@pytest.mark.parametrize("came_back", [False, True])
@pytest.mark.parametrize("went", [False, True])
def test_what_one_was_told_to_have_gone_back_of_a_payment_that_the_other_has_closed_counts_when_they_are_one(
    *, went: bool, came_back: bool
) -> None:
    build = Events()
    mine: list[AnyClientEvent] = [build.profiled(0), build.paid(1, "P0", 90_000, None), build.called(60), build.called(80)]
    told: list[AnyClientEvent] = [build.profiled(83)]
    told += [build.refunded(84, "R0", "P0", 30_000)] if went else []
    told += [build.refund_failed(85, "R0", "P0", 30_000)] if came_back else []
    one, two = known_as("client-1", mine), known_as("client-2", told)
    for together in (joined(one, two), joined(two, one)):
        assert money_view(together) == money_view(final([*mine, *told]))
        assert sum(row.money_out for row in together.rhythm.buckets) == (30_000 if went and not came_back else 0)
        assert min(row.money_out for row in together.rhythm.buckets) == 0
        assert accounted(together)


def test_money_that_went_back_of_an_invoice_is_asked_for_there_whichever_of_two_was_told_before_they_were_one() -> None:
    build = Events()
    mine: list[AnyClientEvent] = [build.profiled(0), build.issued(0, "OLD", 50_000), build.paid(1, "P0", 50_000, "OLD")]
    mine += [build.issued(1, "I1", 100_000), build.paid(2, "P1", 60_000, "I1"), build.called(60), build.called(80)]
    refund = build.refunded(84, "R1", "P1", 60_000).model_copy(update={"invoice_id": "I1"})
    one, two = known_as("client-1", mine), known_as("client-2", [build.profiled(83), refund])
    for together in (joined(one, two), joined(two, one)):
        assert [left(row) for row in together.ledger.invoices] == [100_000]
        assert money_view(together) == money_view(final([*mine, build.profiled(83), refund]))


def figures(state: ClientState) -> dict[str, object]:
    """Return what is owed and on account, the sums of what has collapsed, and what windows saw of money."""
    view = money_view(state)
    # Declines have no row that both could name.
    windows = [replace(row, declines=0) for row in compact(state.rhythm.buckets, now_ms=state.now_ms)]
    moved = [row for row in windows if row != Bucket(row.day, row.currency)]
    return {**{name: view[name] for name in ("exposures", "cash", "credit", "totals")}, "windows": moved}


@given(facts(), st.data())
@settings(max_examples=100)
def test_what_one_has_closed_and_the_other_was_told_too_counts_once(events: list[AnyClientEvent], data: st.DataObject) -> None:
    build = Events()
    # What never finds its invoice or payment is forgotten, and not known as closed.
    known: list[AnyClientEvent] = [build.issued(6.1, invoice, 10_000, due=8) for invoice in INVOICES]
    known += [build.paid(6.2, payment, 10_000, None) for payment in PAYMENTS]
    known += [build.credit(6.3, note, 1_000, None) for note in ("C1", "C2")]
    # Disputes, promises and plans are dropped when they are over, and nothing of them is summed up.
    moves = [event for event in events if event.kind.startswith(("invoice", "payment", "credit"))]
    events = [*(again(event, 0) for event in known), *moves]
    log = arriving(events, list(range(len(events))))
    told = data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log)))
    weeks = [again(build.called(day), 0) for day in (30, 60, 90)]
    one = known_as("client-1", [*log, *weeks])
    two = known_as("client-2", [event for event, both in zip(log, told, strict=True) if both])
    for together in (joined(one, two), joined(two, one)):
        assert figures(together) == figures(one)
        assert accounted(together)


WAYS = ("refunded", "refund_failed", "charged_back", "chargeback_reversed")


@st.composite
def gone_back(draw: st.DrawFn) -> list[AnyClientEvent]:
    """Return four payments without an invoice, and refunds and chargebacks of them in any order, weeks before or after."""
    build = Events()
    about = draw(st.lists(st.tuples(st.sampled_from(WAYS), st.integers(0, 3)), unique=True, min_size=1))
    paid = [build.paid(draw(st.integers(0, 90)), f"P{payment}", 90_000, None) for payment in range(4)]
    days = draw(st.lists(st.integers(1, 900), min_size=len(about), max_size=len(about), unique=True))
    back = [
        getattr(build, way)(day / 10 + 0.05, f"{'R' if 'refund' in way else 'B'}{payment}", f"P{payment}", 40_000)
        for (way, payment), day in zip(about, days, strict=True)
    ]
    return sorted([*paid, *back], key=lambda event: event.received_ms)


@given(gone_back(), st.integers(0, 14), st.data())
@settings(max_examples=100)
def test_whenever_two_are_joined_what_went_back_and_came_back_counts_once(
    events: list[AnyClientEvent], week: int, data: st.DataObject
) -> None:
    """A payment is told to one of them, what went back of it to either or to both, before the merge or after it."""
    build = Events()
    weeks = [again(build.called(7 * number), 0) for number in range(1, 30)]
    log = sorted([*events, *weeks], key=lambda event: event.received_ms)
    whom = {
        event.event_id: data.draw(st.sampled_from((1, 2) if event.kind == "payment.received" else (1, 2, 3))) for event in events
    }
    merged = epoch_ms(on(7 * week)) + 1
    earlier = [event for event in log if event.received_ms < merged]
    one, two = (known_as(f"client-{me}", [event for event in earlier if whom.get(event.event_id, 3) & me]) for me in (1, 2))
    alone = final(log)
    assume(not alone.memory.forgotten.parked)
    for together in (joined(one, two), joined(two, one)):
        assume(not together.memory.forgotten.parked)  # 45 days without its payment: forgotten, and counted
        later = [event.model_copy(update={"client_id": together.client_id}) for event in log if event.received_ms >= merged]
        end = fold(later, state=together)[-1].state
        assert money_view(end)["cash"] == money_view(alone)["cash"]
        assert money_view(end)["totals"] == money_view(alone)["totals"]
        assert accounted(end)


def test_the_later_word_on_each_register_of_the_profile_holds_when_two_clients_are_one() -> None:
    build = Events()
    earlier = build.profiled(0).model_copy(update={"statements": "yes", "hours": "09:00-12:00"})
    later = build.profiled(1).model_copy(update={"statements": "no"})
    one, two = known_as("client-1", [earlier]), known_as("client-2", [later])
    for together in (joined(one, two), joined(two, one)):
        assert (together.person.statements.value, together.person.hours.value) == ("no", "09:00-12:00")

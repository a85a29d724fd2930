"""Two clients who are one company: joined, their states say what one client would be known to be."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.union import AnyClientEvent
from models.state.client import Care, ClientState, Person
from models.state.joining import joined
from models.state.renewals import Renewals
from models.state.rhythm import Rhythm
from models.state.rows import Ledger
from tests.models.builders import Events, on
from tests.models.stories import arriving, facts
from tests.models.test_money_laws import accounted
from tests.models.views import final, fold, money_view, rhythm_view

JOINED = {
    ClientState: "client_id now_ms first_seen_ms erased_ms events ledger rhythm person care memory habits renewals feeds"
    " identity",
    Person: "name email phone timezone country locale consents suppressions overrides contracts rests reactions style industry"
    " colleagues colleagues_at pace pace_at risk channel hours",
    Care: "segment segment_since_ms candidate candidate_since_ms alarm_ms onboarded runs pending timers contacts last_human_ms"
    " notes assigned approvals spoken unanswered heard_ms answers tasks replied_ms asked",
    Rhythm: "buckets pay_days methods failures last_paid_ms next_retry_ms retry_at labels labelled late written_off disputes"
    " pay_methods failure_methods",
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

"""The edges of what stops: disputes that end, credit whose invoice goes, consent that was never given, events too old to tell."""

import pytest

from models.events.delays import DisputeOutcome
from models.events.signals import Purpose
from models.events.union import AnyEvent
from models.policy.gate import refusal
from models.state.balances import items
from models.state.memory import WINDOW_MS, undecidable
from models.state.reckoning import on_account
from tests.models.builders import Events
from tests.models.views import final


@pytest.mark.parametrize(("outcome", "left"), [(DisputeOutcome.LOST, 0), (DisputeOutcome.WON, 100_000)])
def test_what_the_firm_lost_in_a_dispute_is_never_asked_for_again(outcome: DisputeOutcome, left: int) -> None:
    build = Events()
    state = final([build.issued(0), build.disputed(2), build.dispute_closed(5, outcome=outcome)])
    (item,) = items(state.ledger, state.now_ms)
    assert item.rest == left


def test_a_dispute_that_was_lost_and_is_opened_anew_can_still_be_won() -> None:
    build = Events()
    lost: list[AnyEvent] = [build.issued(0), build.disputed(2), build.dispute_closed(5, outcome=DisputeOutcome.LOST)]
    won: list[AnyEvent] = [build.disputed(7), build.dispute_closed(9, outcome=DisputeOutcome.WON)]
    state = final([*lost, *won])
    assert [item.rest for item in items(state.ledger, state.now_ms)] == [100_000]
    early = final([*won, *lost])  # whichever arrives first
    assert [item.rest for item in items(early.ledger, early.now_ms)] == [100_000]


def test_credit_beyond_its_invoice_is_on_account_until_the_invoice_is_voided() -> None:
    build = Events()
    credited: list[AnyEvent] = [build.issued(0, "I1", 10_000), build.credit(1, "C1", 15_000, "I1")]
    assert on_account(final(credited).ledger) == {"EUR": 5_000}
    assert not on_account(final([*credited, build.voided(2, "I1")]).ledger)


def test_promotion_needs_a_consent_and_the_other_purposes_a_refusal() -> None:
    build = Events()
    unasked = final([build.profiled(0)])
    assert refusal(unasked, Purpose.PROMOTION, "email") == "promotion needs a consent that was never given"
    assert refusal(unasked, Purpose.SERVICING, "email") is None
    assert refusal(final([build.profiled(0), build.consent(1, Purpose.SERVICING)]), Purpose.SERVICING, "email") is not None


def test_an_event_as_old_as_the_last_that_was_forgotten_may_have_been_counted_before() -> None:
    now = WINDOW_MS + 10
    assert undecidable(received_ms=5, now_ms=now, evicted_ms=5)
    assert not undecidable(received_ms=6, now_ms=now, evicted_ms=5)
    assert not undecidable(received_ms=10, now_ms=now, evicted_ms=10)  # still within the window: the ring knows

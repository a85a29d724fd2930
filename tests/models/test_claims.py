"""What keeps money out of collection, at its edges: disputes that end, credit whose invoice goes."""

import pytest

from models.events.delays import DisputeOutcome
from models.events.union import AnyEvent
from models.state.balances import items
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

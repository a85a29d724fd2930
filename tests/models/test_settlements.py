"""An invoice that is only said to be paid, and the payments that may or may not be told beside it, are one money."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived, PaymentRefunded
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.money import Money
from models.policy.policy import DEFAULT_POLICY
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.transition import transition

AT = datetime(2026, 1, 1, tzinfo=UTC)


def issued(minor: int = 12_000) -> InvoiceIssued:
    return InvoiceIssued(
        event_id="issued",
        source="s",
        client_id="c",
        occurred_at=AT,
        invoice_id="in_1",
        amount=Money(minor, "EUR"),
        due_at=AT + timedelta(days=30),
    )


def paid(payment_id: str, minor: int = 12_000, *, invoice_id: str | None = "in_1", hours: int = 1) -> PaymentReceived:
    return PaymentReceived(
        event_id=f"{payment_id}:{minor}:{invoice_id}",
        source="s",
        client_id="c",
        occurred_at=AT + timedelta(hours=hours),
        payment_id=payment_id,
        invoice_id=invoice_id,
        amount=Money(minor, "EUR"),
    )


def refund(minor: int) -> PaymentRefunded:
    return PaymentRefunded(
        event_id="refund",
        source="s",
        client_id="c",
        occurred_at=AT + timedelta(hours=9),
        refund_id="re_1",
        payment_id="pi_1",
        amount=Money(minor, "EUR"),
    )


def folded(events: list[AnyClientEvent]) -> ClientState:
    state: ClientState | None = None
    for event in events:
        stamped = event.model_copy(update={"received_at": AT + timedelta(days=1)})
        state = transition(state, stamped, policy=DEFAULT_POLICY, scorer=BASELINE).state
    assert state is not None
    return decode(encode(state))


def money(state: ClientState) -> tuple[int, int, int]:
    """Return what is open net of everything, the cash on account, and the money that came in."""
    rows = exposures(state.ledger, state.now_ms)
    came_in = sum(bucket.money_in - bucket.money_out for bucket in state.rhythm.buckets)
    return sum(row.net for row in rows), sum(row.unapplied for row in rows), came_in


def test_a_settlement_alone_pays_the_invoice() -> None:
    assert money(folded([issued(), paid("in_1")])) == (0, 0, 12_000)


@given(order=st.permutations([issued(), paid("in_1"), paid("pi_1", hours=2), paid("pi_1", invoice_id=None, hours=2)]))
def test_a_settlement_and_the_payment_that_made_it_count_once_in_any_order(order: list[AnyClientEvent]) -> None:
    assert money(folded(order)) == (0, 0, 12_000)


@given(order=st.permutations([issued(), paid("in_1"), paid("pi_1", 5_000)]))
def test_a_settlement_is_the_rest_that_nobody_named(order: list[AnyClientEvent]) -> None:
    assert money(folded(order)) == (0, 0, 12_000)


@given(order=st.permutations([issued(), paid("in_1"), paid("pi_1", 7_000), paid("pi_2", 5_000, hours=3)]))
def test_several_payments_may_account_for_one_settlement(order: list[AnyClientEvent]) -> None:
    assert money(folded(order)) == (0, 0, 12_000)


@given(order=st.permutations([issued(), paid("in_1"), paid("pi_1"), refund(4_000)]))
def test_what_went_back_of_the_payment_is_owed_again_in_spite_of_the_settlement(order: list[AnyClientEvent]) -> None:
    assert money(folded(order)) == (4_000, 0, 8_000)

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.events.delays import DisputeClosed, DisputeOpened, DisputeOutcome
from models.events.invoices import (
    ContractRecorded,
    ContractStatus,
    CreditNoteIssued,
    CreditNoteVoided,
    InvoiceAmended,
    InvoiceIssued,
    InvoiceVoided,
    InvoiceWrittenOff,
)
from models.events.payments import (
    ChargebackReversed,
    DeclineKind,
    PaymentChargedBack,
    PaymentFailed,
    PaymentMethod,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
)
from models.events.signals import ClientProfiled
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import DeadLetterError
from streams.sources.registry import read_body
from streams.wire.dead_letters import Reason
from tests.streams.stripe_samples import (
    CREATED,
    SAMPLES,
    charge,
    credit_note,
    customer,
    dispute,
    event,
    intent,
    new_invoice,
    old_invoice,
    subscription,
)

RECEIVED = datetime(2026, 1, 2, tzinfo=UTC)
EUR_120 = Money(12_000, "EUR")


def told(
    kind: str, about: dict[str, Any], *, before: dict[str, Any] | None = None, event_id: str = "evt_1"
) -> list[AnyClientEvent]:
    return read_body("stripe", event(kind, about, before=before, event_id=event_id), received_at=RECEIVED).told()


def only(kind: str, about: dict[str, Any], *, before: dict[str, Any] | None = None) -> AnyClientEvent:
    (one,) = told(kind, about, before=before)
    return one


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def money_of(events: list[AnyClientEvent]) -> list[PaymentReceived]:
    return [one for one in events if isinstance(one, PaymentReceived)]


def test_a_finalized_invoice_says_what_is_owed_until_when_and_under_which_contract() -> None:
    issued = only("invoice.finalized", old_invoice())
    assert isinstance(issued, InvoiceIssued)
    assert (issued.client_id, issued.invoice_id, issued.amount, issued.lines) == ("cus_1", "in_1", EUR_120, 3)
    assert (issued.due_at, issued.effective_at) == (at(CREATED + 1_000_000), at(CREATED - 50))
    assert (issued.contract_id, issued.service_line) == ("sub_1", "tax")
    assert (issued.source, issued.occurred_at, issued.received_at) == ("stripe", at(CREATED - 50), RECEIVED)


def test_the_new_shape_says_the_same() -> None:
    old, new = only("invoice.finalized", old_invoice()), only("invoice.finalized", new_invoice())
    assert old == new


def test_an_invoice_that_is_charged_at_once_is_due_when_it_was_finalized() -> None:
    issued = only("invoice.finalized", old_invoice(due_date=None))
    assert isinstance(issued, InvoiceIssued)
    assert issued.due_at == at(CREATED - 50)


@pytest.mark.parametrize("kind", ["invoice.created", "invoice.updated", "invoice.finalized"])
def test_nobody_owes_a_draft(kind: str) -> None:
    assert told(kind, old_invoice(status="draft")) == []


def test_an_invoice_of_nothing_asks_for_nothing() -> None:
    assert told("invoice.finalized", old_invoice(amount_due=0, total=0)) == []


def test_a_credit_note_does_not_lower_twice_what_was_asked_for() -> None:
    issued = only("invoice.finalized", old_invoice(amount_due=9_000, pre_payment_credit_notes_amount=3_000))
    assert isinstance(issued, InvoiceIssued)
    assert issued.amount == EUR_120


ONE_PAYMENT: list[tuple[str, dict[str, Any]]] = [
    ("charge.succeeded", charge()),
    ("payment_intent.succeeded", intent(invoice="in_1", payment_details=None)),
    ("invoice.paid", old_invoice(status="paid", amount_paid=12_000, charge="ch_1")),
    ("invoice.payment_succeeded", old_invoice(status="paid", amount_paid=12_000, charge="ch_1")),
]
NEW_PAYMENT: list[tuple[str, dict[str, Any]]] = [
    ("payment_intent.succeeded", intent()),
    (
        "invoice.paid",
        new_invoice(
            status="paid",
            amount_paid=12_000,
            payments={
                "data": [
                    {
                        "id": "inpay_1",
                        "amount_paid": 12_000,
                        "currency": "eur",
                        "status": "paid",
                        "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
                    }
                ]
            },
        ),
    ),
]


@pytest.mark.parametrize("tellings", [ONE_PAYMENT, NEW_PAYMENT])
def test_all_that_tell_of_one_payment_name_it_alike(tellings: list[tuple[str, dict[str, Any]]]) -> None:
    payments = [money for kind, about in tellings for money in money_of(told(kind, about))]
    assert len(payments) == len(tellings)
    assert {(money.payment_id, money.invoice_id, money.amount) for money in payments} == {("pi_1", "in_1", EUR_120)}


def test_a_charge_without_an_intent_is_its_own_name() -> None:
    received = only("charge.succeeded", charge(payment_intent=None))
    assert isinstance(received, PaymentReceived)
    assert (received.payment_id, received.method) == ("ch_1", PaymentMethod.CARD)


def test_a_paid_invoice_that_names_no_payment_is_settled_under_its_own_name() -> None:
    for invoice in (
        new_invoice(status="paid", amount_paid=12_000),
        old_invoice(payment_intent=None, status="paid", amount_paid=12_000),
    ):
        (money,) = money_of(told("invoice.paid", invoice))
        assert (money.payment_id, money.invoice_id, money.amount) == ("in_1", "in_1", EUR_120)


def test_an_invoice_settled_by_hand_counts_in_full() -> None:
    (money,) = money_of(
        told("invoice.paid", old_invoice(payment_intent=None, status="paid", amount_paid=0, paid_out_of_band=True))
    )
    assert money.amount == EUR_120


def test_an_invoice_settled_by_credit_moved_no_money() -> None:
    assert money_of(told("invoice.paid", old_invoice(status="paid", amount_paid=0))) == []


def test_a_payment_restates_what_was_owed_in_case_that_was_never_heard() -> None:
    issued, received = told("invoice.paid", old_invoice(status="paid", amount_paid=12_000, charge="ch_1"))
    assert isinstance(issued, InvoiceIssued)
    assert isinstance(received, PaymentReceived)
    assert issued.event_id != received.event_id


def test_parts_of_an_invoice_paid_separately_are_separate_payments() -> None:
    listed = [
        {"id": f"inpay_{n}", "amount_paid": 6_000, "currency": "eur", "status": "paid", "payment": {"payment_intent": f"pi_{n}"}}
        for n in (1, 2)
    ]
    payments = money_of(told("invoice.paid", new_invoice(status="paid", amount_paid=12_000, payments={"data": listed})))
    assert [(money.payment_id, money.amount.minor) for money in payments] == [("pi_1", 6_000), ("pi_2", 6_000)]
    assert len({money.event_id for money in payments}) == 2


def test_an_authorisation_alone_moves_no_money_and_its_capture_does() -> None:
    assert told("charge.succeeded", charge(captured=False, amount_captured=0)) == []
    captured = only("charge.captured", charge(amount_captured=7_000))
    assert isinstance(captured, PaymentReceived)
    assert captured.amount == Money(7_000, "EUR")


def test_a_debit_under_way_is_pending() -> None:
    pending = only("payment_intent.processing", intent(status="processing", payment_method_types=["sepa_debit"]))
    assert isinstance(pending, PaymentPending)
    assert (pending.payment_id, pending.invoice_id, pending.method) == ("pi_1", "in_1", PaymentMethod.BANK_DEBIT)


def test_all_that_tell_of_one_failed_attempt_share_an_event_id() -> None:
    tellings = [
        ("charge.failed", charge(status="failed", captured=False, failure_code="insufficient_funds")),
        ("payment_intent.payment_failed", intent(last_payment_error={"code": "insufficient_funds", "charge": "ch_1"})),
        ("invoice.payment_failed", old_invoice(charge="ch_1", attempt_count=1, next_payment_attempt=CREATED + 9)),
    ]
    failures = [one for kind, about in tellings for one in told(kind, about) if isinstance(one, PaymentFailed)]
    assert [failure.event_id for failure in failures] == ["ch_1:failed"] * 3
    assert {failure.payment_id for failure in failures} == {"pi_1"}
    assert failures[2].next_retry_at == at(CREATED + 9)


@pytest.mark.parametrize(
    ("fields", "decline"),
    [
        ({"failure_code": "insufficient_funds"}, DeclineKind.SOFT),
        ({"failure_code": "stolen_card"}, DeclineKind.HARD),
        ({"failure_code": "card_declined", "outcome": {"advice_code": "do_not_try_again"}}, DeclineKind.HARD),
        ({"failure_code": None}, DeclineKind.SOFT),
    ],
)
def test_a_decline_is_hard_when_trying_again_cannot_help(fields: dict[str, Any], decline: DeclineKind) -> None:
    failed = only("charge.failed", charge(status="failed", captured=False, **fields))
    assert isinstance(failed, PaymentFailed)
    assert failed.decline is decline


def test_refunds_listed_in_a_charge_are_told_one_by_one() -> None:
    refunds = [{"id": "re_1", "amount": 2_000}, {"id": "re_2", "amount": 500}, {"id": "re_3", "amount": 9, "status": "failed"}]
    events = told("charge.refunded", charge(amount_refunded=2_500, refunds={"data": refunds}))
    assert [(one.refund_id, one.payment_id, one.amount.minor) for one in events if isinstance(one, PaymentRefunded)] == [
        ("re_1", "pi_1", 2_000),
        ("re_2", "pi_1", 500),
    ]


def test_without_a_list_a_refund_is_what_went_back_since_before() -> None:
    first = only("charge.refunded", charge(amount_refunded=2_000), before={"amount_refunded": 0})
    second = only("charge.refunded", charge(amount_refunded=2_500), before={"amount_refunded": 2_000})
    assert isinstance(first, PaymentRefunded)
    assert isinstance(second, PaymentRefunded)
    assert (first.amount.minor, second.amount.minor) == (2_000, 500)
    assert first.refund_id != second.refund_id


def test_a_dispute_takes_the_money_back_and_winning_returns_it_under_one_id() -> None:
    opened, taken = told("charge.dispute.created", dispute())
    (withdrawn,) = told("charge.dispute.funds_withdrawn", dispute())
    closed, given = told("charge.dispute.closed", dispute(status="won"))
    assert isinstance(opened, DisputeOpened)
    assert (opened.dispute_id, opened.invoice_id, opened.amount, opened.client_id) == ("dp_1", "in_1", EUR_120, "cus_1")
    assert isinstance(taken, PaymentChargedBack)
    assert isinstance(withdrawn, PaymentChargedBack)
    assert isinstance(given, ChargebackReversed)
    assert {taken.chargeback_id, withdrawn.chargeback_id, given.chargeback_id} == {"dp_1"}
    assert {taken.payment_id, given.payment_id} == {"pi_1"}
    assert isinstance(closed, DisputeClosed)
    assert closed.outcome is DisputeOutcome.WON


@pytest.mark.parametrize(("status", "outcome"), [("lost", DisputeOutcome.LOST), ("warning_closed", DisputeOutcome.WITHDRAWN)])
def test_a_dispute_that_is_not_won_returns_nothing(status: str, outcome: DisputeOutcome) -> None:
    closed = only("charge.dispute.closed", dispute(status=status))
    assert isinstance(closed, DisputeClosed)
    assert closed.outcome is outcome


def test_an_inquiry_moves_no_money() -> None:
    assert isinstance(only("charge.dispute.created", dispute(status="warning_needs_response")), DisputeOpened)


def test_a_dispute_that_names_nobody_is_kept_and_says_how_to_name_one() -> None:
    with pytest.raises(DeadLetterError, match=r"metadata\.client_id") as raised:
        told("charge.dispute.created", dispute(charge="ch_1"))
    assert raised.value.reason == Reason.NO_CLIENT
    opened, _ = told("charge.dispute.created", dispute(charge="ch_1", metadata={"client_id": "cus_9", "invoice_id": "in_9"}))
    assert isinstance(opened, DisputeOpened)
    assert (opened.client_id, opened.invoice_id) == ("cus_9", "in_9")


def test_a_void_and_a_write_off_end_what_is_owed() -> None:
    assert isinstance(told("invoice.voided", old_invoice(status="void"))[-1], InvoiceVoided)
    assert isinstance(told("invoice.marked_uncollectible", old_invoice(status="uncollectible"))[-1], InvoiceWrittenOff)


def test_telling_an_old_invoice_again_does_not_bring_it_back() -> None:
    transitions = {"finalized_at": CREATED - 50, "voided_at": CREATED - 20}
    for kind in ("invoice.updated", "invoice.voided"):
        issued, voided = told(kind, old_invoice(status="void", status_transitions=transitions), before={"number": "1"})
        assert isinstance(voided, InvoiceVoided)
        assert issued.occurred_at < voided.occurred_at == at(CREATED - 20)


def test_only_a_changed_amount_or_due_date_amends_an_invoice() -> None:
    assert len(told("invoice.updated", old_invoice(), before={"number": "1"})) == 1
    amended = told("invoice.updated", old_invoice(due_date=CREATED + 5), before={"due_date": CREATED})[-1]
    assert isinstance(amended, InvoiceAmended)
    assert (amended.due_at, amended.amount) == (at(CREATED + 5), None)


def test_credit_notes_are_issued_and_voided() -> None:
    issued = only("credit_note.created", credit_note())
    assert isinstance(issued, CreditNoteIssued)
    assert (issued.credit_note_id, issued.invoice_id, issued.amount) == ("cn_1", "in_1", Money(3_000, "EUR"))
    assert isinstance(only("credit_note.voided", credit_note(status="void")), CreditNoteVoided)


def test_a_customer_says_how_to_be_reached() -> None:
    profile = only("customer.updated", customer())
    assert isinstance(profile, ClientProfiled)
    assert (profile.name, profile.email, profile.country, profile.locale) == ("Ana Öz", "ana@example.com", "DE", "de-DE")
    assert profile.timezone == "Europe/Berlin"


def test_a_field_of_a_profile_that_cannot_be_used_does_not_keep_the_rest_from_us() -> None:
    broken = {"email": "not a mail", "address": {"country": "Germany"}, "phone": "0" * 99, "preferred_locales": [7]}
    profile = only("customer.created", customer(**broken))
    assert isinstance(profile, ClientProfiled)
    assert (profile.name, profile.email, profile.country, profile.phone, profile.locale) == ("Ana Öz", None, None, None, None)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, ContractStatus.ACTIVE),
        ({"status": "trialing"}, ContractStatus.TRIAL),
        ({"status": "unpaid"}, ContractStatus.PAST_DUE),
        ({"pause_collection": {"behavior": "void"}}, ContractStatus.PAUSED),
        ({"status": "canceled"}, ContractStatus.ENDED),
    ],
)
def test_a_subscription_is_a_contract_in_its_state(fields: dict[str, Any], status: ContractStatus) -> None:
    contract = only("customer.subscription.updated", subscription(**fields))
    assert isinstance(contract, ContractRecorded)
    assert (contract.status, contract.amount) == (status, Money(10_000, "EUR"))


def test_the_period_of_a_subscription_stands_in_its_items_in_the_new_shape() -> None:
    old = subscription()
    line = {**old["items"]["data"][0], "current_period_end": old.pop("current_period_end")}
    contract = only("customer.subscription.updated", old | {"items": {"data": [line]}})
    assert isinstance(contract, ContractRecorded)
    assert contract.renews_at == at(CREATED + 2_000_000)


@pytest.mark.parametrize("fields", [{"cancel_at_period_end": True}, {"cancel_at": CREATED + 9}, {"status": "canceled"}])
def test_a_subscription_that_ends_does_not_renew(fields: dict[str, Any]) -> None:
    contract = only("customer.subscription.updated", subscription(**fields))
    assert isinstance(contract, ContractRecorded)
    assert contract.renews_at is None


def test_nothing_is_agreed_while_the_first_payment_is_awaited() -> None:
    assert told("customer.subscription.created", subscription(status="incomplete")) == []


@pytest.mark.parametrize(
    ("code", "amount", "money"),
    [
        ("jpy", 500, Money(500, "JPY")),
        ("isk", 50_000, Money(500, "ISK")),
        ("ugx", 50_000, Money(500, "UGX")),
        ("kwd", 12_340, Money(12_340, "KWD")),
        ("huf", 50_000, Money(50_000, "HUF")),
        ("mga", 7, Money(700, "MGA")),
    ],
)
def test_amounts_in_currencies_that_stripe_counts_in_its_own_way(code: str, amount: int, money: Money) -> None:
    received = only("charge.succeeded", charge(currency=code, amount=amount, amount_captured=amount))
    assert isinstance(received, PaymentReceived)
    assert received.amount == money


def test_a_part_of_a_unit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DeadLetterError, match="ISK has no smaller unit"):
        told("charge.succeeded", charge(currency="isk", amount=50_050, amount_captured=50_050))


def test_an_expanded_customer_is_the_same_client() -> None:
    assert only("charge.succeeded", charge(customer={"id": "cus_1", "email": "ana@example.com"})) == only(
        "charge.succeeded", charge()
    )


def test_without_a_customer_the_client_is_unknown() -> None:
    with pytest.raises(DeadLetterError) as raised:
        told("charge.succeeded", charge(customer=None))
    assert raised.value.reason == Reason.NO_CLIENT


@pytest.mark.parametrize("kind", ["payout.paid", "product.created", "invoice.upcoming", "refund.created", "invoice_payment.paid"])
def test_events_known_to_say_nothing_more_about_a_client_are_passed_over(kind: str) -> None:
    assert told(kind, {"id": "x_1", "object": "x"}) == []


def test_an_event_type_that_nobody_knows_is_kept() -> None:
    with pytest.raises(DeadLetterError, match=r"hologram\.sold") as raised:
        told("hologram.sold", {"id": "x_1"})
    assert raised.value.reason == Reason.UNKNOWN_TYPE


@pytest.mark.parametrize("kind", SAMPLES)
def test_card_and_address_never_leave_the_source(kind: str) -> None:
    said = "".join(one.model_dump_json() for one in told(kind, SAMPLES[kind]))
    assert said
    assert not [canary for canary in ("4242", "canary") if canary in said]


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_events_of_one_delivery_have_ids_of_their_own(kind: str) -> None:
    ids = [one.event_id for one in told(kind, SAMPLES[kind])]
    assert len(set(ids)) == len(ids)


RECORDED: dict[str, tuple[str, ...]] = {
    "charge": ("charge.succeeded", "charge.refunded"),
    "customer": ("customer.created",),
    "dispute": ("charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.closed"),
    "invoice": ("invoice.finalized", "invoice.paid"),
    "payment_intent": ("payment_intent.succeeded",),
    "subscription": ("customer.subscription.created", "customer.subscription.updated"),
}


def test_every_recorded_payload_translates(shared_data: Path) -> None:
    def complete(about: dict[str, Any]) -> dict[str, Any]:
        # A recorded dispute names its charge by id alone; with the charge in its place the client is known.
        return about | {"charge": charge(id=about["charge"])} if about["object"] == "dispute" else about

    files = sorted((shared_data / "webhooks" / "stripe").glob("*.json"))
    recorded = [json.loads(file.read_text()) for file in files]
    assert {about["object"] for about in recorded} == set(RECORDED)
    for about in recorded:
        events = [one for kind in RECORDED[about["object"]] for one in told(kind, complete(about))]
        assert events
        assert not [one for one in events if "4242" in one.model_dump_json()]


def test_the_clock_of_the_edge_is_taken_as_given() -> None:
    for moment in (RECEIVED, RECEIVED + timedelta(days=400)):
        (one,) = read_body("stripe", event("charge.succeeded", charge()), received_at=moment).told()
        assert one.received_at == moment


@pytest.mark.parametrize("make", [charge, intent, dispute])
def test_money_that_is_nothing_is_not_told(make: Callable[..., dict[str, Any]]) -> None:
    kind = {"charge": "charge.succeeded", "payment_intent": "payment_intent.succeeded"}.get(
        make()["object"], "charge.dispute.funds_withdrawn"
    )
    assert told(kind, make(amount=0, amount_captured=0, amount_received=0)) == []

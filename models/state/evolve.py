"""One event's facts, folded into a state. No decision is taken here, so the order of arrival cannot matter for money."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from models.events.delays import (
    DelayReported,
    DisputeClosed,
    DisputeOpened,
    PlanAgreed,
    PlanCancelled,
    PromiseMade,
    PromiseWithdrawn,
)
from models.events.invoices import (
    ContractRecorded,
    CreditNoteIssued,
    CreditNoteVoided,
    InvoiceAmended,
    InvoiceIssued,
    InvoiceReinstated,
    InvoiceVoided,
    InvoiceWrittenOff,
)
from models.events.payments import (
    ChargebackReversed,
    PaymentChargedBack,
    PaymentFailed,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
    RefundFailed,
)
from models.events.signals import ClientProfiled, ConsentChanged, ContactLogged, OverrideCleared, OverrideSet, RiskReported
from models.events.union import AnyClientEvent
from models.state import claims, invoices, payments, person
from models.state.client import ClientState

_HANDLERS: Final = MappingProxyType[type, Callable[[ClientState, Any], ClientState]](
    {
        PaymentReceived: payments.received,
        PaymentPending: payments.pending,
        PaymentFailed: payments.failed,
        PaymentRefunded: payments.refunded,
        RefundFailed: payments.refund_failed,
        PaymentChargedBack: payments.charged_back,
        ChargebackReversed: payments.chargeback_reversed,
        InvoiceIssued: invoices.issued,
        InvoiceAmended: invoices.amended,
        InvoiceVoided: invoices.voided,
        InvoiceWrittenOff: invoices.written_off,
        InvoiceReinstated: invoices.reinstated,
        CreditNoteIssued: invoices.credit_issued,
        CreditNoteVoided: invoices.credit_voided,
        ContractRecorded: invoices.contract_recorded,
        DelayReported: claims.delay_reported,
        DisputeOpened: claims.dispute_opened,
        DisputeClosed: claims.dispute_closed,
        PromiseMade: claims.promise_made,
        PromiseWithdrawn: claims.promise_withdrawn,
        PlanAgreed: claims.plan_agreed,
        PlanCancelled: claims.plan_cancelled,
        ClientProfiled: person.profiled,
        ConsentChanged: person.consent_changed,
        OverrideSet: person.override_set,
        OverrideCleared: person.override_cleared,
        RiskReported: person.risk_reported,
        ContactLogged: person.contact_logged,
    }
)


def evolve(state: ClientState, event: AnyClientEvent) -> ClientState:
    """Return the state with the facts of `event` in it; the client's clock must have been advanced before.

    Delivery outcomes and erasures concern journeys rather than facts: models.policy.outcomes folds them.
    """
    handler = _HANDLERS.get(type(event))
    if handler is None:
        return state
    return _seen(handler(state, event), event)


def _seen(state: ClientState, event: AnyClientEvent) -> ClientState:
    first = event.effective_ms
    if state.first_seen_ms and state.first_seen_ms <= first:
        return state
    return replace(state, first_seen_ms=first)

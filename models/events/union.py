"""The one discriminated union of all events, and where each kind may enter."""

from types import MappingProxyType
from typing import Annotated, TypeAlias, get_args

from pydantic import Field, TypeAdapter

from models.events.control import ClockTicked, FeedChanged, HaltChanged, LearnerActivated, PolicyActivated, RunsMigrated
from models.events.delays import (
    DelayReported,
    DisputeClosed,
    DisputeOpened,
    PlanAgreed,
    PlanCancelled,
    PromiseMade,
    PromiseWithdrawn,
)
from models.events.envelope import Envelope
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
from models.events.signals import (
    AddressRefused,
    ApprovalAnswered,
    ClientAbsorbed,
    ClientAsked,
    ClientDelegated,
    ClientEntrusted,
    ClientErased,
    ClientMerged,
    ClientParted,
    ClientProfiled,
    ClientSplit,
    ConsentChanged,
    ContactLogged,
    DeliveryReported,
    OverrideCleared,
    OverrideSet,
    RiskReported,
)

PaymentEvent: TypeAlias = (
    PaymentReceived | PaymentPending | PaymentFailed | PaymentRefunded | RefundFailed | PaymentChargedBack | ChargebackReversed
)
InvoiceEvent: TypeAlias = (
    InvoiceIssued
    | InvoiceAmended
    | InvoiceVoided
    | InvoiceWrittenOff
    | InvoiceReinstated
    | CreditNoteIssued
    | CreditNoteVoided
    | ContractRecorded
)
DelayEvent: TypeAlias = (
    DelayReported | DisputeOpened | DisputeClosed | PromiseMade | PromiseWithdrawn | PlanAgreed | PlanCancelled
)
SignalEvent: TypeAlias = (
    ClientProfiled
    | ConsentChanged
    | OverrideSet
    | OverrideCleared
    | RiskReported
    | DeliveryReported
    | AddressRefused
    | ContactLogged
    | ClientAsked
    | ApprovalAnswered
    | ClientErased
    | ClientMerged
    | ClientDelegated
    | ClientSplit
)
MovingEvent: TypeAlias = ClientAbsorbed | ClientEntrusted | ClientParted
"""What clients say to each other when one becomes part of another, or pays for it, and when that ends."""

AnyClientEvent: TypeAlias = PaymentEvent | InvoiceEvent | DelayEvent | SignalEvent | MovingEvent
AnyEvent: TypeAlias = AnyClientEvent | ClockTicked
"""What the core folds into the state of a client."""

AnyControlEvent: TypeAlias = PolicyActivated | RunsMigrated | LearnerActivated | HaltChanged | FeedChanged
"""What is folded into the regime of a partition."""

AnyLogEvent: TypeAlias = AnyEvent | AnyControlEvent

EVENT_ADAPTER: TypeAdapter[AnyLogEvent] = TypeAdapter(Annotated[AnyLogEvent, Field(discriminator="kind")])
"""Reads and writes one event of the canonical log `client.events`."""


def _kinds(union: object) -> dict[str, type[Envelope]]:
    return {member.model_fields["kind"].default: member for member in get_args(union)}


EVENT_KINDS = MappingProxyType(_kinds(AnyLogEvent))
"""Every kind and its contract."""

PUBLIC_TOPIC_KINDS = MappingProxyType(
    {
        "payments": frozenset(_kinds(PaymentEvent)),
        "invoices": frozenset(_kinds(InvoiceEvent)),
        "delays": frozenset(_kinds(DelayEvent)),
        "signals": frozenset(_kinds(SignalEvent)),
    }
)
"""The kinds that each public topic accepts."""


def public_topic(event: AnyClientEvent) -> str:
    """Return the public topic on which `event` may be sent to us."""
    return next(topic for topic, kinds in PUBLIC_TOPIC_KINDS.items() if event.kind in kinds)

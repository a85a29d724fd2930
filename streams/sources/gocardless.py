"""GoCardless' webhook deliveries: several events in one body, each about one resource.

An event names its resource, not the client nor the amount. Both are looked for in this order: `resource_metadata.client_id` and
`metadata.client_id` (set by the firm, who then sets it on every resource), `links.customer`, the resource sent whole in
`resource`, the resources beside the events in `linked`, from payment over mandate to customer; and, where these fall short, what
earlier deliveries told of the same ids. An event about money whose client or amount nobody names is refused with a reason and
kept: it can be driven again once a delivery has told, or completed by hand. Its neighbours in the delivery go on.

A payment is known by its own id in all its events: `confirmed` and `paid_out` tell of the same money and count once. Only ids,
amounts, dates and states are read; bank details never leave this module.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

from models.events.invoices import ContractRecorded, ContractStatus
from models.events.payments import (
    ChargebackReversed,
    DeclineKind,
    PaymentChargedBack,
    PaymentFailed,
    PaymentMethod,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
    RefundFailed,
)
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import DeadLetterError
from streams.sources import payload as read
from streams.sources.gocardless_facts import TOWARDS_CUSTOMER, as_resource
from streams.sources.lookup import Lookup
from streams.sources.payload import Common, PartlyUnreadableError, Payload
from streams.wire.dead_letters import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notice:
    """One event of a delivery and the resources that came with it."""

    event: Payload
    linked: Payload
    lookup: Lookup
    action: str
    source: str
    received_at: datetime

    def common(self) -> Common:
        """Return the envelope."""
        return {
            "event_id": read.required(read.text(self.event, "id"), "id"),
            "source": self.source,
            "client_id": self._client(),
            "occurred_at": read.required_moment(read.iso_moment(self.event, "created_at"), "created_at"),
            "received_at": self.received_at,
        }

    def link(self, name: str) -> str:
        """Return the id of a resource that the event is about."""
        return read.required(read.text(read.inner(self.event, "links"), name), f"links.{name}")

    def resource(self, plural: str, name: str) -> Payload:
        """Return the resource of the event's own kind: sent in the event, beside the events or before; empty where it is not."""
        resource_id = read.text(read.inner(self.event, "links"), name)
        return self._sent(plural, resource_id) or self._remembered(resource_id)

    def invoice(self) -> str | None:
        """Return `metadata.invoice_id`, by which a firm may say what a payment is for.

        Where the payment itself is not in the delivery, what was told of it before counts too.
        """
        sent = read.first_of(read.text(metadata, "invoice_id") for metadata in self._metadata(self._beside))
        payment_id = read.text(read.inner(self.event, "links"), "payment")
        if sent is not None or self._sent("payments", payment_id):
            return sent
        return read.first_of(read.text(metadata, "invoice_id") for metadata in self._metadata(self._anywhere))

    def _client(self) -> str:
        found = self._client_in(self._beside) or self._client_in(self._anywhere)
        if found is None:
            message = (
                "the event names no customer, and no delivery so far told whose payment or mandate it is. Redrive it after one"
                " has; or set metadata.client_id on the resource, or redrive with --edit and `linked` added"
            )
            raise DeadLetterError(Reason.NO_CLIENT, message)
        return found

    def _client_in(self, find: "_Find") -> str | None:
        given = read.first_of(read.text(metadata, "client_id") for metadata in self._metadata(find))
        return given or read.first_of(read.text(read.inner(part, "links"), "customer") for part in self._chain(find))

    def _metadata(self, find: "_Find") -> Iterator[Payload]:
        yield read.inner(self.event, "resource_metadata")
        for part in self._chain(find):
            yield read.inner(part, "metadata")

    def _chain(self, find: "_Find") -> Iterator[Payload]:
        """Yield the event, its resource, and what that links to, as far as `find` finds it."""
        seen: set[str] = set()
        waiting = [self.event, read.inner(self.event, "resource")]
        while waiting:
            part = waiting.pop(0)
            yield part
            links = read.inner(part, "links")
            for name, plural in TOWARDS_CUSTOMER:
                linked_id = read.text(links, name)
                if linked_id is not None and linked_id not in seen:
                    seen.add(linked_id)
                    waiting.append(find(plural, linked_id))

    def _sent(self, plural: str, resource_id: str | None) -> Payload:
        own = plural == read.text(self.event, "resource_type")
        return (read.inner(self.event, "resource") if own else {}) or self._beside(plural, resource_id)

    def _beside(self, plural: str, resource_id: str | None) -> Payload:
        found = (part for part in read.items(self.linked, plural) if read.text(part, "id") == resource_id)
        return {} if resource_id is None else next(found, {})

    def _anywhere(self, plural: str, resource_id: str | None) -> Payload:
        return self._beside(plural, resource_id) or self._remembered(resource_id)

    def _remembered(self, resource_id: str | None) -> Payload:
        return {} if resource_id is None else as_resource(self.lookup.about(resource_id))


_Find: TypeAlias = Callable[[str, str | None], Payload]
"""Finds a resource by the plural of its kind and its id; empty where it is not."""


def translate(body: Payload, *, source: str, received_at: datetime, lookup: Lookup) -> list[AnyClientEvent]:
    """Return what the events of one delivery say about clients, in their order.

    Raises DeadLetterError when none can be read, and PartlyUnreadableError with the rest when some cannot.
    """
    if "events" not in body:
        raise DeadLetterError(Reason.BAD_SCHEMA, "events: missing")
    told: list[AnyClientEvent] = []
    refused: list[DeadLetterError] = []
    linked = read.inner(body, "linked")
    for place, event in enumerate(read.items(body, "events")):
        try:
            told += read.validated(partial(_tell, event, linked, source=source, received_at=received_at, lookup=lookup))
        except DeadLetterError as error:
            refused.append(DeadLetterError(error.reason, f"events[{place}]: {error.detail}"))
    if refused:
        detail = refused[0].detail + (f"; and {len(refused) - 1} more events" if len(refused) > 1 else "")
        raise PartlyUnreadableError(refused[0].reason, detail, events=told)
    return told


def _tell(event: Payload, linked: Payload, *, source: str, received_at: datetime, lookup: Lookup) -> list[AnyClientEvent]:
    resource = read.required(read.text(event, "resource_type"), "resource_type")
    action = read.required(read.text(event, "action"), "action")
    tell = _TELLERS.get((resource, action))
    if tell is not None:
        notice = _Notice(event=event, linked=linked, lookup=lookup, action=action, source=source, received_at=received_at)
        return tell(notice)
    if resource in _IGNORED_RESOURCES or action in _IGNORED_ACTIONS.get(resource, frozenset()):
        return []
    said = f"{resource[:40]}.{action[:40]}"
    raise DeadLetterError(Reason.UNKNOWN_TYPE, f"GoCardless sends an event that Rapport does not know: {said}")


def _payment_amount(notice: _Notice, plural: str, name: str) -> Money:
    resource = notice.resource(plural, name)
    minor = read.integer(resource, "amount")
    amount = read.money(minor, read.currency(resource)) if minor is not None else None
    if amount is None:
        message = (
            f"the event names the {name} but not its amount, nor did a delivery so far. Redrive it after one has told of the"
            f" {name}; or redrive with --edit and `linked.{plural}` added"
        )
        raise DeadLetterError(Reason.NO_AMOUNT, message)
    return amount


def _pending(notice: _Notice) -> list[AnyClientEvent]:
    return [
        PaymentPending(
            **notice.common(),
            payment_id=notice.link("payment"),
            invoice_id=notice.invoice(),
            amount=_payment_amount(notice, "payments", "payment"),
            method=PaymentMethod.BANK_DEBIT,
        )
    ]


def _received(notice: _Notice) -> list[AnyClientEvent]:
    return [
        PaymentReceived(
            **notice.common(),
            effective_at=read.bank_date(notice.resource("payments", "payment"), "charge_date"),
            payment_id=notice.link("payment"),
            invoice_id=notice.invoice(),
            amount=_payment_amount(notice, "payments", "payment"),
            method=PaymentMethod.BANK_DEBIT,
        )
    ]


def _failed(notice: _Notice) -> list[AnyClientEvent]:
    details = read.inner(notice.event, "details")
    cause = read.text(details, "cause") or notice.action
    again = notice.action == "failed" and read.flag(details, "will_attempt_retry")
    return [
        PaymentFailed(
            **notice.common(),
            payment_id=notice.link("payment"),
            invoice_id=notice.invoice(),
            amount=_payment_amount(notice, "payments", "payment"),
            method=PaymentMethod.BANK_DEBIT,
            decline=DeclineKind.SOFT if again else DeclineKind.HARD,
            decline_code=cause[:100],
        )
    ]


def _charged_back(notice: _Notice) -> list[AnyClientEvent]:
    payment_id = notice.link("payment")
    return [
        PaymentChargedBack(
            **notice.common(),
            # A late failure takes back money that had arrived, without the client's asking; it is no second chargeback.
            chargeback_id=f"{payment_id}:{'late_failure' if notice.action == 'late_failure_settled' else 'chargeback'}",
            payment_id=payment_id,
            invoice_id=notice.invoice(),
            amount=_payment_amount(notice, "payments", "payment"),
        )
    ]


def _chargeback_reversed(notice: _Notice) -> list[AnyClientEvent]:
    payment_id = notice.link("payment")
    return [
        ChargebackReversed(
            **notice.common(),
            chargeback_id=f"{payment_id}:chargeback",
            payment_id=payment_id,
            invoice_id=notice.invoice(),
            amount=_payment_amount(notice, "payments", "payment"),
        )
    ]


def _refund(notice: _Notice) -> PaymentRefunded:
    of_refund = read.text(read.inner(notice.resource("refunds", "refund"), "links"), "payment")
    return PaymentRefunded(
        **notice.common(),
        refund_id=notice.link("refund"),
        payment_id=of_refund or notice.link("payment"),
        invoice_id=notice.invoice(),
        amount=_payment_amount(notice, "refunds", "refund"),
    )


def _refunded(notice: _Notice) -> list[AnyClientEvent]:
    return [_refund(notice)]


def _refund_failed(notice: _Notice) -> list[AnyClientEvent]:
    """Tell that a refund did not arrive. Of one that never counted it changes nothing."""
    told = _refund(notice)
    return [
        RefundFailed(
            **notice.common(),
            refund_id=told.refund_id,
            payment_id=told.payment_id,
            invoice_id=told.invoice_id,
            amount=told.amount,
        )
    ]


def _contract(notice: _Notice) -> list[AnyClientEvent]:
    subscription = notice.resource("subscriptions", "subscription")
    status = _CONTRACT_STATES[notice.action]
    charges = [read.bank_date(part, "charge_date") for part in read.items(subscription, "upcoming_payments")]
    minor = read.integer(subscription, "amount")
    return [
        ContractRecorded(
            **notice.common(),
            contract_id=notice.link("subscription"),
            status=status,
            contract_type="subscription",
            started_at=read.bank_date(subscription, "start_date"),
            renews_at=min((day for day in charges if day is not None), default=None) if status is ContractStatus.ACTIVE else None,
            amount=read.money(minor, read.currency(subscription)) if minor is not None else None,
        )
    ]


_CONTRACT_STATES: Final = MappingProxyType(
    dict.fromkeys(("created", "customer_approval_granted", "amended", "resumed"), ContractStatus.ACTIVE)
    | {"paused": ContractStatus.PAUSED}
    | dict.fromkeys(("cancelled", "finished", "customer_approval_denied"), ContractStatus.ENDED)
)

_PAYMENT_TELLERS: Final = (
    dict.fromkeys(("submitted", "resubmission_requested"), _pending)
    | dict.fromkeys(("confirmed", "paid_out"), _received)
    | dict.fromkeys(("failed", "cancelled", "customer_approval_denied"), _failed)
    | dict.fromkeys(("charged_back", "chargeback_settled", "late_failure_settled"), _charged_back)
    | {"chargeback_cancelled": _chargeback_reversed}
)

_TELLERS: Final[Mapping[tuple[str, str], Callable[[_Notice], list[AnyClientEvent]]]] = MappingProxyType(
    {("payments", action): tell for action, tell in _PAYMENT_TELLERS.items()}
    | {("subscriptions", action): _contract for action in _CONTRACT_STATES}
    | {("refunds", "paid"): _refunded}
    | {("refunds", action): _refund_failed for action in ("failed", "bounced", "funds_returned")}
)

_IGNORED_ACTIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "payments": frozenset({"created", "customer_approval_granted", "surcharge_fee_debited", "surcharge_fee_credited"}),
        "subscriptions": frozenset({"payment_created", "scheduled_pause", "scheduled_resume", "scheduled_pause_cancelled"}),
        # A refund counts when it was paid; one that was only asked for may still fail.
        "refunds": frozenset({"created", "submitted", "refund_settled"}),
    }
)
"""Steps on the way to one of the events that count."""

_IGNORED_RESOURCES: Final = frozenset(
    # What becomes of a mandate shows in its payments; an instalment schedule's money shows in its payments too.
    {"mandates", "instalment_schedules", "billing_requests", "creditors", "customers", "exports", "organisations", "payouts"}
    | {"outbound_payments", "payer_authorisations", "payment_account_transactions", "scheme_identifiers", "bank_authorisations"}
    | {"mandate_imports", "customer_bank_accounts"}
)
"""Resources whose events say nothing about a client's dealings that a payment, refund or subscription does not say."""

"""Small builders of events. Times are days (and fractions of days) after `START`, a Monday at 09:00 UTC; money is minor EUR."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from models.events.control import ClockTicked
from models.events.delays import (
    DelayReported,
    DisputeClosed,
    DisputeOpened,
    DisputeOutcome,
    DisputeReason,
    Instalment,
    PlanAgreed,
    PlanCancelled,
    PromiseMade,
    PromiseWithdrawn,
)
from models.events.envelope import epoch_ms
from models.events.invoices import (
    ContractRecorded,
    ContractStatus,
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
    DeclineKind,
    PaymentChargedBack,
    PaymentFailed,
    PaymentMethod,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
    RefundFailed,
)
from models.events.signals import (
    ClientAsked,
    ClientDelegated,
    ClientErased,
    ClientMerged,
    ClientProfiled,
    ClientSplit,
    ConsentChanged,
    ContactLogged,
    DeliveryOutcome,
    DeliveryReported,
    OverrideCleared,
    OverrideEffect,
    OverrideSet,
    Purpose,
    Request,
)
from models.money import Money

START: Final = datetime(2024, 1, 8, 9, tzinfo=UTC)
CLIENT: Final = "client-1"


def on(day: float) -> datetime:
    """Return the moment `day` days after START."""
    return START + timedelta(days=day)


def ms(day: float) -> int:
    """Return that moment in epoch milliseconds."""
    return epoch_ms(on(day))


def eur(minor: int) -> Money:
    """Return an amount in euro cents."""
    return Money(minor, "EUR")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The common arguments of an event that happened and arrived at `day` (or arrived at `received`)."""

    client: str
    serial: "count[int]"

    def at(self, day: float, received: float | None, event_id: str | None) -> dict[str, object]:
        """Return the arguments."""
        return {
            "event_id": event_id or f"evt-{next(self.serial)}",
            "source": "test",
            "client_id": self.client,
            "occurred_at": on(day),
            "received_at": on(day if received is None else received),
        }


class Events:
    """Builds the events of one client; ids count up unless given, so a story is the same in every run."""

    def __init__(self, client: str = CLIENT) -> None:
        self._envelope = Envelope(client, count(1))

    def _at(self, day: float, received: float | None = None, event_id: str | None = None) -> dict[str, object]:
        return self._envelope.at(day, received, event_id)

    def issued(
        self,
        day: float,
        invoice: str = "I1",
        minor: int = 100_000,
        *,
        due: float | None = None,
        currency: str = "EUR",
        received: float | None = None,
        event_id: str | None = None,
    ) -> InvoiceIssued:
        return InvoiceIssued(
            **self._at(day, received, event_id),
            invoice_id=invoice,
            amount=Money(minor, currency),
            due_at=on(day + 14 if due is None else due),
        )

    def amended(
        self,
        day: float,
        invoice: str = "I1",
        *,
        minor: int | None = None,
        due: float | None = None,
        received: float | None = None,
    ) -> InvoiceAmended:
        return InvoiceAmended(
            **self._at(day, received),
            invoice_id=invoice,
            amount=None if minor is None else eur(minor),
            due_at=None if due is None else on(due),
        )

    def voided(self, day: float, invoice: str = "I1", *, received: float | None = None) -> InvoiceVoided:
        return InvoiceVoided(**self._at(day, received), invoice_id=invoice)

    def written_off(self, day: float, invoice: str = "I1", *, received: float | None = None) -> InvoiceWrittenOff:
        return InvoiceWrittenOff(**self._at(day, received), invoice_id=invoice)

    def reinstated(self, day: float, invoice: str = "I1", *, received: float | None = None) -> InvoiceReinstated:
        return InvoiceReinstated(**self._at(day, received), invoice_id=invoice)

    def credit(
        self, day: float, note: str = "C1", minor: int = 10_000, invoice: str | None = "I1", *, received: float | None = None
    ) -> CreditNoteIssued:
        return CreditNoteIssued(**self._at(day, received), credit_note_id=note, invoice_id=invoice, amount=eur(minor))

    def credit_voided(self, day: float, note: str = "C1", *, received: float | None = None) -> CreditNoteVoided:
        return CreditNoteVoided(**self._at(day, received), credit_note_id=note)

    def contract(
        self,
        day: float,
        contract: str = "K1",
        *,
        renews: float | None = None,
        status: ContractStatus = ContractStatus.ACTIVE,
        received: float | None = None,
    ) -> ContractRecorded:
        return ContractRecorded(
            **self._at(day, received), contract_id=contract, status=status, renews_at=None if renews is None else on(renews)
        )

    def paid(
        self,
        day: float,
        payment: str = "P1",
        minor: int = 100_000,
        invoice: str | None = "I1",
        *,
        method: PaymentMethod = PaymentMethod.WIRE,
        currency: str = "EUR",
        received: float | None = None,
        event_id: str | None = None,
    ) -> PaymentReceived:
        return PaymentReceived(
            **self._at(day, received, event_id),
            payment_id=payment,
            invoice_id=invoice,
            amount=Money(minor, currency),
            method=method,
        )

    def pending(
        self,
        day: float,
        payment: str = "P1",
        minor: int = 100_000,
        invoice: str | None = "I1",
        *,
        expected: float | None = None,
        received: float | None = None,
    ) -> PaymentPending:
        return PaymentPending(
            **self._at(day, received),
            payment_id=payment,
            invoice_id=invoice,
            amount=eur(minor),
            expected_at=None if expected is None else on(expected),
        )

    def failed(
        self,
        day: float,
        payment: str = "P1",
        minor: int = 100_000,
        invoice: str | None = "I1",
        *,
        retry: float | None = None,
        method: PaymentMethod = PaymentMethod.CARD,
        decline: DeclineKind = DeclineKind.SOFT,
        received: float | None = None,
    ) -> PaymentFailed:
        return PaymentFailed(
            **self._at(day, received),
            payment_id=payment,
            invoice_id=invoice,
            amount=eur(minor),
            method=method,
            decline=decline,
            next_retry_at=None if retry is None else on(retry),
        )

    def refunded(
        self, day: float, refund: str = "R1", payment: str = "P1", minor: int = 100_000, *, received: float | None = None
    ) -> PaymentRefunded:
        return PaymentRefunded(**self._at(day, received), refund_id=refund, payment_id=payment, amount=eur(minor))

    def refund_failed(self, day: float, refund: str = "R1", payment: str = "P1", minor: int = 100_000) -> RefundFailed:
        return RefundFailed(**self._at(day), refund_id=refund, payment_id=payment, amount=eur(minor))

    def charged_back(
        self, day: float, chargeback: str = "B1", payment: str = "P1", minor: int = 100_000, *, received: float | None = None
    ) -> PaymentChargedBack:
        return PaymentChargedBack(**self._at(day, received), chargeback_id=chargeback, payment_id=payment, amount=eur(minor))

    def chargeback_reversed(
        self, day: float, chargeback: str = "B1", payment: str = "P1", minor: int = 100_000, *, received: float | None = None
    ) -> ChargebackReversed:
        return ChargebackReversed(**self._at(day, received), chargeback_id=chargeback, payment_id=payment, amount=eur(minor))

    def delay(
        self, day: float, invoice: str = "I1", *, expected: float | None = None, received: float | None = None
    ) -> DelayReported:
        return DelayReported(
            **self._at(day, received), invoice_id=invoice, expected_at=None if expected is None else on(expected)
        )

    def disputed(
        self,
        day: float,
        dispute: str = "D1",
        invoice: str | None = "I1",
        *,
        minor: int | None = None,
        received: float | None = None,
    ) -> DisputeOpened:
        return DisputeOpened(
            **self._at(day, received),
            dispute_id=dispute,
            invoice_id=invoice,
            amount=None if minor is None else eur(minor),
            reason=DisputeReason.WORK,
            cause=f"of day {day:g}",
        )

    def dispute_closed(
        self,
        day: float,
        dispute: str = "D1",
        outcome: DisputeOutcome = DisputeOutcome.WITHDRAWN,
        *,
        received: float | None = None,
    ) -> DisputeClosed:
        return DisputeClosed(**self._at(day, received), dispute_id=dispute, outcome=outcome)

    def promised(
        self,
        day: float,
        promise: str = "Y1",
        invoice: str | None = "I1",
        *,
        by: float,
        minor: int | None = None,
        received: float | None = None,
    ) -> PromiseMade:
        return PromiseMade(
            **self._at(day, received),
            promise_id=promise,
            invoice_id=invoice,
            amount=None if minor is None else eur(minor),
            promised_at=on(by),
        )

    def promise_withdrawn(self, day: float, promise: str = "Y1", *, received: float | None = None) -> PromiseWithdrawn:
        return PromiseWithdrawn(**self._at(day, received), promise_id=promise)

    def planned(
        self,
        day: float,
        plan: str = "L1",
        invoice: str = "I1",
        *,
        parts: Sequence[tuple[float, int]],
        received: float | None = None,
    ) -> PlanAgreed:
        instalments = tuple(Instalment(due_at=on(due), amount=eur(minor)) for due, minor in parts)
        return PlanAgreed(**self._at(day, received), plan_id=plan, invoice_id=invoice, instalments=instalments)

    def plan_cancelled(self, day: float, plan: str = "L1", *, received: float | None = None) -> PlanCancelled:
        return PlanCancelled(**self._at(day, received), plan_id=plan)

    def profiled(
        self,
        day: float,
        *,
        name: str | None = "Ada Example",
        email: str | None = "ada@client.example",
        phone: str | None = None,
        timezone: str | None = None,
        country: str | None = None,
        received: float | None = None,
    ) -> ClientProfiled:
        return ClientProfiled(**self._at(day, received), name=name, email=email, phone=phone, timezone=timezone, country=country)

    def consent(
        self, day: float, purpose: Purpose = Purpose.SERVICING, *, granted: bool = False, channel: str | None = None
    ) -> ConsentChanged:
        return ConsentChanged(**self._at(day), purpose=purpose, channel=channel, granted=granted)

    def hold(
        self, day: float, *, until: float, override: str = "O1", journey: str | None = None, received: float | None = None
    ) -> OverrideSet:
        return self.override(day, OverrideEffect.HOLD, until=until, override=override, journey=journey, received=received)

    def override(
        self,
        day: float,
        effect: OverrideEffect,
        *,
        until: float,
        override: str = "O1",
        value: str | None = None,
        journey: str | None = None,
        received: float | None = None,
    ) -> OverrideSet:
        return OverrideSet(
            **self._at(day, received),
            override_id=override,
            effect=effect,
            value=value,
            journey=journey,
            reason="talked on the phone",
            author="sam",
            expires_at=on(until),
        )

    def cleared(
        self, day: float, override: str = "O1", *, reason: str | None = None, received: float | None = None
    ) -> OverrideCleared:
        return OverrideCleared(**self._at(day, received), override_id=override, author="sam", reason=reason)

    def reported(
        self, day: float, trigger_id: str, outcome: DeliveryOutcome = DeliveryOutcome.SENT, *, channel: str = "email"
    ) -> DeliveryReported:
        return DeliveryReported(**self._at(day), trigger_id=trigger_id, channel=channel, outcome=outcome)

    def called(self, day: float) -> ContactLogged:
        return ContactLogged(**self._at(day), channel="phone", author="sam")

    def asks(self, day: float, request: Request = Request.PLAN) -> ClientAsked:
        return ClientAsked(**self._at(day), request=request, channel="email")

    def merged(self, day: float, into: str, *, received: float | None = None, event_id: str | None = None) -> ClientMerged:
        return ClientMerged(**self._at(day, received, event_id), into=into, author="dana", reason="one company, two names")

    def split(self, day: float, *, received: float | None = None, event_id: str | None = None) -> ClientSplit:
        return ClientSplit(**self._at(day, received, event_id), author="dana", reason="two companies after all")

    def delegated(
        self, day: float, payer: str | None, *, received: float | None = None, event_id: str | None = None
    ) -> ClientDelegated:
        return ClientDelegated(**self._at(day, received, event_id), payer=payer, author="dana", reason="the holding pays")

    def erased(self, day: float) -> ClientErased:
        return ClientErased(**self._at(day), requested_by="ada")


def tick(day: float) -> ClockTicked:
    """Return a tick of the clock."""
    return tick_at(ms(day))


def tick_at(at_ms: int) -> ClockTicked:
    """Return a tick of the clock at epoch milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return ClockTicked(event_id=f"tick-{at_ms}", source="clock", occurred_at=moment, received_at=moment)

"""Events, triggers and decisions in plain words, for people at a terminal."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from models.events.delays import (
    DelayReported,
    DisputeClosed,
    DisputeOpened,
    PlanAgreed,
    PlanCancelled,
    PromiseMade,
    PromiseWithdrawn,
)
from models.events.envelope import ClientEvent
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
    DeliveryOutcome,
    DeliveryReported,
    OverrideCleared,
    OverrideSet,
    RiskReported,
)
from models.events.union import AnyEvent
from models.policy.policy import TASK
from models.triggers import Decision, DecisionOutcome

VERBS: Final = {
    DecisionOutcome.TRIGGERED: "SEND",
    DecisionOutcome.SUPPRESSED: "NOT SENT",
    DecisionOutcome.HELD: "HELD",
    DecisionOutcome.RETRACTED: "TAKEN BACK",
    DecisionOutcome.SEGMENT_CHANGED: "SEGMENT",
    DecisionOutcome.AUDIENCE_CHANGED: "AUDIENCE",
    DecisionOutcome.CANCELLED_YET_DELIVERED: "TOO LATE",
    DecisionOutcome.SENT_AFTER_PAID: "AFTER PAID",
    DecisionOutcome.UNACKNOWLEDGED: "NO WORD",
    DecisionOutcome.MIGRATED: "MOVED",
}
"""How the outcome of a decision is called on screen."""


_PARTICULARS: Final = re.compile(r"\b[\w-]*\d[\w.,-]*\b")


def general(reason: str) -> str:
    """Return a reason without its numbers, dates and ids, so that reasons that differ only in these count as one."""
    return _PARTICULARS.sub("...", reason)


def day(moment: datetime) -> str:
    """Return a date as people write it, without the machine's locale."""
    return f"{moment.day} {moment:%b %Y}"


def tell_event(event: AnyEvent) -> str:
    """Return what happened, in one line."""
    return _money(event) or _paper(event) or _claim(event) or _signal(event) or _word(event) or _who(event) or event.kind


def _money(event: AnyEvent) -> str | None:  # noqa: PLR0911 (one return per kind reads best)
    match event:
        case InvoiceIssued():
            return f"invoice {event.invoice_id}: {event.amount}, due {day(event.due_at)}"
        case PaymentReceived():
            return f"payment of {event.amount} by {event.method.value.replace('_', ' ')}{_for(event.invoice_id)}"
        case PaymentPending():
            return f"payment of {event.amount} is under way{_for(event.invoice_id)}"
        case PaymentFailed():
            return f"payment of {event.amount} failed{_for(event.invoice_id)} ({event.decline_code or event.decline.value})"
        case PaymentRefunded():
            return f"refund of {event.amount}{_for(event.invoice_id)}"
        case RefundFailed():
            return f"the refund of {event.amount}{_for(event.invoice_id)} came back"
        case PaymentChargedBack():
            return f"the bank took back {event.amount}{_for(event.invoice_id)}"
        case ChargebackReversed():
            return f"the bank gave back {event.amount}{_for(event.invoice_id)}"
        case CreditNoteIssued():
            return f"credit note of {event.amount}{_for(event.invoice_id)}"
        case _:
            return None


def _paper(event: AnyEvent) -> str | None:  # noqa: PLR0911 (one return per kind reads best)
    match event:
        case InvoiceAmended():
            return f"invoice {event.invoice_id} amended"
        case InvoiceVoided():
            return f"invoice {event.invoice_id} withdrawn"
        case InvoiceWrittenOff():
            return f"invoice {event.invoice_id} written off"
        case InvoiceReinstated():
            return f"invoice {event.invoice_id} is owed again, its write-off was taken back"
        case CreditNoteVoided():
            return f"credit note {event.credit_note_id} withdrawn"
        case ContractRecorded():
            renews = f", renews {day(event.renews_at)}" if event.renews_at else ""
            return f"{event.contract_type} {event.contract_id} is {event.status.value}{renews}"
        case _:
            return None


def _claim(event: AnyEvent) -> str | None:  # noqa: PLR0911 (one return per kind reads best)
    match event:
        case DelayReported():
            return f"invoice {event.invoice_id} will be late{f': {event.cause}' if event.cause else ''}"
        case DisputeOpened():
            return f"the client disputes{_what(event.invoice_id)}{f': {event.cause}' if event.cause else ''}"
        case DisputeClosed():
            return f"the dispute is over ({event.outcome.value})"
        case PromiseMade():
            return f"the client promises to pay{_what(event.invoice_id)} by {day(event.promised_at)}"
        case PromiseWithdrawn():
            return "the promise to pay is withdrawn"
        case PlanAgreed():
            days = ", ".join(f"{row.amount} on {day(row.due_at)}" for row in event.instalments)
            return f"a plan for {event.invoice_id} is agreed: {days}"
        case PlanCancelled():
            return "the plan is cancelled"
        case _:
            return None


def _signal(event: AnyEvent) -> str | None:  # noqa: PLR0911 (one return per kind reads best)
    match event:
        case ClientProfiled():
            return f"profile: {', '.join(part for part in (event.name, event.email, event.timezone) if part)}"
        case ConsentChanged():
            word = "welcome" if event.granted else "not wanted"
            return f"{event.purpose.value} contact is {word}{f' by {event.channel}' if event.channel else ''}"
        case RiskReported():
            return f"{event.reporter} reports a risk of {event.weight:+.0%} until {day(event.expires_at)}: {event.reason}"
        case DeliveryReported():
            return f"{event.channel}: {event.outcome.value}{f' ({event.reason})' if event.reason else ''}"
        case AddressRefused():
            met = "does not exist" if event.because is DeliveryOutcome.BOUNCED_HARD else "reaches somebody who complained"
            return f"an address that it shares with another client {met} ({event.channel})"
        case ClientAsked():
            return f"the client asks: {event.request.value}" + (f" ({event.words})" if event.words else "")
        case ContactLogged():
            return f"{event.author} spoke with the client ({event.channel})"
        case ClientErased():
            return "the client asks to be forgotten"
        case _:
            return None


def _word(event: AnyEvent) -> str | None:
    match event:
        case OverrideSet():
            return f"{event.author} sets {event.effect.value} until {day(event.expires_at)}: {event.reason}"
        case OverrideCleared():
            return f"{event.author} lifts the override{f': {event.reason}' if event.reason else ''}"
        case ApprovalAnswered():
            return f"{event.author}: {event.verdict.value} the message{f' ({event.note})' if event.note else ''}"
        case _:
            return None


def _who(event: AnyEvent) -> str | None:  # noqa: PLR0911 (one return per kind reads best)
    match event:
        case ClientMerged():
            return f"{event.author} merges it into {event.into}: {event.reason}"
        case ClientAbsorbed():
            return f"what was known of {_sender(event)} arrives"
        case ClientSplit():
            return f"{event.author} splits it off again: {event.reason}"
        case ClientParted():
            return f"{event.names[0]} is no part of it any more"
        case ClientDelegated():
            return f"{event.author} says that {event.payer or 'nobody else'} pays for it: {event.reason}"
        case ClientEntrusted():
            return f"what {_sender(event)} owes arrives" if event.state else f"{_sender(event)} pays for itself again"
        case _:
            return None


def _sender(event: ClientEvent) -> str:
    return event.passed_on.sender if event.passed_on else "another one"


_STANDING: Final = {DecisionOutcome.AUDIENCE_CHANGED: "audience"}


def tell_decision(decision: Decision) -> Iterator[str]:
    """Yield a decision and its reasons, the first on the same line."""
    step = (
        f"{decision.journey.value}/{decision.step}"
        if decision.journey and decision.step
        else _STANDING.get(decision.outcome, "segment")
    )
    verb, channel = VERBS[decision.outcome], ""
    if decision.channel and decision.outcome is DecisionOutcome.TRIGGERED:
        verb, channel = ("TASK", "") if decision.channel == TASK else (verb, f" by {decision.channel}")
    yield f"{verb:10} {step}{channel}: {decision.reasons[0]}"
    for reason in decision.reasons[1:]:
        yield f"{'':10} and {reason}"


def _for(invoice_id: str | None) -> str:
    return f" for {invoice_id}" if invoice_id else ""


def _what(invoice_id: str | None) -> str:
    return f" invoice {invoice_id}" if invoice_id else " everything open"

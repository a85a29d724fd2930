"""What each client owed and paid when, of a whole history: the money behind the outcomes of experiments and steps."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from models.events.envelope import epoch_ms
from models.events.invoices import CreditNoteIssued, InvoiceAmended, InvoiceIssued, InvoiceVoided, InvoiceWrittenOff
from models.events.payments import ChargebackReversed, PaymentChargedBack, PaymentReceived, PaymentRefunded
from models.events.union import AnyClientEvent
from models.workdays import DAY_MS

_REMEMBERED: Final = 12  # invoices by which a company's past is told


@dataclass(slots=True)
class Bill:
    """One invoice: what it came to, when it was due, and what was paid on it when. Money is in minor units."""

    invoice_id: str
    minor: int
    currency: str
    issued_ms: int
    due_ms: int
    parts: list[tuple[int, int]] = field(default_factory=list)
    ended_ms: int = 0

    def open_at(self, at_ms: int) -> int:
        """Return what was open at a moment; nothing once it was voided or given up."""
        if at_ms < self.issued_ms or (self.ended_ms and at_ms >= self.ended_ms):
            return 0
        return max(0, self.minor - sum(part for moment, part in self.parts if moment <= at_ms))

    @property
    def settled_ms(self) -> int:
        """When the last of it was paid; 0 while something is open."""
        rest = self.minor
        for moment, part in self.parts:
            rest -= part
            if rest <= 0:
                return moment
        return 0


@dataclass(slots=True)
class Account:
    """One client's invoices in the order in which they came, and all money that came or, below 0, went back.

    Money is (when, minor units, currency).
    """

    bills: dict[str, Bill] = field(default_factory=dict)
    paid: list[tuple[int, int, str]] = field(default_factory=list)

    def open_at(self, at_ms: int) -> list[Bill]:
        """Return the invoices of which something was open."""
        return [bill for bill in self.bills.values() if bill.open_at(at_ms)]

    def received(self, since_ms: int, until_ms: int, currency: str) -> int:
        """Return what came in after `since_ms` up to `until_ms`, less what went back."""
        first = bisect_right(self.paid, (since_ms, 1 << 62, ""))
        last = bisect_left(self.paid, (until_ms + 1, -1 << 62, ""))
        return sum(minor for _, minor, code in self.paid[first:last] if code == currency)

    def usual_lateness(self, at_ms: int) -> float | None:
        """Return how many days after due the latest invoices settled before `at_ms` were paid, on average; none known: None."""
        known = sorted((bill.settled_ms, bill.due_ms) for bill in self.bills.values() if 0 < bill.settled_ms <= at_ms)
        late = [(settled - due) / DAY_MS for settled, due in known[-_REMEMBERED:]]
        return sum(late) / len(late) if late else None


def accounts_of(events: Iterable[AnyClientEvent]) -> dict[str, Account]:
    """Return the accounts of all clients; `events` in the order of `received_at`. What is told twice counts once.

    A payment that names no invoice goes to the oldest that is open, as the program's ledger does it. Money that goes back lowers
    what was received; an invoice that was settled once stays so, for how soon it was paid is what is asked.
    """
    found: dict[str, Account] = {}
    seen: set[tuple[str, ...]] = set()
    for event in events:
        fact = (event.client_id, *_fact(event))
        if fact in seen:
            continue
        seen.add(fact)
        _take(found.setdefault(event.client_id, Account()), event)
    for account in found.values():
        account.paid.sort()
    return found


def _fact(event: AnyClientEvent) -> tuple[str, ...]:
    match event:
        case PaymentReceived():
            return "paid", event.payment_id, event.invoice_id or ""
        case PaymentRefunded():
            return "refunded", event.refund_id
        case PaymentChargedBack():
            return "charged back", event.chargeback_id
        case ChargebackReversed():
            return "reversed", event.chargeback_id
        case _:
            return "event", event.event_id


def _take(account: Account, event: AnyClientEvent) -> None:
    match event:
        case InvoiceIssued():
            due = epoch_ms(event.due_at)
            bill = Bill(event.invoice_id, event.amount.minor, event.amount.currency, event.occurred_ms, due)
            account.bills.setdefault(event.invoice_id, bill)
        case InvoiceAmended(invoice_id=name) if name in account.bills:
            bill = account.bills[name]
            bill.minor = event.amount.minor if event.amount else bill.minor
            bill.due_ms = epoch_ms(event.due_at) if event.due_at else bill.due_ms
        case InvoiceVoided(invoice_id=name) | InvoiceWrittenOff(invoice_id=name) if name in account.bills:
            account.bills[name].ended_ms = event.occurred_ms
        case CreditNoteIssued(invoice_id=name) if name in account.bills:
            account.bills[name].minor -= event.amount.minor
        case PaymentReceived():
            account.paid.append((event.occurred_ms, event.amount.minor, event.amount.currency))
            _apply(account, event)
        case ChargebackReversed():
            account.paid.append((event.occurred_ms, event.amount.minor, event.amount.currency))
        case PaymentRefunded() | PaymentChargedBack():
            account.paid.append((event.occurred_ms, -event.amount.minor, event.amount.currency))
        case _:
            return


def _apply(account: Account, event: PaymentReceived) -> None:
    at, rest, code = event.occurred_ms, event.amount.minor, event.amount.currency
    named = account.bills.get(event.invoice_id or "")
    for bill in ([named] if named else []) + sorted(account.open_at(at), key=lambda row: row.due_ms):
        part = min(rest, bill.open_at(at))
        if part > 0 and bill.currency == code:
            bill.parts.append((at, part))
            rest -= part

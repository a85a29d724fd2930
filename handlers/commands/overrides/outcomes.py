"""What came of the time of an override, as far as it was known at its end: invoices, replies, complaints."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceAmended, InvoiceIssued, InvoiceVoided
from models.events.payments import PaymentReceived
from models.events.signals import ClientAsked, DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.state.closing import LATE_DAYS
from models.workdays import DAY_MS, whole_days

SURE: Final = 1.64
"""Standard deviations from which a difference is more than chance does in one of ten."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An invoice of an override's time. `days` past due when it was paid, None: it was not.

    `is_news`: whether it would be late was not known yet when the override was set.
    """

    invoice_id: str
    late: bool
    days: int | None
    is_news: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an override's time."""

    endings: tuple[Ending, ...] = ()
    replies: int = 0
    complaints: int = 0

    @property
    def late(self) -> int:
        """How many invoices were late."""
        return sum(row.late for row in self.endings)

    @property
    def paid(self) -> int:
        """How many were paid in its time."""
        return sum(row.days is not None for row in self.endings)

    @property
    def news(self) -> list[bool]:
        """Whether each invoice was late of which that was not known before."""
        return [row.late for row in self.endings if row.is_news]

    @property
    def usual_days(self) -> float | None:
        """The median of days from due to paid; None where nothing was paid."""
        return usual_days(self.endings)


def usual_days(endings: Iterable[Ending]) -> float | None:
    """Return the median of days from due to paid; None where nothing was paid."""
    days = [row.days for row in endings if row.days is not None]
    return median(days) if days else None


def outcome_of(history: Sequence[AnyClientEvent], since_ms: int, until_ms: int) -> Outcome:
    """Return what had come of a span by its end; what arrived later is not read."""
    known = [row for row in history if row.received_ms <= until_ms]
    within = [row for row in known if row.received_ms >= since_ms]
    told = [row.outcome for row in within if isinstance(row, DeliveryReported)]
    asked = sum(isinstance(row, ClientAsked) for row in within)
    return Outcome(
        tuple(_endings(known, since_ms, until_ms)),
        asked + told.count(DeliveryOutcome.REPLIED),
        told.count(DeliveryOutcome.COMPLAINED),
    )


def surprise(late: float, expected: float, variance: float) -> float:
    """Return by how many standard deviations more were late than expected; 0 where nothing was uncertain."""
    return (late - expected) / variance**0.5 if variance > 0 else 0.0


@dataclass(slots=True)
class _Bill:
    minor: int = 0
    due_ms: int = 0
    received: int = 0
    paid_ms: int = 0


def _endings(history: Sequence[AnyClientEvent], since_ms: int, until_ms: int) -> Iterator[Ending]:
    """Yield each invoice that was open in that time and fell due by its end, as far as its lateness is known."""
    bills = _bills(history)
    for invoice, bill in bills.items():
        ended = bill.paid_ms or until_ms + 1
        if not bill.due_ms or bill.due_ms > until_ms or ended <= since_ms:
            continue
        days = whole_days(min(ended, until_ms) - bill.due_ms)
        late = days > LATE_DAYS
        if late or ended <= until_ms:
            is_news = bill.due_ms + LATE_DAYS * DAY_MS >= since_ms
            yield Ending(invoice, late, days if ended <= until_ms else None, is_news)


def _bills(history: Sequence[AnyClientEvent]) -> dict[str, _Bill]:
    bills: dict[str, _Bill] = {}
    for row in history:
        match row:
            case InvoiceIssued():
                bill = bills.setdefault(row.invoice_id, _Bill())
                bill.minor, bill.due_ms = row.amount.minor, epoch_ms(row.due_at)
            case InvoiceAmended() if row.invoice_id in bills:
                bill = bills[row.invoice_id]
                bill.minor = row.amount.minor if row.amount else bill.minor
                bill.due_ms = epoch_ms(row.due_at) if row.due_at else bill.due_ms
            case InvoiceVoided():
                bills.pop(row.invoice_id, None)
            case _:
                pass
    for row in history:
        if isinstance(row, PaymentReceived) and row.invoice_id in bills:
            bill = bills[row.invoice_id]
            bill.received += row.amount.minor
            if not bill.paid_ms and bill.received >= bill.minor:
                bill.paid_ms = row.occurred_ms
    return bills

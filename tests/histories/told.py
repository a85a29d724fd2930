"""A history as lines of our contracts, with what no book of receivables holds: promises to pay."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from models.events.delays import PromiseMade
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from streams.wire.codec import encode_event
from tests.histories.firms import Bill


def write_told(path: Path, bills: Sequence[Bill]) -> Path:
    """Write the events of `bills` to `path`, in the order in which they happened, and return it."""
    events = sorted((event for bill in bills for event in _events(bill)), key=lambda event: event.received_ms)
    path.write_bytes(b"".join(encode_event(event) + b"\n" for event in events))
    return path


def _events(bill: Bill) -> Iterator[AnyClientEvent]:
    money = Money(bill.cents, "EUR")
    issued, due = _at(bill.issued, 9), _at(bill.due, 0)
    yield InvoiceIssued(**_told(bill, "I", issued), invoice_id=bill.number, amount=money, due_at=due)
    for number, (made, by) in enumerate(bill.said):
        name = f"{bill.number}-{number}"
        promised = _told(bill, f"Y{number}", _at(made, 10))
        yield PromiseMade(**promised, promise_id=name, invoice_id=bill.number, promised_at=_at(by, 18))
    if bill.paid is not None:
        paid = _told(bill, "P", _at(bill.paid, 12))
        yield PaymentReceived(**paid, payment_id=f"P{bill.number}", invoice_id=bill.number, amount=money)


def _told(bill: Bill, what: str, at: datetime) -> dict[str, object]:
    return {
        "event_id": f"{what}-{bill.number}",
        "source": "told",
        "client_id": bill.client,
        "occurred_at": at,
        "received_at": at,
    }


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=UTC)

"""The events that every contender gets: invoices and payments of a firm with so many clients, the same on every run."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentMethod, PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money

START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_STEP: Final = timedelta(seconds=20)
_TERMS: Final = timedelta(days=30)


def events(count: int, *, clients: int) -> Iterator[AnyClientEvent]:
    """Yield `count` events: each client in turn, in an order that looks random, gets an invoice and then pays it."""
    for number in range(count):
        turn, place = divmod(number, clients)
        client = f"client-{place * 7919 % clients}"
        moment = START + number * _STEP
        invoice = f"{client}-{turn // 2}"
        amount = Money(minor=10_000 + number % 90_000, currency="EUR")
        if turn % 2 == 0:
            yield InvoiceIssued(
                event_id=f"i-{number}", source="bench", occurred_at=moment, received_at=moment, client_id=client,
                invoice_id=invoice, amount=amount, due_at=moment + _TERMS,
            )  # fmt: skip
        else:
            yield PaymentReceived(
                event_id=f"p-{number}", source="bench", occurred_at=moment, received_at=moment, client_id=client,
                payment_id=f"p-{number}", invoice_id=invoice, amount=amount, method=PaymentMethod.CARD,
            )  # fmt: skip

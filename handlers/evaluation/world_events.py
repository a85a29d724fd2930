"""The lives of a made-up firm as the events a real one would send, in order of arrival."""

from collections.abc import Iterable, Iterator
from typing import Final

from handlers.evaluation.contract_world import Bill, Life, Stretch, day_ms
from models.events.delays import DisputeClosed, DisputeOpened, DisputeOutcome
from models.events.invoices import ContractRecorded, ContractStatus, InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from models.workdays import moment

_CURRENCY: Final = "EUR"
_ANNOUNCED: Final = 60
_SETTLED: Final = 20


def events_of(lives: Iterable[Life], *, until_day: int) -> list[AnyClientEvent]:
    """Return what had arrived by the end of `until_day`, in order of arrival."""
    found = [event for life in lives for event in _of_life(life)]
    known = [event for event in found if event.received_ms < day_ms(until_day + 1, 0)]
    return sorted(known, key=lambda event: (event.received_ms, event.event_id))


def _of_life(life: Life) -> Iterator[AnyClientEvent]:
    first: dict[str, int] = {}
    for row in life.stretches:
        started = first.setdefault(row.contract_id, row.began)
        yield from _of_stretch(life.client_id, row, started)
    for bill in life.bills:
        yield from _of_bill(life.client_id, bill)


def _of_stretch(client: str, row: Stretch, started: int) -> Iterator[AnyClientEvent]:
    if not row.age:
        yield _record(client, row, "begins", row.began, started=started, renews=row.renews, minor=row.price)
    if row.offered != row.price:
        day = row.renews - _ANNOUNCED
        yield _record(client, row, "offer", day, started=started, renews=row.renews, minor=row.offered)
    if row.renewed:
        renews = row.renews + row.kind.days
        yield _record(client, row, "renewed", row.told, started=started, renews=renews, minor=row.after)
    else:
        yield _record(client, row, "ended", row.told, started=started, renews=None, minor=row.offered)


def _record(client: str, row: Stretch, what: str, day: int, *, started: int, renews: int | None, minor: int) -> ContractRecorded:
    at = moment(day_ms(day, 8))
    return ContractRecorded(
        event_id=f"{row.contract_id}-{row.age}-{what}",
        source="world",
        client_id=client,
        occurred_at=at,
        received_at=at,
        contract_id=row.contract_id,
        status=ContractStatus.ENDED if renews is None else ContractStatus.ACTIVE,
        contract_type=row.kind.name,
        started_at=moment(day_ms(started, 0)),
        renews_at=None if renews is None else moment(day_ms(renews, 0)),
        amount=Money(minor, _CURRENCY),
    )


def _of_bill(client: str, bill: Bill) -> Iterator[AnyClientEvent]:
    issued, paid = moment(day_ms(bill.issued)), moment(day_ms(bill.paid, 15))
    amount = Money(bill.minor, _CURRENCY)
    yield InvoiceIssued(
        event_id=f"{bill.invoice_id}-issued",
        source="world",
        client_id=client,
        occurred_at=issued,
        received_at=issued,
        invoice_id=bill.invoice_id,
        amount=amount,
        due_at=moment(day_ms(bill.due, 17)),
    )
    yield PaymentReceived(
        event_id=f"{bill.invoice_id}-paid",
        source="world",
        client_id=client,
        occurred_at=paid,
        received_at=paid,
        payment_id=f"{bill.invoice_id}-p",
        amount=amount,
        invoice_id=bill.invoice_id,
    )
    if bill.disputed:
        opened, closed = moment(day_ms(bill.disputed, 11)), moment(day_ms(bill.disputed + _SETTLED, 11))
        known = {"source": "world", "client_id": client, "dispute_id": f"{bill.invoice_id}-d"}
        yield DisputeOpened.model_validate(
            known
            | {
                "event_id": f"{bill.invoice_id}-opened",
                "occurred_at": opened,
                "received_at": opened,
                "invoice_id": bill.invoice_id,
            }
        )
        yield DisputeClosed.model_validate(
            known
            | {
                "event_id": f"{bill.invoice_id}-closed",
                "occurred_at": closed,
                "received_at": closed,
                "outcome": DisputeOutcome.WON,
            }
        )

"""What the client log still tells about ids: the part of the directory that outlives Redis and the retention of webhooks."""

from collections.abc import Iterator
from typing import Final

from models.events.invoices import ContractRecorded, InvoiceIssued
from models.events.payments import PaymentFailed, PaymentPending, PaymentReceived
from models.events.union import AnyClientEvent
from streams.sources.addresses import learn_from
from streams.wire.facts import Facts, address, facts

_ASKING: Final = frozenset({"stripe", "gocardless"})
"""Sources whose deliveries may name an id and nothing else."""


def recalled(event: AnyClientEvent) -> Iterator[tuple[str, Facts]]:
    """Yield by address what an event of the log says about the ids in it: whose they are, and of which invoice and amount.

    Less than the deliveries said: of a Stripe payment the log knows one name, its intent where there was one, and no charge.
    """
    yield from learn_from((event,)).items()
    if event.source not in _ASKING or event.passed_on is not None:
        return
    match event:
        case PaymentReceived() | PaymentPending() | PaymentFailed():
            of_invoice = {"invoice" if event.source == "stripe" else "invoice_id": event.invoice_id}
            money = {} if event.source == "stripe" else {"amount": str(event.amount.minor), "currency": event.amount.currency}
            yield address(event.source, event.payment_id), facts(client_id=event.client_id, **of_invoice, **money)
        case InvoiceIssued():
            yield address(event.source, event.invoice_id), facts(client_id=event.client_id)
        case ContractRecorded():
            yield address(event.source, event.contract_id), facts(client_id=event.client_id)
        case _:
            return

"""Facts of a client that another one has: of who pays for it, or paid, or of whom it was once part.

Whatever names such a fact belongs where the fact is, so that a payment finds its invoice whoever is named as the payer.
"""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from models.events.invoices import ContractRecorded
from models.events.signals import ClientAsked, OverrideSet, Request
from models.events.union import AnyClientEvent, DelayEvent, InvoiceEvent, PaymentEvent
from models.state.client import ClientState
from models.state.identity import Elsewhere, parts
from models.state.memory import fingerprint, is_closed, united
from models.state.rows import Ledger
from models.state.totals import count, payment_key

_FIELDS: Final = MappingProxyType(
    {"credit_note_id": "credit"} | {f"{fact}_id": fact for fact in ("dispute", "promise", "plan", "invoice")}
)


def is_about_money(event: AnyClientEvent) -> bool:
    """Say whether an event belongs to who pays, rather than to whom it names."""
    # A contract is an agreement with whom it names, whoever pays for it.
    return isinstance(event, PaymentEvent | InvoiceEvent | DelayEvent) and not isinstance(event, ContractRecorded)


def follows_money(event: AnyClientEvent) -> bool:
    """Say whether a word is for who has the money it is about: a wish for time to pay, and an override on an invoice."""
    match event:
        case ClientAsked():
            return event.request in {Request.PLAN, Request.LATER}
        case OverrideSet():
            return event.invoice_id is not None
        case _:
            return False


def facts_named(event: AnyClientEvent) -> tuple[str, ...]:
    """Return the facts that an event about money names, its own first: a payment told in parts stays in one place."""
    own: tuple[str, ...] = ()
    if isinstance(event, PaymentEvent):
        own = (payment_key(event.payment_id, event.amount.currency),)
    ids = ((fact, getattr(event, field, None)) for field, fact in _FIELDS.items())
    return (*own, *(f"{fact}:{named}" for fact, named in ids if named))


def facts_of(state: ClientState) -> bytes:
    """Return the fingerprints of all facts that a state has or had."""
    return united(state.memory.closed, b"".join(map(fingerprint, _rows(state.ledger))))[0]


def place_of(state: ClientState, event: AnyClientEvent) -> str:
    """Return the client to whom an event about money belongs, empty for this one.

    It belongs to who has what it names, else to who pays. What this client has passed on before, and gets back, is its own:
    two who pay for each other are as two of whom each pays for itself.
    """
    who = state.identity
    if event.passed_on is not None and state.client_id in event.passed_on.children:
        return ""
    here, own = set(_rows(state.ledger)), parts(who)
    # What is part of the client has at most what is on its way here: others who have the fact are asked first.
    others = sorted(who.elsewhere, key=lambda row: row.client_id in own)
    for fact in facts_named(event):
        if fact in here or is_closed(state.memory.closed, fact):
            return ""
        for row in others:
            if is_closed(row.facts, fact):
                return row.client_id
    return who.payer


def noted(state: ClientState, client_id: str, facts: bytes, *, told: int = 0) -> ClientState:
    """Return the state that knows of facts that another client has, and of events that were passed on to it because of them."""
    who = state.identity
    row = next((known for known in who.elsewhere if known.client_id == client_id), Elsewhere(client_id))
    both, lost = united(row.facts, facts)
    after = replace(row, told=row.told + told, facts=both)
    rest = (known for known in who.elsewhere if known is not row)
    state = replace(state, identity=replace(who, elsewhere=(*rest, after)))
    return count(state, facts=lost) if lost else state


def fingerprints(facts: Iterable[str]) -> bytes:
    """Return the fingerprints of facts."""
    return b"".join(map(fingerprint, facts))


def _rows(ledger: Ledger) -> Iterator[str]:
    yield from (f"invoice:{row.invoice_id}" for row in ledger.invoices)
    yield from (payment_key(row.payment_id, row.currency) for row in ledger.payments)
    yield from (f"credit:{row.credit_note_id}" for row in ledger.credits)
    yield from (f"dispute:{row.dispute_id}" for row in ledger.disputes)
    yield from (f"promise:{row.promise_id}" for row in ledger.promises)
    yield from (f"plan:{row.plan_id}" for row in ledger.plans)

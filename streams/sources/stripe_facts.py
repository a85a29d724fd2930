"""What Stripe's events tell about charges, payment intents and invoices, for the events that name one of these and nothing else.

An invoice tells its customer; a charge and an intent their customer, invoice and each other; an invoice's payment, which invoice
an intent belongs to (Stripe's present API says so nowhere else).
"""

from collections.abc import Iterator
from typing import Final

from streams.sources import payload as read
from streams.sources.lookup import Lookup
from streams.sources.payload import Payload
from streams.sources.stripe_fields import client_named, invoice_of
from streams.wire.facts import Facts, facts

_DISPUTES: Final = "charge.dispute."
_PAYMENTS: Final = ("charge", "payment_intent", "latest_charge")


def completed(about: Payload, *, kind: str, lookup: Lookup) -> Payload:
    """Return the object of an event, with what is known about its payment in the payment's place if it lacks a fact.

    Any object may lack its client, and a dispute also its invoice: without it, all that the client owes would seem disputed.
    """
    lacks_invoice = kind.startswith(_DISPUTES) and invoice_of(about) is None
    if client_named(about) is not None and not lacks_invoice:
        return about
    whole = read.expanded(about, "charge")
    own = [about] if read.text(about, "object") in {"charge", "payment_intent"} else []
    named = [found for part in own if (found := read.text(part, "id")) is not None]
    named += [found for name in (*_PAYMENTS, "invoice") if (found := read.identifier(about, name)) is not None]
    named += [found for name in ("payment_intent", "invoice") if (found := read.identifier(whole, name)) is not None]
    known = lookup.all_about(*named)
    if not known:
        return about
    place = next((name for name in (*_PAYMENTS, "invoice") if read.identifier(about, name) is not None), "charge")
    return {**about, place: _filled_in(about, place, known)}


def _filled_in(about: Payload, place: str, known: Facts) -> dict[str, object]:
    """Return what stands at `place`, and what is remembered where that says nothing."""
    given = {name: value for name, value in read.expanded(about, place).items() if value is not None}
    told = {name: known[name] for name in ("customer", "payment_intent", "invoice") if name in known}
    metadata = {**facts(client_id=known.get("client_id")), **read.inner(given, "metadata")}
    return {"id": read.identifier(about, place), **told, **given, "metadata": metadata}


def learn(body: Payload) -> list[tuple[str, Facts]]:
    """Return what one event tells about ids."""
    return list(_told_by(read.inner(read.inner(body, "data"), "object")))


def _told_by(about: Payload) -> Iterator[tuple[str, Facts]]:
    match read.text(about, "object"):
        case "charge":
            yield from _payment(about, charge=read.text(about, "id"), intent=read.identifier(about, "payment_intent"))
        case "payment_intent":
            charge = read.identifier(about, "latest_charge", "charge")
            yield from _payment(about, charge=charge, intent=read.text(about, "id"))
            for listed in read.items(read.inner(about, "charges"), "data"):
                yield from _told_by(listed)
        case "invoice":
            yield from _invoice(about)
        case "invoice_payment":
            yield from _invoice_payment(about, invoice=read.identifier(about, "invoice"), customer=None)
        case _:
            pass
    for name in _PAYMENTS:
        if inside := read.expanded(about, name):
            yield from _told_by(inside)


def _payment(about: Payload, *, charge: str | None, intent: str | None) -> Iterator[tuple[str, Facts]]:
    told = {**_whose(about), **facts(invoice=invoice_of(about))}
    if intent is not None:
        yield intent, told
    if charge is not None:
        yield charge, {**told, **facts(payment_intent=intent)}


def _invoice(invoice: Payload) -> Iterator[tuple[str, Facts]]:
    own, told = read.text(invoice, "id"), _whose(invoice)
    if own is None:
        return
    yield own, told
    for name in _PAYMENTS:
        if (payment := read.identifier(invoice, name)) is not None:
            yield payment, {**told, **facts(invoice=own)}
    for entry in read.items(read.inner(invoice, "payments"), "data"):
        yield from _invoice_payment(entry, invoice=own, customer=told.get("customer"))


def _invoice_payment(entry: Payload, *, invoice: str | None, customer: str | None) -> Iterator[tuple[str, Facts]]:
    payment = read.inner(entry, "payment")
    for name in ("payment_intent", "charge"):
        if (named := read.identifier(payment, name)) is not None:
            yield named, facts(invoice=invoice, customer=customer)


def _whose(about: Payload) -> Facts:
    given = read.text(read.inner(about, "metadata"), "client_id")
    return facts(customer=read.identifier(about, "customer", "customer_account"), client_id=given)

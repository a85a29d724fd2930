"""What GoCardless' deliveries tell about payments, mandates and their like, for the events that only name them.

An event tells what its own resource links to; a delivery that carries resources tells their amounts as well. A billing request
that was fulfilled names the customer, the mandate and the payment that came of it.
"""

from collections.abc import Iterator
from typing import Final

from streams.sources import payload as read
from streams.sources.payload import Payload
from streams.wire.facts import Facts, facts

TOWARDS_CUSTOMER: Final = (
    ("refund", "refunds"),
    ("payment", "payments"),
    ("subscription", "subscriptions"),
    ("instalment_schedule", "instalment_schedules"),
    ("mandate", "mandates"),
)
"""Kinds of resources and their plurals, in the order in which they lead to the customer."""

_ORDER: Final = tuple(name for name, _ in TOWARDS_CUSTOMER)


def learn(body: Payload) -> list[tuple[str, Facts]]:
    """Return what one delivery tells about ids."""
    return list(_told_by(body))


def as_resource(known: Facts) -> Payload:
    """Return what is known about an id in the form of a resource; an empty one where nothing is."""
    if not known:
        return {}
    amount = known.get("amount", "")
    return {
        "amount": int(amount) if amount.isdecimal() else None,
        "currency": known.get("currency"),
        "charge_date": known.get("charge_date"),
        "metadata": {name: known[name] for name in ("client_id", "invoice_id") if name in known},
        "links": {name: known[name] for name in (*_ORDER, "customer") if name in known},
    }


def _told_by(body: Payload) -> Iterator[tuple[str, Facts]]:
    linked = read.inner(body, "linked")
    for name, plural in TOWARDS_CUSTOMER:
        for resource in read.items(linked, plural):
            yield from _resource(name, resource)
    for event in read.items(body, "events"):
        yield from _event(event)


def _event(event: Payload) -> Iterator[tuple[str, Facts]]:
    links = read.inner(event, "links")
    kind = read.text(event, "resource_type")
    for name, plural in TOWARDS_CUSTOMER:
        if plural == kind and (own := read.text(links, name)) is not None:
            yield own, {**_links(name, links), **_given(read.inner(event, "resource_metadata"))}
            if resource := read.inner(event, "resource"):
                yield from _resource(name, {"id": own, **resource})
    if kind == "billing_requests":
        yield from _fulfilled(links)


def _fulfilled(links: Payload) -> Iterator[tuple[str, Facts]]:
    mandate = read.text(links, "mandate_request_mandate")
    customer = read.text(links, "customer")
    for own in (mandate, read.text(links, "payment_request_payment")):
        if own is not None:
            yield own, facts(customer=customer, mandate=mandate if mandate != own else None)


def _resource(name: str, resource: Payload) -> Iterator[tuple[str, Facts]]:
    own, minor = read.text(resource, "id"), read.integer(resource, "amount")
    if own is not None:
        yield (
            own,
            {
                **_links(name, read.inner(resource, "links")),
                **_given(read.inner(resource, "metadata")),
                **facts(
                    amount=None if minor is None else str(minor),
                    currency=read.text(resource, "currency"),
                    charge_date=read.text(resource, "charge_date"),
                ),
            },
        )


def _links(name: str, links: Payload) -> Facts:
    """Return the links of a resource of kind `name` that lead on towards the customer, never back."""
    onwards = _ORDER[_ORDER.index(name) + 1 :]
    return facts(**{link: read.text(links, link) for link in (*onwards, "customer")})


def _given(metadata: Payload) -> Facts:
    return facts(client_id=read.text(metadata, "client_id"), invoice_id=read.text(metadata, "invoice_id"))

"""Who a client of Stripe is, and what is agreed with them: customers and subscriptions."""

import re
from typing import Final

from models.events.invoices import ContractRecorded, ContractStatus
from models.events.signals import ClientProfiled
from models.events.union import AnyClientEvent
from models.money import Money
from streams.sources import payload as read
from streams.sources.payload import Payload
from streams.sources.stripe_fields import CONTRACT_STATES, Notice, amount_of, object_id, service_line_of

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST_MAIL: Final = 254


def tell_customer(notice: Notice) -> list[AnyClientEvent]:
    """Return how to reach the client."""
    customer = notice.about
    locales = customer.get("preferred_locales")
    country = read.text(read.inner(customer, "address"), "country")
    return [
        ClientProfiled(
            **notice.common(),
            name=_short(read.text(customer, "name"), 200),
            email=_mail(read.text(customer, "email")),
            phone=_short(read.text(customer, "phone"), 40),
            # Stripe knows no zone of a customer; a firm that does keeps it in the metadata.
            timezone=_short(read.text(read.inner(customer, "metadata"), "timezone"), 64),
            country=country if country and _COUNTRY.fullmatch(country) else None,
            locale=_short(locales[0], 20) if isinstance(locales, list) and locales and isinstance(locales[0], str) else None,
        )
    ]


def _short(value: str | None, longest: int) -> str | None:
    """Return a profile field that can be used; one that cannot must not keep the rest from us."""
    return value if value is not None and len(value) <= longest else None


def _mail(value: str | None) -> str | None:
    return value if value is not None and len(value) <= _LONGEST_MAIL and _MAIL.fullmatch(value) else None


def tell_subscription(notice: Notice) -> list[AnyClientEvent]:
    """Return what is agreed with the client now."""
    subscription = notice.about
    status = CONTRACT_STATES.get(read.text(subscription, "status") or "")
    if notice.type == "customer.subscription.deleted":
        status = ContractStatus.ENDED
    if status is None:
        return []  # incomplete: the first payment is still awaited, nothing is agreed yet
    if status is not ContractStatus.ENDED and read.inner(subscription, "pause_collection"):
        status = ContractStatus.PAUSED
    lines = read.items(read.inner(subscription, "items"), "data")
    ends = [read.seconds(part, "current_period_end") for part in (subscription, *lines)]
    ending = read.flag(subscription, "cancel_at_period_end") or subscription.get("cancel_at") is not None
    renews_at = min((end for end in ends if end is not None), default=None)
    return [
        ContractRecorded(
            **notice.common(),
            contract_id=object_id(subscription),
            status=status,
            contract_type="subscription",
            service_line=service_line_of(subscription),
            started_at=read.seconds(subscription, "start_date") or read.seconds(subscription, "created"),
            renews_at=None if ending or status is ContractStatus.ENDED else renews_at,
            amount=_period_price(lines),
        )
    ]


def _period_price(lines: list[Payload]) -> Money | None:
    """Return the price of one period, or none where use decides it or currencies differ."""
    prices = [read.inner(line, "price") or read.inner(line, "plan") for line in lines]
    units = [read.integer(price, "unit_amount") if "unit_amount" in price else read.integer(price, "amount") for price in prices]
    counts = [read.integer(line, "quantity") for line in lines]
    codes = {read.text(price, "currency") for price in prices}
    if None in units or None in counts or len(codes) != 1:
        return None
    return amount_of(prices[0], max(sum((unit or 0) * (count or 0) for unit, count in zip(units, counts, strict=True)), 0))

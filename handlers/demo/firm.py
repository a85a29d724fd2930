"""A year of a small firm as signed Stripe webhooks: seeded, consistent in money, with duplicates and mild reordering."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from handlers.demo import stripe_objects as stripe
from handlers.demo.paying import Happening, pay
from handlers.demo.people import PayerType, Person, people
from handlers.demo.stripe_objects import Bill

YEAR_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
YEAR_DAYS: Final = 365

_DUPLICATES = 0.03  # share of deliveries that the processor repeats
_STRAGGLERS = 0.04  # share that arrives hours late, after newer ones
_AFTERNOON: Final = timedelta(hours=16, minutes=30)
_SEASON: Final = ((14, 105), (290, 335))  # days of the year in which seasonal clients are busy


@dataclass(frozen=True, slots=True)
class Webhook:
    """One delivery: what is posted and when. The same `event_id` may be delivered twice."""

    at: datetime
    event_id: str
    kind: str
    client_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class FirmYear:
    """All deliveries in order of time, and the firm's own books to check against: open minor units per client."""

    clients: tuple[Person, ...]
    webhooks: tuple[Webhook, ...]
    open_minor: dict[str, int]

    @property
    def length(self) -> int:
        """How many days the year has, the last delivery's included."""
        return (self.webhooks[-1].at - YEAR_START).days + 1 if self.webhooks else 0

    def moments(self) -> Iterator[tuple[datetime, list[Webhook]]]:
        """Yield the moments at which the clock is set, one a day, and what was delivered since the one before."""
        at = 0
        for day in range(self.length + 1):
            begin, now = at, YEAR_START + timedelta(days=day) + _AFTERNOON
            while at < len(self.webhooks) and self.webhooks[at].at <= now:
                at += 1
            yield now, list(self.webhooks[begin:at])


def firm_year(*, seed: int = 2025, days: int = YEAR_DAYS, clients: tuple[Person, ...] | None = None) -> FirmYear:
    """Return `days` days of the firm's life. The same arguments always give the same bytes."""
    chosen = people() if clients is None else clients
    deliveries: list[Webhook] = []
    books: dict[str, int] = {}
    end = YEAR_START + timedelta(days=days)
    for person in chosen:
        rng = Random(f"{seed}:{person.client_id}")
        happenings = [*_arrival(person), *_bills_and_payments(person, rng), *_retainer(person, rng)]
        happened = [happening for happening in happenings if happening.at < end - timedelta(days=1)]
        books[person.client_id] = sum(happening.owes for happening in happened)
        for happening in happened:
            deliveries.extend(_deliveries(happening, rng, end=end))
    deliveries.sort(key=lambda delivery: (delivery.at, delivery.event_id))
    return FirmYear(clients=chosen, webhooks=tuple(deliveries), open_minor=books)


def _deliveries(happening: Happening, rng: Random, *, end: datetime) -> Iterator[Webhook]:
    body = stripe.envelope(happening.kind, happening.content, at=happening.at)
    event_id = stripe.event_id(happening.kind, happening.content, at=happening.at)
    delay = timedelta(seconds=rng.uniform(1, 90))
    if rng.random() < _STRAGGLERS:
        delay += timedelta(hours=rng.uniform(1, 18))
    first = min(happening.at + delay, end - timedelta(seconds=1))
    yield Webhook(at=first, event_id=event_id, kind=happening.kind, client_id=happening.client_id, body=body)
    if rng.random() < _DUPLICATES:
        again = min(first + timedelta(minutes=rng.uniform(1, 2_000)), end - timedelta(seconds=1))
        yield Webhook(at=again, event_id=event_id, kind=happening.kind, client_id=happening.client_id, body=body)


def _arrival(person: Person) -> Iterator[Happening]:
    at = _on_day(person.joins_day, hour=8)
    yield Happening(at=at, kind="customer.created", content=stripe.customer(person, created=at), client_id=person.client_id)


def _bills_and_payments(person: Person, rng: Random) -> Iterator[Happening]:
    for number, day in enumerate(_billing_days(person, rng)):
        issued = _on_day(day, hour=9 + rng.randrange(7), minute=rng.randrange(60))
        bill = Bill(
            invoice_id=stripe.object_id("in", person.client_id, number),
            person=person,
            amount=max(100, round(person.typical * rng.lognormvariate(0, 0.35))),
            issued_at=issued,
            lines=rng.randint(1, 3) if person.payer is PayerType.MICRO else rng.randint(2, 14),
        )
        yield Happening(
            at=issued,
            kind="invoice.finalized",
            content=stripe.invoice(bill),
            client_id=person.client_id,
            owes=bill.amount,
        )
        yield from pay(bill, rng, day=day)


def _billing_days(person: Person, rng: Random) -> Iterator[int]:
    day = person.joins_day + rng.randint(1, 6)
    while day < YEAR_DAYS:
        busy = person.payer is not PayerType.SEASONAL or any(first <= day <= last for first, last in _SEASON)
        if busy:
            yield day
        day += {
            PayerType.MICRO: rng.randint(7, 10),
            PayerType.SEASONAL: rng.randint(6, 10),
            PayerType.PROBLEM: rng.randint(22, 32),
        }.get(person.payer, rng.randint(14, 21))


def _retainer(person: Person, rng: Random) -> Iterator[Happening]:
    months = person.retainer_months
    if months is None:
        return
    amount = round(person.typical * 1.5)
    started = _on_day(person.joins_day + 7, hour=7)
    ends_early = rng.random() < 0.15  # noqa: PLR2004 (one retainer in seven is not renewed)
    start, period = started, 0
    while (start - YEAR_START).days < YEAR_DAYS:
        end = start + timedelta(days=30 * months)
        ended = ends_early and period > 1
        content = stripe.subscription(
            person, started=started, period=(start, end), amount=amount, status="canceled" if ended else "active"
        )
        kind = "customer.subscription.created" if period == 0 else "customer.subscription.updated"
        kind = "customer.subscription.deleted" if ended else kind
        yield Happening(at=start, kind=kind, content=content, client_id=person.client_id)
        if ended:
            return
        bill = Bill(
            invoice_id=stripe.object_id("in", person.client_id, "retainer", period),
            person=person,
            amount=amount,
            issued_at=start + timedelta(minutes=5),
            subscription=str(content["id"]),
        )
        yield Happening(
            at=bill.issued_at,
            kind="invoice.finalized",
            content=stripe.invoice(bill),
            client_id=person.client_id,
            owes=amount,
        )
        yield from pay(bill, rng, day=(start - YEAR_START).days)
        start, period = end, period + 1


def _on_day(day: int, *, hour: int, minute: int = 0) -> datetime:
    return YEAR_START + timedelta(days=day, hours=hour, minutes=minute)

"""How each kind of client pays an invoice: on time, late, in parts, after a decline, by debit, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from handlers.demo import stripe_objects as stripe
from handlers.demo.people import PayerType
from handlers.demo.stripe_objects import Bill, Object

_TURNS_ON_DAY: Final = 215  # when the reliable client who turns late does so
_DEBITS: Final = ("sepa_debit", "us_bank_account")


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened at the processor; `owes` is how many minor units more (or less) the client owes by it."""

    at: datetime
    kind: str
    content: Object
    client_id: str
    owes: int = 0


@dataclass(frozen=True, slots=True)
class _Habits:
    """Days after the due date at which a kind of client pays (from, to), and the chances of what goes wrong."""

    pays: tuple[int, int]
    slips: float = 0.0
    never: float = 0.0
    declines: float = 0.0
    parts: float = 0.0
    disputes: float = 0.0
    refunds: float = 0.0


_HABITS: Final = {
    PayerType.RELIABLE: _Habits(pays=(-18, -1), slips=0.06, refunds=0.02),
    PayerType.TURNED: _Habits(pays=(-9, -1)),
    PayerType.SLOW: _Habits(pays=(9, 32), slips=0.05, parts=0.0),
    PayerType.PROBLEM: _Habits(pays=(25, 70), never=0.25, declines=0.5, parts=0.0, disputes=0.25),
    PayerType.NEW: _Habits(pays=(-6, 4), slips=0.1, refunds=0.03),
    PayerType.MICRO: _Habits(pays=(-4, 1), slips=0.04, declines=0.05),
    PayerType.SEASONAL: _Habits(pays=(-6, 6), slips=0.1, refunds=0.02),
}
_TURNED: Final = _Habits(pays=(16, 34))


def pay(bill: Bill, rng: Random, *, day: int) -> Iterator[Happening]:
    """Yield what happens to `bill`, issued on `day` of the year, until it is settled or given up."""
    habits = _HABITS[bill.person.payer]
    if bill.person.payer is PayerType.TURNED and day > _TURNS_ON_DAY:
        habits = _TURNED
    days_after_due = rng.randint(*habits.pays) + (rng.randint(6, 20) if rng.random() < habits.slips else 0)
    at = max(bill.due_at + timedelta(days=days_after_due, hours=rng.randint(-3, 6)), bill.issued_at + timedelta(hours=3))
    never = rng.random() < habits.never
    attempt = 1
    if bill.person.method != "out_of_band" and rng.random() < habits.declines:
        yield from _declined(bill, attempt=attempt, at=min(at, bill.due_at), retries=not never)
        attempt += 1
    if never:
        return
    if bill.person.method == "out_of_band":
        yield _settled_by_wire(bill, at=at)
        return
    first = bill.amount // 2 if rng.random() < habits.parts else bill.amount
    yield from _collected(bill, attempt=attempt, amount=first, paid_before=0, at=at)
    if first < bill.amount:
        at += timedelta(days=rng.randint(8, 15))
        attempt += 1
        yield from _collected(bill, attempt=attempt, amount=bill.amount - first, paid_before=first, at=at)
        return
    if rng.random() < habits.disputes:
        yield from _contested(bill, attempt=attempt, at=at + timedelta(days=rng.randint(4, 20)), won=rng.random() < 0.5)  # noqa: PLR2004 (a coin)
    elif rng.random() < habits.refunds:
        yield from _refunded(bill, attempt=attempt, amount=bill.amount // 4, at=at + timedelta(days=rng.randint(1, 9)))


def _collected(bill: Bill, *, attempt: int, amount: int, paid_before: int, at: datetime) -> Iterator[Happening]:
    client_id = bill.person.client_id
    if bill.person.method in _DEBITS:
        submitted = max(at - timedelta(days=3), bill.issued_at + timedelta(hours=1))
        content = stripe.payment_intent(bill, amount=amount, status="processing", at=submitted)
        yield Happening(at=submitted, kind="payment_intent.processing", content=content, client_id=client_id)
    content = stripe.charge(bill, attempt=attempt, amount=amount, at=at)
    yield Happening(at=at, kind="charge.succeeded", content=content, client_id=client_id, owes=-amount)
    if paid_before + amount == bill.amount:
        content = stripe.invoice(bill, paid=bill.amount, attempts=attempt)
        yield Happening(at=at + timedelta(seconds=2), kind="invoice.paid", content=content, client_id=client_id)


def _settled_by_wire(bill: Bill, *, at: datetime) -> Happening:
    return Happening(
        at=at,
        kind="invoice.paid",
        content=stripe.invoice(bill, paid=bill.amount, out_of_band=True),
        client_id=bill.person.client_id,
        owes=-bill.amount,
    )


def _declined(bill: Bill, *, attempt: int, at: datetime, retries: bool) -> Iterator[Happening]:
    client_id = bill.person.client_id
    failure = "insufficient_funds" if retries else "card_declined"
    content = stripe.charge(bill, attempt=attempt, amount=bill.amount, at=at, failure=failure)
    yield Happening(at=at, kind="charge.failed", content=content, client_id=client_id)
    again = at + timedelta(days=3) if retries else None
    content = stripe.invoice(bill, attempts=attempt, next_attempt=again)
    yield Happening(at=at + timedelta(seconds=2), kind="invoice.payment_failed", content=content, client_id=client_id)


def _contested(bill: Bill, *, attempt: int, at: datetime, won: bool) -> Iterator[Happening]:
    client_id, amount = bill.person.client_id, bill.amount
    opened = stripe.dispute(bill, attempt=attempt, amount=amount, at=at, status="needs_response")
    yield Happening(at=at, kind="charge.dispute.created", content=opened, client_id=client_id)
    yield Happening(
        at=at + timedelta(seconds=3),
        kind="charge.dispute.funds_withdrawn",
        content=opened,
        client_id=client_id,
        owes=amount,
    )
    closed_at = at + timedelta(days=35)
    closed = stripe.dispute(bill, attempt=attempt, amount=amount, at=at, status="won" if won else "lost")
    if won:
        back_at = closed_at + timedelta(seconds=3)
        yield Happening(at=back_at, kind="charge.dispute.funds_reinstated", content=closed, client_id=client_id, owes=-amount)
    yield Happening(at=closed_at, kind="charge.dispute.closed", content=closed, client_id=client_id)


def _refunded(bill: Bill, *, attempt: int, amount: int, at: datetime) -> Iterator[Happening]:
    """Give `amount` back as Stripe does it for an invoice: a credit note says that less was owed, the refund moves the money."""
    client_id = bill.person.client_id
    note = stripe.credit_note(bill, amount=amount, at=at)
    yield Happening(at=at, kind="credit_note.created", content=note, client_id=client_id, owes=-amount)
    content = stripe.charge(bill, attempt=attempt, amount=bill.amount, at=at, refunded=amount)
    yield Happening(at=at + timedelta(seconds=2), kind="charge.refunded", content=content, client_id=client_id, owes=amount)

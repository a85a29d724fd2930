"""How a client pays, as it is remembered: windows of days, ends of invoices, cadence, methods and declines."""

from typing import Final

import msgspec

from models.events.payments import PaymentMethod
from models.state.rows import METHODS

_OTHER: Final = METHODS.index(PaymentMethod.OTHER)


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Sums of one day (or one week, in the tail) in one currency, by event time. `day` counts from 1970-01-01 UTC."""

    day: int
    currency: str
    payments: int = 0
    money_in: int = 0
    reductions: int = 0
    money_out: int = 0
    invoices: int = 0
    invoiced: int = 0
    declines: int = 0


class Label(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How one invoice ended: settled when, how many days after due, and whether the firm gave up on it."""

    settled_ms: int
    days_late: int
    minor: int
    currency: str
    written_off: bool = False


class Rhythm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the client pays: windows, cadence, methods, declines, lateness.

    `pay_methods` are the methods of the last payments, one for each of `pay_days` (older states have fewer: the last ones);
    `failure_methods` those of the declined attempts in `failures`, likewise; `refused` are those of them that were declined for
    good: the processor does not try again.
    """

    buckets: tuple[Bucket, ...] = ()
    pay_days: tuple[int, ...] = ()
    methods: tuple[int, ...] = ()
    failures: tuple[int, ...] = ()
    last_paid_ms: int = 0
    next_retry_ms: int = 0
    retry_at: int = 0
    labels: tuple[Label, ...] = ()
    labelled: int = 0
    late: int = 0
    written_off: int = 0
    disputes: tuple[int, ...] = ()
    pay_methods: tuple[int, ...] = ()
    failure_methods: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()


def attempts(rhythm: Rhythm) -> list[tuple[int, int]]:
    """Return the declined attempts as (epoch ms, method), the earliest first; of older states the method is not known."""
    unknown = (_OTHER,) * (len(rhythm.failures) - len(rhythm.failure_methods))
    return list(zip(rhythm.failures, (*unknown, *rhythm.failure_methods), strict=True))

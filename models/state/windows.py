"""Event-time windows at constant memory: days for five weeks at least, then weeks, thirteen months in all.

Buckets are sums, so every fact has an inverse and the order of arrival does not matter. Days become weeks four weeks at a time,
so there are at most 63 days and 53 weeks per currency that the client really used in that time, and of currencies at most twelve.
"""

from typing import Final

from msgspec.structs import replace

from models.state.rhythm import Bucket
from models.workdays import DAY_MS

DAILY_DAYS: Final = 35
KEPT_DAYS: Final = 57 * 7  # thirteen months and the days up to the next Monday, so that a year on year comparison works
CURRENCIES: Final = 12
"""Of more currencies within thirteen months the later ones are kept as money, but not by day."""

_MONDAY_OFFSET: Final = 3  # 1970-01-01 was a Thursday
_STRIDE: Final = 28


def day_of(ms: int) -> int:
    """Return the day since 1970-01-01 UTC."""
    return ms // DAY_MS


def week_start(day: int) -> int:
    """Return the Monday of the week of `day`."""
    return day - (day + _MONDAY_OFFSET) % 7


def add(buckets: tuple[Bucket, ...], at_ms: int, *, now_ms: int, change: Bucket) -> tuple[Bucket, ...]:
    """Add the figures of `change` to the bucket of `at_ms`; facts older than thirteen months have left the window."""
    day, today = day_of(at_ms), day_of(now_ms)
    if day < tail_before(today):
        day = week_start(day)
    if day <= today - KEPT_DAYS:
        return buckets
    code = change.currency
    # Most facts are recent: look from the newest end.
    for index in range(len(buckets) - 1, -1, -1):
        row = buckets[index]
        if row.day == day and row.currency == code:
            merged = _sum(row, change)
            return (*buckets[:index], merged, *buckets[index + 1 :]) if _any(merged) else buckets[:index] + buckets[index + 1 :]
        if (row.day, row.currency) < (day, code):
            return (*buckets[: index + 1], _at(change, day), *buckets[index + 1 :]) if _has_room(buckets, code) else buckets
    return (_at(change, day), *buckets) if _has_room(buckets, code) else buckets


def _has_room(buckets: tuple[Bucket, ...], currency: str) -> bool:
    known = {row.currency for row in buckets}
    return currency in known or len(known) < CURRENCIES


def compact(buckets: tuple[Bucket, ...], *, now_ms: int) -> tuple[Bucket, ...]:
    """Fold days that left the daily part into their weeks, and drop what left the window."""
    today = day_of(now_ms)
    edge = tail_before(today)
    if not any(row.day <= today - KEPT_DAYS or (row.day < edge and row.day != week_start(row.day)) for row in buckets):
        return buckets
    kept: dict[tuple[int, str], Bucket] = {}
    for row in buckets:
        if row.day <= today - KEPT_DAYS:
            continue
        day = week_start(row.day) if row.day < edge else row.day
        key = (day, row.currency)
        kept[key] = _sum(kept[key], row) if key in kept else _at(row, day)
    return tuple(kept[key] for key in sorted(kept) if _any(kept[key]))


def tail_before(today: int) -> int:
    """Return the first day that is kept as a day of its own; always a Monday, the same one for four weeks."""
    day = today - DAILY_DAYS
    return day - (day + _MONDAY_OFFSET) % _STRIDE


def total(buckets: tuple[Bucket, ...], *, currency: str, since_ms: int, until_ms: int | None = None) -> Bucket:
    """Return the sum of one currency from one day up to, without it, another (a week of the tail goes by its Monday)."""
    first = day_of(since_ms)
    end = None if until_ms is None else day_of(until_ms)
    result = Bucket(first, currency)
    for row in buckets:
        if row.currency == currency and row.day >= first and (end is None or row.day < end):
            result = _sum(result, row)
    return result


def _any(row: Bucket) -> bool:
    return any((row.payments, row.money_in, row.reductions, row.money_out, row.invoices, row.invoiced, row.declines))


def _at(row: Bucket, day: int) -> Bucket:
    return row if row.day == day else replace(row, day=day)


def _sum(one: Bucket, two: Bucket) -> Bucket:
    return Bucket(
        one.day,
        one.currency,
        one.payments + two.payments,
        one.money_in + two.money_in,
        one.reductions + two.reductions,
        one.money_out + two.money_out,
        one.invoices + two.invoices,
        one.invoiced + two.invoiced,
        one.declines + two.declines,
    )

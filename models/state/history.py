"""What the past says, as plain accessors: lateness, cadence, usual amounts. Learners read a state through these only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from statistics import median
from typing import Final

import msgspec

from models.events.payments import PaymentMethod
from models.state.balances import paid_in_effect
from models.state.client import ClientState
from models.state.closing import LABELS, LATE_DAYS, is_late, label_of
from models.state.habits import Ending, mark_of
from models.state.plans import standing_of
from models.state.reckoning import left, owed
from models.state.rhythm import Bucket, Label, attempts
from models.state.rows import METHODS, Invoice
from models.state.windows import day_of, total, week_start
from models.workdays import DAY_MS

WEEKS: Final = 4
"""Whole weeks that are compared with the same ones of the year before."""

_YEAR_DAYS: Final = 52 * 7
_CARD: Final = METHODS.index(PaymentMethod.CARD)
_OTHER: Final = METHODS.index(PaymentMethod.OTHER)
_BY_END: Final = attrgetter("settled_ms", "days_late")


class Lateness(msgspec.Struct, frozen=True, gc=False):
    """Known ends of invoices. An invoice open beyond due + 5 days is known to be late; its number of days is not known yet.

    `overdue` holds the days past due of those, ascending. What money without its name covers has ended, or is left out.
    """

    labelled: int
    late: int
    written_off: int
    overdue_now: int
    oldest_overdue_days: int
    recent: tuple[Label, ...]
    overdue: tuple[int, ...] = ()

    @property
    def recent_late(self) -> int:
        """How many of the last twelve were late."""
        # Asked several times an event: as in `is_late`, without a call for each.
        return len([label for label in self.recent if label.days_late > LATE_DAYS or label.written_off])

    @property
    def median_days(self) -> float | None:
        """Median days late of the last twelve, None without any."""
        return median(label.days_late for label in self.recent) if self.recent else None


def lateness(state: ClientState) -> Lateness:
    """Return the lateness history as the ledger alone tells it at the client's logical time."""
    return _told(state, ())


def lived_lateness(state: ClientState) -> Lateness:
    """Return the same with what is remembered of open invoices that money without their name has come to cover."""
    return _told(state, state.habits.endings)


def _told(state: ClientState, endings: Sequence[Ending]) -> Lateness:
    rhythm, now = state.rhythm, state.now_ms
    labels = list(rhythm.labels)
    labelled, late, written_off = rhythm.labelled, rhythm.late, rhythm.written_off
    overdue: list[int] = []
    plans = state.ledger.plans
    covered = paid_in_effect(state.ledger, now)  # by money that names no invoice
    ends = {row.mark: row for row in endings} if covered else {}
    for row in state.ledger.invoices:
        if row.settled_ms and (label := label_of(row, plans)):
            labels.append(label)
            labelled += 1
            late += is_late(label)
            written_off += label.written_off
        elif row.invoice_id in covered:
            # What was covered longer ago than endings are remembered is covered still.
            if (end := ends.get(mark_of(row.invoice_id))) is not None:
                label = Label(end.day * DAY_MS, end.days_late, row.minor, row.currency)
                labels.append(label)
                labelled += 1
                late += is_late(label)
        else:
            due_ms = payable_ms(row, state) if plans else row.due_ms
            if due_ms + LATE_DAYS * DAY_MS < now and owed(row):
                overdue.append((now - due_ms) // DAY_MS)
    overdue.sort()
    labels.sort(key=_BY_END)
    count = len(overdue)
    oldest = overdue[-1] if overdue else 0
    return Lateness(labelled + count, late + count, written_off, count, oldest, tuple(labels[-LABELS:]), tuple(overdue))


def payable_ms(row: Invoice, state: ClientState) -> int:
    """Return by when an open invoice is to be paid: while a plan holds, by the day of its first instalment not paid."""
    if not state.ledger.plans:
        return row.due_ms
    standing = standing_of(row, state.ledger.plans, left=left(row), now_ms=state.now_ms)
    return row.due_ms if standing is None or standing.is_broken else max(row.due_ms, standing.due_ms)


def usual_amount(state: ClientState, currency: str, *, known_ms: int | None = None) -> int | None:
    """Return the median invoice of one currency among those remembered (of open ones: known by `known_ms`), None without any."""
    amounts = [label.minor for label in state.rhythm.labels if label.currency == currency]
    rows = state.ledger.invoices if known_ms is None else [row for row in state.ledger.invoices if row.seen_ms <= known_ms]
    amounts += [row.minor for row in rows if row.currency == currency and row.issued_at]
    return round(median(amounts)) if amounts else None


@dataclass(frozen=True, slots=True)
class Cadence:
    """The client's own payment rhythm in days: median of the last twelve gaps, gap now."""

    median_gap: float
    gap_now: float


@dataclass(frozen=True, slots=True)
class Received:
    """How many payments came in, and how much they brought less what went back (minor units, below zero where more went)."""

    payments: int
    minor: int

    @classmethod
    def of(cls, row: Bucket) -> "Received":
        """Return what a sum of days says of it."""
        return cls(row.payments, row.money_in - row.money_out)


@dataclass(frozen=True, slots=True)
class YearOnYear:
    """What came in within some weeks before `until_ms`, and in the same weeks of the year before."""

    currency: str
    until_ms: int
    now: Received
    then: Received


def cadence(state: ClientState) -> Cadence | None:
    """Return the rhythm, None with fewer than two payments."""
    days = state.rhythm.pay_days
    if len(days) < 2:  # noqa: PLR2004 - a gap has two ends
        return None
    gaps = [later - earlier for earlier, later in pairwise(days)]
    return Cadence(float(median(gaps)), state.now_ms / DAY_MS - days[-1])


def decline_streak(state: ClientState, *, since_ms: int = 0) -> int:
    """Return how many attempts failed after `since_ms` and since money last arrived (at most the eight remembered)."""
    edge = max(since_ms, state.rhythm.last_paid_ms)
    return sum(at > edge for at in state.rhythm.failures)


def refused_ms(state: ClientState, *, since_ms: int = 0) -> int:
    """Return when an attempt was last declined for good after `since_ms` and since money last arrived, 0: none was."""
    edge = max(since_ms, state.rhythm.last_paid_ms)
    return max((at for at in state.rhythm.refused if at > edge), default=0)


def card_declines(state: ClientState, *, since_ms: int = 0) -> int:
    """Return how many attempts of `decline_streak` were by card: said so, or not said of a client who usually pays by card.

    What was declined for good says nothing about cards in general: that card has to be replaced.
    """
    edge, methods = max(since_ms, state.rhythm.last_paid_ms), state.rhythm.methods
    known = max((times for method, times in enumerate(methods) if method != _OTHER), default=0)
    by_card = {_CARD, _OTHER} if not known or methods[_CARD] == known else {_CARD}
    refused = state.rhythm.refused
    return sum(at > edge and method in by_card and at not in refused for at, method in attempts(state.rhythm))


def next_retry_ms(state: ClientState) -> int | None:
    """Return when the processor tries again by itself, None when it will not or money has come since."""
    rhythm = state.rhythm
    due = rhythm.next_retry_ms
    return due if due > state.now_ms and rhythm.retry_at > rhythm.last_paid_ms else None


def money_in(state: ClientState, currency: str, *, days: int) -> tuple[int, int]:
    """Return (payments, minor units less what went back) of the last `days` days, at most thirteen months."""
    row = total(state.rhythm.buckets, currency=currency, since_ms=state.now_ms - days * DAY_MS)
    return row.payments, max(0, row.money_in - row.money_out)


def years_on_year(state: ClientState) -> list[YearOnYear]:
    """Return what came in within the last `WEEKS` whole weeks and the same weeks of the year before, by currency.

    Weeks begin on Mondays, UTC, and those of the year before lie 364 days earlier, so both have the same days of the week.
    Nothing of who was not known yet at that time, and nothing where neither brought a payment.
    """
    until = week_start(day_of(state.now_ms))
    if not state.first_seen_ms or day_of(state.first_seen_ms) > until - 7 * WEEKS - _YEAR_DAYS:
        return []
    codes = sorted({row.currency for row in state.rhythm.buckets})
    ends = (until, until - _YEAR_DAYS)
    rows = [YearOnYear(code, until * DAY_MS, *(_weeks_to(state, code, day) for day in ends)) for code in codes]
    return [row for row in rows if row.now.payments or row.then.payments]


def _weeks_to(state: ClientState, currency: str, end_day: int) -> Received:
    first = end_day - 7 * WEEKS
    return Received.of(total(state.rhythm.buckets, currency=currency, since_ms=first * DAY_MS, until_ms=end_day * DAY_MS))

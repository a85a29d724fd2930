"""Finds where a book stops knowing outcomes before it stops listing invoices, in two shapes.

Payments may end on a day although invoices go on; or no invoice issued from a day on has a payment, although money for earlier
ones goes on coming. Both also happen for a while in a book that is whole, so three things must hold before either is believed:

- By how long invoices of this book wait for their money, by issue and by due date, in the whole book and lately, whichever makes
  silence likeliest, the chance that nothing came is below one in a billion. No client counts for more than one in ten: one may
  fail or pay once a year, nine at once do not.
- The book was never nearly so silent before: some firms are paid on one day a month, and in a crisis delays grow.
- Of many invoices hardly one is an exception. Also in a crisis some still pay.

All days are `date.toordinal`.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Days: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.bool_]

NEVER: Final = 1 << 40
"""The day on which what is not paid was paid."""

_SURE: Final = 9.0  # one in ten to this is the greatest chance of an accident
_SURE_ENOUGH: Final = 3.0  # the same where something is known to be withheld
_OF_ONE_CLIENT: Final = 1.0  # as much of it as one client can say
_WEEKS: Final = 21  # days; a shorter silence spoils little
_LONGER: Final = 1.5  # times what half of the invoices wait
_NEVER_SO_LONG: Final = 3.0  # times what was ever waited for in vain before
_LEAST_SETTLED: Final = 50
_LEAST_DAYS: Final = 10  # of payment
_CAUTION: Final = 5.0  # invoices thought to be waiting on each day beside those that were
_LATELY: Final = 60  # days, at least
_STRAY: Final = 1 / 1000  # of the latest dates may be slips of the pen
_EXCEPTIONS: Final = 1 / 200  # of what seems withheld may be paid ...
_OF_MANY: Final = 1 / 33  # ... and where so many clients are silent: the day that parted the rows may not be in the book
_MANY: Final = 100.0
_PRICE: Final = 20.0  # nats that such an exception counts against a beginning
_RAREST: Final = 1e-4
_LONGEST: Final = 20  # silences of the past that are looked at
_BEFORE_DUE: Final = 400  # days that are told apart


class Known(NamedTuple):
    """Invoices: who, the day by which they may be parted, issued, due, and when the first and the last money came."""

    client: Days
    key: Days
    issued: Days
    due: Days
    paid: Days
    settled: Days

    def only(self, which: Places) -> "Known":
        """Return some of them."""
        return Known(*(column[which] for column in self))

    def by(self, day: int) -> "Known":
        """Return those issued by the end of a day with what was known of them then."""
        some = self.only(self.issued <= day)
        return some._replace(paid=np.where(some.paid <= day, some.paid, NEVER))

    @property
    def is_enough(self) -> bool:
        """Whether they say how long invoices wait."""
        paid = self.paid[self.paid < NEVER]
        return len(paid) >= _LEAST_SETTLED and len(np.unique(paid)) >= _LEAST_DAYS

    @property
    def wait(self) -> float:
        """The days from issue to payment of half of those paid."""
        is_paid = self.paid < NEVER
        return float(np.median(self.paid[is_paid] - self.issued[is_paid]))


class Edge(NamedTuple):
    """From which day on outcomes are withheld, of how many invoices, and until when money came for earlier ones.

    `paid` of them are paid all the same. They may be parted by the day of entry, not of issue.
    """

    day: int
    invoices: int
    paid: int
    money_until: int
    by_entry: bool = False


class End(NamedTuple):
    """The day of the last payment, how many invoices were issued after it, and the day of the last of these."""

    day: int
    invoices: int
    listed_until: int


def known(columns: Sequence["array[int]"]) -> tuple[Known, Days]:
    """Return invoices, parted by issue, and when they were entered, from columns of days (0: not paid)."""
    client, issued, entered, due, paid, settled = (np.array(column, dtype=np.int64) for column in columns)
    return Known(client, issued, issued, due, np.where(paid, paid, NEVER), np.where(settled, settled, NEVER)), entered


def find(rows: Known, entered: Days) -> tuple[Edge | None, End | None]:
    """Return both shapes as far as they are there; `rows` are parted by issue, and also looked at by the days `entered`."""
    edge = _clearest(rows, entered, doubted=True)
    end = find_end(_before(rows, entered, edge))
    if edge is None and end is not None and (edge := _clearest(rows, entered, doubted=False)) is not None:
        end = find_end(_before(rows, entered, edge))
    return edge, end


def _clearest(rows: Known, entered: Days, *, doubted: bool) -> Edge | None:
    # A split by day of entry looks blurred by day of issue, and the other way round: the sharp one explains more.
    by_issue = find_edge(rows, doubted=doubted)
    by_entry = None if np.array_equal(entered, rows.key) else find_edge(rows._replace(key=entered), doubted=doubted)
    if by_entry is not None and (by_issue is None or by_entry[0] > by_issue[0]):
        return by_entry[1]._replace(by_entry=True)
    return by_issue and by_issue[1]


def _before(rows: Known, entered: Days, edge: Edge | None) -> Known:
    if edge is None:
        return rows
    return rows.only((entered if edge.by_entry else rows.key) < edge.day)


def find_edge(rows: Known, *, doubted: bool = True) -> tuple[float, Edge] | None:
    """Return from which `key` on outcomes are withheld though money for earlier invoices comes; with how well that explains it.

    It is not `doubted` where something is known to be withheld, and the question is only what.
    """
    if not rows.is_enough:
        return None
    day = _latest(rows.paid[rows.paid < NEVER], slips=0)
    known = rows.by(day)
    gain, first = _beginning(known, _Usual(known, day))
    before, after = rows.only(rows.key < first), known.only(known.key >= first)
    if not before.is_enough or day - first < max(_WEEKS, _LONGER * before.wait if doubted else 0):
        return None
    usual = _Usual(before, day, lately=first - max(_LATELY, day - first))
    left = usual.silence(unpaid := after.only(after.paid == NEVER), until=day)
    weight, exceptions = _weight(unpaid, left), 1 - len(unpaid.paid) / len(after.paid)
    if weight < (_SURE if doubted else _SURE_ENOUGH) or exceptions > (_EXCEPTIONS if weight < _MANY else _OF_MANY):
        return None
    if _expected(left) < _NEVER_SO_LONG * max(_earlier_tops(before, usual), default=0.0):
        return None
    withheld = rows.only(rows.key >= first)
    paid, money_until = int((withheld.paid < NEVER).sum()), int(before.settled[before.settled < NEVER].max())
    return gain, Edge(first, len(withheld.key), paid, money_until)


def find_end(rows: Known) -> End | None:
    """Return the day after which no payment is known any more, although some should have come by the last invoice."""
    if not rows.is_enough:
        return None
    end, listed = int(rows.settled[rows.settled < NEVER].max()), _latest(rows.issued, slips=3)
    if listed - end < _WEEKS:
        return None
    usual = _Usual(rows, end, lately=end - max(_LATELY, listed - end))
    waiting = rows.only(rows.paid == NEVER)
    left = usual.silence(waiting, after=end, until=listed)
    if _weight(waiting, left) < _SURE or _expected(left) < _NEVER_SO_LONG * max(_earlier_gaps(rows, usual), default=0.0):
        return None
    return End(end, int((rows.issued > end).sum()), int(rows.issued.max()))


def _latest(days: Days, *, slips: int) -> int:
    """Return the last day but for a few, `slips` at least, that may be slips: one must not make all else seem long ago."""
    return int(np.sort(days)[-1 - max(slips, int(_STRAY * len(days)))])


@dataclass(frozen=True, slots=True)
class _Curve:
    """The logarithm of the share not paid by an age in days, counted from issue, or from so many days before due."""

    of_due: bool
    left: Floats

    @classmethod
    def of(cls, rows: Known, day: int, *, of_due: bool) -> "_Curve":
        """Return how invoices had been paid by the end of a day; those still open count for as long as they were."""
        rows = rows.by(day)
        ages = cls._ages(rows, np.minimum(rows.paid, day), of_due=of_due)
        size = int(ages.max(initial=0)) + 1
        gone, came = np.bincount(ages, minlength=size), np.bincount(ages[rows.paid < NEVER], minlength=size)
        waiting = gone[::-1].cumsum()[::-1]
        return cls(of_due, np.log1p(-came / (waiting + _CAUTION)).cumsum())

    def open_after(self, rows: Known, day: int) -> Floats:
        """Return the logarithm of each invoice's chance to be open at the end of a day."""
        ages = np.minimum(self._ages(rows, day, of_due=self.of_due), len(self.left) - 1)
        left: Floats = np.where(rows.issued <= day, self.left[ages], 0.0)
        return left

    @staticmethod
    def _ages(rows: Known, day: int | Days, *, of_due: bool) -> Days:
        ages: Days = np.maximum(day - rows.due + _BEFORE_DUE if of_due else day - rows.issued, 0)
        return ages


class _Usual:
    """How long invoices wait for their money, as known at the end of a day: in the whole book, and what came in `lately`."""

    def __init__(self, rows: Known, day: int, *, lately: int | None = None) -> None:
        found = [rows]
        if lately is not None and (some := rows.only(rows.key >= lately)).by(day).is_enough:
            found.append(some)
        self._curves = [_Curve.of(known, day, of_due=of_due) for known in found for of_due in (False, True)]

    def silence(self, rows: Known, *, after: int | None = None, until: int) -> Floats:
        """Return the logarithm of each invoice's chance to be open at the end of one day if it was at that of another.

        Of all curves the one counts that makes it likeliest. Without `after` it counts from issue.
        """
        left = np.full(len(rows.issued), -np.inf)
        for curve in self._curves:
            before = 0.0 if after is None else curve.open_after(rows, after)
            left = np.maximum(left, curve.open_after(rows, until) - before)
        never_above: Floats = np.minimum(left, 0.0)
        return never_above


def _weight(rows: Known, left: Floats) -> float:
    """Return as how many powers of ten it counts that none of these was paid."""
    by_client = np.bincount(rows.client, weights=-left / np.log(10))
    return float(np.minimum(by_client, _OF_ONE_CLIENT).sum())


def _expected(left: Floats) -> float:
    """Return how many of the invoices should have been paid."""
    return float(-np.expm1(left).sum())


def _beginning(rows: Known, usual: _Usual) -> tuple[float, int]:
    """Return how much better it explains what is open that nothing is known from a day on (nats), and the best such day."""
    day = int(rows.paid[rows.paid < NEVER].max())
    open_for_long = -np.maximum(usual.silence(rows, until=day), np.log(_RAREST))
    gains = np.where(rows.paid < NEVER, -_PRICE, open_for_long)
    keys, places = np.unique(rows.key, return_inverse=True)
    since = np.bincount(places, weights=gains)[::-1].cumsum()[::-1]
    best = int(since.argmax())
    return float(since[best]), int(keys[best])


def _earlier_tops(rows: Known, usual: _Usual) -> Iterator[float]:
    """Yield how many of the latest invoices should have been paid when none was, each time before the first of them was.

    Without an end to what is known that is usual: on any day the latest invoices are open.
    """
    some = rows.only(rows.paid < NEVER)
    order = np.argsort(some.paid, kind="stable")
    days, starts = np.unique(some.paid[order], return_index=True)
    tops = np.maximum.accumulate(np.maximum.reduceat(np.minimum(some.key, some.paid)[order], starts))
    moved = 1 + np.flatnonzero(tops[1:] > tops[:-1])
    longest = moved[np.argsort(tops[moved - 1] - days[moved], kind="stable")[:_LONGEST]]
    for place in longest:
        top, day = int(tops[place - 1]), int(days[place]) - 1
        yield _expected(usual.silence(rows.only((rows.key > top) & (rows.key <= day) & (rows.issued <= day)), until=day))


def _earlier_gaps(rows: Known, usual: _Usual) -> Iterator[float]:
    """Yield how many payments should have come between two days of payment, for the longest times without any."""
    days = np.unique(np.concatenate([rows.paid[rows.paid < NEVER], rows.settled[rows.settled < NEVER]]))
    for place in np.argsort(days[:-1] - days[1:], kind="stable")[:_LONGEST]:
        after, until = int(days[place]), int(days[place + 1]) - 1
        waiting = rows.only((rows.paid > after) & (rows.issued <= until))
        yield _expected(usual.silence(waiting, after=after, until=until))

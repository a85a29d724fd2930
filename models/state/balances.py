"""The collectable balance: which money may be asked for, and why the rest may not."""

from operator import itemgetter
from typing import Final

from models.state.plans import standing_of
from models.state.reckoning import (
    Exposure,
    Item,
    applied,
    dispute_open,
    flight_ends,
    is_live,
    is_trifle,
    left,
    on_account,
    promise_holds,
    unapplied,
)
from models.state.rows import Dispute, Invoice, Ledger, Promise

_NONE: Final[frozenset[str]] = frozenset()


class _Latest:
    """What `items` said last, and `paid_in_effect` of that: an event asks it several times, and a client may have hundreds."""

    __slots__ = ("paid", "said")

    def __init__(self) -> None:
        self.said: tuple[Ledger | None, int, tuple[Item, ...]] = (None, 0, ())
        self.paid: tuple[tuple[Item, ...], frozenset[str]] = ((), _NONE)


_LATEST: Final = _Latest()


def items(ledger: Ledger, now_ms: int) -> tuple[Item, ...]:
    """Return the open invoices, oldest due first, each with what of it may be asked for at `now_ms`."""
    known, at_ms, found = _LATEST.said  # read and written as one, for threads
    if known is not ledger or (at_ms != now_ms and _knows_time(ledger)):
        found = _items(ledger, now_ms)
        _LATEST.said = (ledger, now_ms, found)
    return found


def _knows_time(ledger: Ledger) -> bool:
    """Say whether time alone may change what `items` says: a promise ends, an instalment falls due, a payment is not awaited."""
    return bool(ledger.promises or ledger.plans) or any(row.pending for row in ledger.payments)


def _items(ledger: Ledger, now_ms: int) -> tuple[Item, ...]:
    open_rows = [(row.due_ms, row.invoice_id, owed, row) for row in ledger.invoices if not row.settled_ms and (owed := left(row))]
    if not open_rows:
        return ()
    open_rows.sort(key=itemgetter(0, 1))
    disputes = [row for row in ledger.disputes if dispute_open(row)]
    promises = [row for row in ledger.promises if promise_holds(row, now_ms)]
    flights = [row for row in ledger.payments if row.pending and now_ms < flight_ends(row)]
    pools = _Pools(ledger, disputes, promises)
    for flight in flights:
        if not flight.pending_invoice:
            pools.flying[flight.currency] = pools.flying.get(flight.currency, 0) + flight.pending
    if not (disputes or promises or flights or ledger.plans):
        return tuple(_free(invoice, owed, pools.cash) for *_, owed, invoice in open_rows)
    found: list[Item] = []
    for *_, owed, invoice in open_rows:
        disputed = min(owed, invoice.charged_back + _named(disputes, invoice, owed) + pools.disputed_of(invoice, owed))
        free = owed - disputed
        standing = standing_of(invoice, ledger.plans, left=owed, now_ms=now_ms) if ledger.plans else None
        planned = min(free, standing.muted) if standing else 0
        free -= planned
        promised = min(free, _promised(promises, invoice, ledger, free) + pools.promised_of(invoice, free))
        free -= promised
        named = sum(
            row.pending for row in flights if row.pending_invoice == invoice.invoice_id and row.currency == invoice.currency
        )
        flying = min(free, named + _take(pools.flying, invoice.currency, max(0, free - named)))
        free -= flying
        covered = _take(pools.cash, invoice.currency, free)
        found.append(Item(invoice, owed, disputed, promised, flying, covered, free - covered, planned, standing))
    return tuple(found)


def paid_in_effect(ledger: Ledger, now_ms: int) -> frozenset[str]:
    """Return the open invoices of which money and credit on account, which name none of them, leave at most a trifle."""
    rows = items(ledger, now_ms)
    known, paid = _LATEST.paid  # as one, as above; it follows from the rows alone
    if known is not rows:
        found = [
            row.invoice.invoice_id
            for row in rows
            if (row.covered or row.invoice.paid or row.invoice.credited) and is_trifle(row.left - row.covered, row.invoice)
        ]
        paid = frozenset(found) if found else _NONE
        _LATEST.paid = (rows, paid)
    return paid


def exposures(ledger: Ledger, now_ms: int) -> tuple[Exposure, ...]:
    """Return the exposure of each currency that has something open or on account, in the order of their codes."""
    rows = items(ledger, now_ms)
    cash, credit = unapplied(ledger), on_account(ledger)
    currencies = {row.invoice.currency for row in rows} | {
        code for book in (cash, credit) for code, minor in book.items() if minor
    }
    found: list[Exposure] = []
    for code in sorted(currencies):
        mine = [row for row in rows if row.invoice.currency == code]
        taken = [applied(row.invoice) for row in mine]
        found.append(
            Exposure(
                currency=code,
                open=sum(row.invoice.minor for row in mine),
                part_paid=sum(money for _, money in taken),
                credits=sum(note for note, _ in taken) + credit.get(code, 0),
                unapplied=max(0, cash.get(code, 0)),
                disputed=sum(row.disputed for row in mine),
                promised=sum(row.promised for row in mine),
                in_flight=sum(row.in_flight for row in mine),
                planned=sum(row.planned for row in mine),
            )
        )
    return tuple(found)


def has_open_dispute(ledger: Ledger) -> bool:
    """Say whether anything is contested: a dispute that is open, or a chargeback not reversed, on something not closed."""
    if any(row.opened_at > row.closed_at for row in ledger.disputes):
        return True
    return any(row.charged_back and is_live(row) and left(row) for row in ledger.invoices)


def _free(invoice: Invoice, owed: int, cash: dict[str, int]) -> Item:
    """Return an invoice on which nobody has a claim but who took money back: the usual case, and a client may have hundreds."""
    disputed = min(owed, invoice.charged_back)
    free = owed - disputed
    covered = _take(cash, invoice.currency, free) if cash else 0
    return Item(invoice, owed, disputed, 0, 0, covered, free - covered)


class _Pools:
    """Claims and cash that name no invoice; they cover the oldest invoices first. Lives for one call of `items`."""

    __slots__ = ("cash", "disputed", "flying", "promised")

    def __init__(self, ledger: Ledger, disputes: list[Dispute], promises: list[Promise]) -> None:
        self.cash = {code: minor for code, minor in unapplied(ledger).items() if minor > 0}
        for code, minor in on_account(ledger).items():
            self.cash[code] = self.cash.get(code, 0) + minor
        self.disputed = _pool(disputes)
        self.promised = _pool(promises)
        self.flying: dict[str, int] = {}

    def disputed_of(self, invoice: Invoice, free: int) -> int:
        """Take from the disputes that name no invoice."""
        return free if "" in self.disputed else _take(self.disputed, invoice.currency, free)

    def promised_of(self, invoice: Invoice, free: int) -> int:
        """Take from the promises that name no invoice."""
        return free if "" in self.promised else _take(self.promised, invoice.currency, free)


def _pool(claims: list[Dispute] | list[Promise]) -> dict[str, int]:
    pool: dict[str, int] = {}
    for claim in claims:
        if not claim.invoice_id:
            # Under the empty code: everything, whatever the currency.
            code = claim.currency if claim.minor else ""
            pool[code] = pool.get(code, 0) + claim.minor
    return pool


def _take(pool: dict[str, int], code: str, wanted: int) -> int:
    there = pool.get(code, 0)
    if not there or wanted <= 0:
        return 0
    taken = min(there, wanted)
    pool[code] = there - taken
    return taken


def _named(disputes: list[Dispute], invoice: Invoice, owed: int) -> int:
    total = 0
    for row in disputes:
        if row.invoice_id == invoice.invoice_id:
            total += row.minor if row.minor and row.currency == invoice.currency else owed
    return total


def _promised(promises: list[Promise], invoice: Invoice, ledger: Ledger, free: int) -> int:
    total = 0
    for row in promises:
        if row.invoice_id == invoice.invoice_id:
            if not row.minor or row.currency != invoice.currency:
                total += free
            else:
                kept = sum(
                    part.minor
                    for payment in ledger.payments
                    for part in payment.parts
                    if part.invoice_id == row.invoice_id and part.at >= row.made_at
                )
                total += max(0, row.minor - kept)
    return total

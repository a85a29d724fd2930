"""What each client owed and paid when, of a whole history: the money behind the outcomes of experiments and steps."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from models.events.payments import PaymentFailed
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.closing import tidy
from models.state.evolve import evolve
from models.state.reckoning import applied, is_live, is_written_off, left, net, on_account, unapplied
from models.state.rows import Ledger
from models.workdays import DAY_MS

_REMEMBERED: Final = 12  # invoices by which a company's past is told


@dataclass(slots=True)
class Bill:
    """One invoice: what it came to, when it was due, and what was paid on it (below 0: bounced) when. Money is in minor units."""

    minor: int = 0
    currency: str = ""
    issued_ms: int = 0
    due_ms: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)
    ended_ms: int = 0
    is_void: bool = False

    def open_at(self, at_ms: int) -> int:
        """Return what was open at a moment; nothing once it was voided or given up."""
        if at_ms < self.issued_ms or (self.ended_ms and at_ms >= self.ended_ms):
            return 0
        return max(0, self.minor - sum(part for moment, part in self.parts if moment <= at_ms))

    def waited(self, since_ms: int, until_ms: int) -> int:
        """Return how long how much was open in a span, in minor units times milliseconds."""
        changes = (self.ended_ms, *(moment for moment, _ in self.parts))
        moments = sorted({since_ms, until_ms, *(moment for moment in changes if since_ms < moment < until_ms)})
        return sum(self.open_at(start) * (end - start) for start, end in pairwise(moments))

    @property
    def settled_ms(self) -> int:
        """When the last of it was paid; 0 while something is open."""
        rest, settled = self.minor, 0
        for moment, part in self.parts:
            rest -= part
            settled = 0 if rest > 0 else settled or moment
        return settled


@dataclass(slots=True)
class Account:
    """One client's invoices in the order in which they came, and all money that came or, below 0, went back.

    Money is (when, minor units, currency).
    """

    bills: dict[str, Bill] = field(default_factory=dict)
    paid: list[tuple[int, int, str]] = field(default_factory=list)

    def open_at(self, at_ms: int) -> list[Bill]:
        """Return the invoices of which something was open."""
        return [bill for bill in self.bills.values() if bill.open_at(at_ms)]

    def received(self, since_ms: int, until_ms: int, currency: str) -> int:
        """Return what came in after `since_ms` up to `until_ms`, less what went back."""
        first = bisect_right(self.paid, (since_ms, 1 << 62, ""))
        last = bisect_left(self.paid, (until_ms + 1, -1 << 62, ""))
        return sum(minor for _, minor, code in self.paid[first:last] if code == currency)

    def currency(self, bills: Iterable[Bill]) -> str:
        """Return in which of its currencies an account is told: that of most of `bills`, else of most payments."""
        return main_currency(bill.currency for bill in bills) or main_currency(code for _, _, code in self.paid)

    def usual_lateness(self, at_ms: int) -> float | None:
        """Return how many days after due the latest invoices settled before `at_ms` were paid, on average; none known: None."""
        known = sorted((bill.settled_ms, bill.due_ms) for bill in self.bills.values() if 0 < bill.settled_ms <= at_ms)
        late = [(settled - due) / DAY_MS for settled, due in known[-_REMEMBERED:]]
        return sum(late) / len(late) if late else None


def main_currency(codes: Iterable[str]) -> str:
    """Return the currency that is there most often; of equals one and the same; of none nothing."""
    counts = Counter(code for code in codes if code)
    return max(counts, key=lambda code: (counts[code], code), default="")


@dataclass(slots=True)
class Accounts:
    """The accounts of all clients, as the program's own ledger keeps them.

    A payment that names no invoice goes to the oldest that is open. Money that is given back lowers what was received, but its
    invoice stays paid, for how soon it was paid is what is asked; a payment that bounced was none. The latest amount of an
    invoice, less its credit notes, counts as if it had been so from the first.
    """

    _found: dict[str, Account] = field(default_factory=dict)
    _states: dict[str, ClientState] = field(default_factory=dict)

    def see(self, event: AnyClientEvent) -> None:
        """Take the next event, in the order of `received_at`."""
        name = event.client_id
        before = self._states.get(name) or ClientState(name)
        after = evolve(replace(before, now_ms=max(before.now_ms, event.received_ms)), event)
        if after.ledger is not before.ledger:
            _follow(self._found.setdefault(name, Account()), before.ledger, after.ledger, event)
        self._states[name] = tidy(after)

    def told(self) -> dict[str, Account]:
        """Return them as they stand after what was seen."""
        for account in self._found.values():
            account.paid.sort()
            for bill in account.bills.values():
                bill.parts.sort()
        return self._found


def accounts_of(events: Iterable[AnyClientEvent]) -> dict[str, Account]:
    """Return the accounts of all clients after `events`, which come in the order of `received_at`."""
    accounts = Accounts()
    for event in events:
        accounts.see(event)
    return accounts.told()


def _follow(account: Account, before: Ledger, after: Ledger, event: AnyClientEvent) -> None:
    """Note what an event changed: money that came or went, and what each invoice has taken of it."""
    at_ms, had, has = event.occurred_ms, _money(before), _money(after)
    account.paid += [(at_ms, has[code] - had[code], code) for code in sorted(has | had) if has[code] != had[code]]
    free = Counter(unapplied(after))
    free.update(on_account(after))
    for row in sorted(after.invoices, key=lambda row: row.due_ms):
        if not row.issued_at:
            continue
        bill = account.bills.setdefault(row.invoice_id, Bill())
        bill.minor, bill.currency = row.minor - row.credited, row.currency
        bill.issued_ms, bill.due_ms = row.issued_at, row.due_ms
        given_up, bill.is_void = is_written_off(row), not is_live(row)
        bill.ended_ms = row.voided_at if bill.is_void else row.written_off_at if given_up else 0
        covered = max(0, min(left(row), free[row.currency]))
        free[row.currency] -= covered
        part = applied(row)[1] + covered - sum(minor for _, minor in bill.parts)
        if part > 0 or (part and isinstance(event, PaymentFailed)):
            # An invoice that comes after its money was paid when the money came, not when it was issued.
            bill.parts.append((row.settled_ms if row.settled_ms and not given_up else at_ms, part))


def _money(ledger: Ledger) -> Counter[str]:
    """Return all that came, less what went back, by currency."""
    found = Counter[str]()
    for row in ledger.totals:
        found[row.currency] += row.received - row.refunded - row.charged_back
    for payment in ledger.payments:
        found[payment.currency] += net(payment)
    return found

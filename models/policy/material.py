"""What is late and large enough to say something about a client: money we would not write about moves nobody.

Money that is contested, or that has come and is not allocated yet, is not late either: that is for the firm to see to. What was
charged back counts, for the client did take it back.
"""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from models.money import exponent
from models.policy.policy import Policy
from models.state.balances import items, paid_in_effect
from models.state.client import ClientState
from models.state.closing import LATE_DAYS
from models.state.history import Lateness, lived_lateness, payable_ms, usual_amount
from models.state.reckoning import Item, owed
from models.workdays import DAY_MS


def least_worth(code: str, state: ClientState, policy: Policy, *, known_ms: int | None = None) -> int:
    """Return from how many minor units of a currency on money is worth a message to this client.

    With `known_ms` its usual invoice is that of the invoices that were known then.
    """
    usual = usual_amount(state, code, known_ms=known_ms) or 0
    unit: int = 10 ** exponent(code)
    return max(policy.small_units * unit, round(policy.small_share * usual))


def owing(state: ClientState, *, but: Collection[str] = ()) -> list[tuple[int, str, int]]:
    """Return (by when to be paid, currency, minor units) of what the client leaves unpaid, `but` these, the oldest first."""
    found = []
    for item in items(state.ledger, state.now_ms):
        row = item.invoice
        if row.invoice_id in but:
            continue
        minor = _unpaid(item)
        if minor > 0:
            found.append((payable_ms(row, state), row.currency, minor))
    return sorted(found)


def _unpaid(item: Item) -> int:
    contested = max(0, item.disputed - item.invoice.charged_back)
    return min(owed(item.invoice), item.left - contested) - item.covered


def owes(state: ClientState, policy: Policy) -> bool:
    """Say whether what the client leaves unpaid, late or not, is worth a message."""
    sums: dict[str, int] = {}
    worth = _Worth(state, policy)
    for item in items(state.ledger, state.now_ms):
        code = item.invoice.currency
        sums[code] = sums.get(code, 0) + max(0, _unpaid(item))
        if sums[code] >= worth[code]:
            return True
    return False


class _Worth(dict[str, int]):
    """`least_worth` by currency, each asked for once: it looks at all invoices that are remembered."""

    def __init__(self, state: ClientState, policy: Policy) -> None:
        super().__init__()
        self._state = state
        self._policy = policy

    def __missing__(self, code: str) -> int:
        found = self[code] = least_worth(code, self._state, self._policy)
        return found


def telling(rows: Iterable[tuple[int, str, int]], state: ClientState, policy: Policy) -> list[int]:
    """Return the due days from which on rows of `owing` add up, in a currency, to what is worth a message; `rows` in order."""
    return _telling(rows, _Worth(state, policy))


def _telling(rows: Iterable[tuple[int, str, int]], worth: _Worth) -> list[int]:
    sums: dict[str, int] = {}
    found = []
    for due_ms, code, minor in rows:
        sums[code] = sums.get(code, 0) + minor
        if sums[code] >= worth[code]:
            found.append(due_ms)
    return found


def _awaited(state: ClientState) -> frozenset[str]:
    """Return the invoices whose money is wholly promised or under way: until that day nothing more can be said of them."""
    rows = items(state.ledger, state.now_ms)
    return frozenset(row.invoice.invoice_id for row in rows if not row.rest and (row.promised or row.in_flight))


def material_lateness(state: ClientState, policy: Policy) -> Lateness:
    """Return the lateness history without what is too little, contested, covered, or wholly promised or under way by now."""
    past = lived_lateness(state)
    if not past.overdue_now and not past.recent_late:
        return past
    now, worth = state.now_ms, _Worth(state, policy)
    recent = tuple([label for label in past.recent if label.minor >= worth[label.currency]])
    overdue = past.overdue
    if overdue:
        # The rests of invoices that count as paid may come to enough for a message, but not to a delay.
        rows = owing(state, but=paid_in_effect(state.ledger, now) | _awaited(state))
        late = [row for row in rows if row[0] + LATE_DAYS * DAY_MS < now]
        overdue = tuple(sorted([(now - due_ms) // DAY_MS for due_ms in _telling(late, worth)]))
    if len(recent) == len(past.recent) and overdue == past.overdue:
        return past
    fewer = past.overdue_now - len(overdue)
    return replace(
        past,
        labelled=past.labelled - fewer - (len(past.recent) - len(recent)),
        late=past.late - fewer,
        overdue_now=len(overdue),
        oldest_overdue_days=overdue[-1] if overdue else 0,
        recent=recent,
        overdue=overdue,
    )

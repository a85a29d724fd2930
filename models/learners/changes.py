"""Plain changes of one thing in a client's state, for counterfactuals: every figure that depends on it is changed with it.

Each returns the changed state, or the same one where there is nothing to change.
"""

from typing import Final

from msgspec.structs import replace

from models.features import LATE_DAYS as LIMITS
from models.features import log_amount_of
from models.state.answers import Answer, answer_of
from models.state.balances import paid_in_effect
from models.state.client import ClientState
from models.state.closing import LATE_DAYS, is_late, label_of
from models.state.habits import Ending, mark_of, retold
from models.state.history import payable_ms
from models.state.reckoning import owed
from models.state.rhythm import Label
from models.state.rows import Invoice, Promise
from models.workdays import DAY_MS

LATER_DAYS: Final = 10
"""How late an invoice is that a change makes late."""


def last_on_time(state: ClientState, count: int) -> ClientState:
    """Let the last `count` invoices that were late have been paid on the day on which they were due."""
    late = [row for row in state.habits.endings if row.days_late > LATE_DAYS][-count:]
    return _ended_otherwise(state, {row.mark: 0 for row in late}) if len(late) == count else state


def last_late(state: ClientState, count: int) -> ClientState:
    """Let the last `count` invoices that were on time have been paid ten days after due."""
    on_time = [row for row in state.habits.endings if row.days_late <= LATE_DAYS][-count:]
    today = state.now_ms // DAY_MS
    told = {row.mark: LATER_DAYS for row in on_time if row.day - row.days_late + LATER_DAYS <= today}
    return _ended_otherwise(state, told) if len(told) == count else state


def overdue_others(state: ClientState, invoice_id: str) -> list[Invoice]:
    """Return the other invoices that are past due and owed, the oldest first."""
    paid = {invoice_id, *paid_in_effect(state.ledger, state.now_ms)}
    rows = [row for row in state.ledger.invoices if row.invoice_id not in paid and owed(row)]
    return sorted((row for row in rows if payable_ms(row, state) < state.now_ms), key=lambda row: (row.due_ms, row.invoice_id))


def book_settled(state: ClientState, invoice_id: str, count: int) -> ClientState:
    """Let the oldest `count` of the other overdue invoices have been paid on the day on which they were due."""
    rows = {row.invoice_id: row for row in overdue_others(state, invoice_id)[:count]}
    if len(rows) != count:
        return state
    settled = {name: replace(row, paid=row.paid + owed(row), settled_ms=row.due_ms) for name, row in rows.items()}
    habits = state.habits
    marks = {mark_of(name): row.due_ms // DAY_MS for name, row in rows.items()}
    answers = tuple(_answer(row, 0) if row.mark in marks else row for row in habits.answers)
    endings = (*habits.endings, *(Ending(mark, 0, day) for mark, day in marks.items()))
    watches = tuple(
        replace(row, settled_day=rows[row.invoice_id].due_ms // DAY_MS) if row.invoice_id in rows else row
        for row in habits.watches
    )
    ledger = replace(state.ledger, invoices=tuple(settled.get(row.invoice_id, row) for row in state.ledger.invoices))
    return replace(state, ledger=ledger, habits=replace(retold(habits, answers, endings), watches=watches))


def of_amount(state: ClientState, invoice: Invoice, minor: int) -> ClientState:
    """Let an invoice of which nothing is paid be of another amount."""
    if invoice.paid or invoice.credited or minor in {0, invoice.minor}:
        return state
    changed = replace(invoice, minor=minor)
    before, after = log_amount_of(invoice), log_amount_of(changed)
    habits = state.habits
    watches = tuple(replace(row, log_amount=after) if row.invoice_id == invoice.invoice_id else row for row in habits.watches)
    moved = replace(habits, log_amounts=habits.log_amounts + after - before, watches=watches)
    return _with_invoice(replace(state, habits=moved), changed)


def due_moved(state: ClientState, invoice: Invoice, days: int) -> ClientState:
    """Let an invoice fall due on another day, not before it was issued."""
    due = invoice.due_ms + days * DAY_MS
    if due <= invoice.issued_ms:
        return state
    watches = tuple(
        replace(row, due_day=due // DAY_MS) if row.invoice_id == invoice.invoice_id else row for row in state.habits.watches
    )
    return _with_invoice(replace(state, habits=replace(state.habits, watches=watches)), replace(invoice, due_ms=due))


def half_paid(state: ClientState, invoice: Invoice, at_ms: int) -> ClientState:
    """Let half of an invoice have been paid at a moment."""
    half = invoice.minor // 2
    if invoice.paid or not half:
        return state
    rhythm = replace(state.rhythm, last_paid_ms=max(state.rhythm.last_paid_ms, at_ms))
    return _with_invoice(replace(state, rhythm=rhythm), replace(invoice, paid=half))


def dispute_settled(state: ClientState, invoice_id: str) -> ClientState:
    """Let the open disputes about an invoice be closed."""
    rows = tuple(
        replace(row, closed_at=row.opened_at) if row.invoice_id in {"", invoice_id} and row.opened_at > row.closed_at else row
        for row in state.ledger.disputes
    )
    return state if rows == state.ledger.disputes else replace(state, ledger=replace(state.ledger, disputes=rows))


def promised(state: ClientState, invoice: Invoice, at_ms: int) -> ClientState:
    """Let the client have promised to pay an invoice within a week of a moment; none where a promise holds already."""
    if any(row.made_at > row.withdrawn_at and row.invoice_id in {"", invoice.invoice_id} for row in state.ledger.promises):
        return state
    row = Promise("otherwise", invoice.invoice_id, promised_ms=max(invoice.due_ms, at_ms) + 7 * DAY_MS, made_at=max(1, at_ms))
    return replace(state, ledger=replace(state.ledger, promises=(*state.ledger.promises, row)))


def decline_free(state: ClientState) -> ClientState:
    """Let no payment have been declined."""
    rhythm = state.rhythm
    return replace(state, rhythm=replace(rhythm, failures=(), failure_methods=(), refused=())) if rhythm.failures else state


def _ended_otherwise(state: ClientState, days_of: dict[int, int]) -> ClientState:
    """Return the state in which invoices were paid on other days: in habits, rhythm and what the ledger still holds of them."""
    habits = state.habits
    answers = tuple(_answer(row, days_of[row.mark]) if row.mark in days_of else row for row in habits.answers)
    endings = tuple(_paid_on(row, days_of[row.mark]) if row.mark in days_of else row for row in habits.endings)
    ledger, plans = state.ledger, state.ledger.plans
    invoices, moved = [], 0
    for row in ledger.invoices:
        days = days_of.get(mark_of(row.invoice_id)) if row.settled_ms else None
        if days is not None and label_of(row, plans):
            invoices.append(replace(row, settled_ms=row.due_ms + days * DAY_MS))
            moved += 1
        else:
            invoices.append(row)
            moved += not row.settled_ms and mark_of(row.invoice_id) in days_of  # paid in effect: its ending says when
    rhythm, days = state.rhythm, next(iter(days_of.values()), 0)
    before, after = (max((row.day for row in rows), default=0) for rows in (habits.endings, endings))
    paid_ms = rhythm.last_paid_ms
    if paid_ms // DAY_MS == before:
        paid_ms += (after - before) * DAY_MS
    labels = _relabelled(rhythm.labels, len(days_of) - moved, days)
    late = rhythm.late + sum(map(is_late, labels)) - sum(map(is_late, rhythm.labels))
    return replace(
        state,
        habits=retold(habits, answers, endings),
        ledger=replace(ledger, invoices=tuple(invoices)),
        rhythm=replace(rhythm, labels=labels, late=late, last_paid_ms=paid_ms),
    )


def _answer(row: Answer, days: int) -> Answer:
    return answer_of(row.mark, days, LIMITS[: 1 + len(row.longer)])


def _paid_on(row: Ending, days: int) -> Ending:
    return Ending(row.mark, days, row.day - row.days_late + days)


def _relabelled(labels: tuple[Label, ...], count: int, days: int) -> tuple[Label, ...]:
    """Return labels in which the last `count` of the other kind, late or not, ended `days` after due; given up stays so."""
    places = [place for place, row in enumerate(labels) if not row.written_off and is_late(row) == (days <= LATE_DAYS)]
    chosen = set(places[len(places) - count :]) if count else set()
    rows = [
        replace(row, settled_ms=row.settled_ms + (days - row.days_late) * DAY_MS, days_late=days) if place in chosen else row
        for place, row in enumerate(labels)
    ]
    return tuple(rows)


def _with_invoice(state: ClientState, invoice: Invoice) -> ClientState:
    rows = tuple(invoice if row.invoice_id == invoice.invoice_id else row for row in state.ledger.invoices)
    return replace(state, ledger=replace(state.ledger, invoices=rows))

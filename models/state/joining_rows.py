"""Two rows about the same fact in one: of each register the later word holds, as if both had always been told to one client."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec.structs import replace

from models.state.client import Consent, Contract, Override, Reaction, Rest, Suppression
from models.state.person import lifted_ms
from models.state.rows import Credit, Dispute, Invoice, Part, Payment, Plan, Promise, Reduction

R = TypeVar("R")
K = TypeVar("K")


def united(one: Iterable[R], two: Iterable[R], *, key: Callable[[R], K], join: Callable[[R, R], R]) -> tuple[R, ...]:
    """Return the rows of both; of two with the same key what `join` makes of them."""
    rows = {key(row): row for row in one}
    for row in two:
        known = rows.get(key(row))
        rows[key(row)] = row if known is None else join(known, row)
    return tuple(rows.values())


def invoice(one: Invoice, two: Invoice) -> Invoice:
    """Return one invoice; what is derived from other rows has to be reckoned anew."""
    issue, older = (one, two) if one.issued_at >= two.issued_at else (two, one)
    amount = max(one, two, key=lambda row: (row.minor_at, row.minor, row.currency))
    due = max(one, two, key=lambda row: (row.due_at, row.due_ms))
    expected = max(one, two, key=lambda row: (row.expected_at, row.expected_ms))
    # Money of another currency cannot stand to it: it is cash on account in its own.
    held = [row for row in (one, two) if row.currency == amount.currency]
    return replace(
        issue,
        currency=amount.currency,
        minor=amount.minor,
        minor_at=amount.minor_at,
        due_ms=due.due_ms,
        due_at=due.due_at,
        seen_ms=min(filter(None, (one.seen_ms, two.seen_ms)), default=0),
        voided_at=max(one.voided_at, two.voided_at),
        written_off_at=max(one.written_off_at, two.written_off_at),
        amended_at=max(one.amended_at, two.amended_at),
        settled_ms=max(one.settled_ms, two.settled_ms),
        expected_ms=expected.expected_ms,
        expected_at=expected.expected_at,
        service_line=issue.service_line or older.service_line,
        contract_id=issue.contract_id or older.contract_id,
        touched_ms=max(one.touched_ms, two.touched_ms),
        carried_paid=sum(row.carried_paid for row in held),
        carried_credit=sum(row.carried_credit for row in held),
        carried_refunded=sum(row.carried_refunded for row in held),
        carried_charged=sum(row.carried_charged for row in held),
        carried_at=max(row.carried_at for row in held),
    )


def payment(one: Payment, two: Payment) -> Payment:
    """Return one payment."""
    whole = max(one, two, key=lambda row: (row.whole_at, row.whole))
    told = max(one, two, key=lambda row: (row.pending_at, row.pending))
    moved = max(one, two, key=lambda row: (row.method_at, row.method))
    return replace(
        whole,
        method=moved.method,
        method_at=moved.method_at,
        parts=united(one.parts, two.parts, key=lambda row: row.invoice_id, join=_part),
        reductions=united(one.reductions, two.reductions, key=lambda row: row.reduction_id, join=_reduction),
        failed_at=max(one.failed_at, two.failed_at),
        pending=told.pending,
        pending_at=told.pending_at,
        pending_invoice=told.pending_invoice,
        expected_ms=told.expected_ms,
        touched_ms=max(one.touched_ms, two.touched_ms),
    )


def credit(one: Credit, two: Credit) -> Credit:
    """Return one credit note; withdrawn by either, it is withdrawn."""
    later = max(one, two, key=lambda row: (row.at, row.minor))
    return replace(later, voided=one.voided or two.voided, touched_ms=max(one.touched_ms, two.touched_ms))


def dispute(one: Dispute, two: Dispute) -> Dispute:
    """Return one dispute."""
    opened = max(one, two, key=lambda row: row.opened_at)
    closed = max(one, two, key=lambda row: row.closed_at)
    lost = closed.lost and closed.closed_at >= opened.opened_at
    said = (opened.reason, opened.cause) if opened.opened_at > closed.closed_at else ("", "")
    return replace(
        opened,
        closed_at=closed.closed_at,
        lost=lost,
        touched_ms=max(one.touched_ms, two.touched_ms),
        reason=said[0],
        cause=said[1],
    )


def promise(one: Promise, two: Promise) -> Promise:
    """Return one promise."""
    made = max(one, two, key=lambda row: (row.made_at, row.judged))
    withdrawn = max(one.withdrawn_at, two.withdrawn_at)
    return replace(made, withdrawn_at=withdrawn, touched_ms=max(one.touched_ms, two.touched_ms))


def plan(one: Plan, two: Plan) -> Plan:
    """Return one plan."""
    agreed = max(one, two, key=lambda row: (row.agreed_at, row.parts))
    cancelled = max(one.cancelled_at, two.cancelled_at)
    return replace(agreed, cancelled_at=cancelled, touched_ms=max(one.touched_ms, two.touched_ms))


def consent(one: Consent, two: Consent) -> Consent:
    """Return the latest word; of two at the same moment the refusal."""
    return max(one, two, key=lambda row: (row.at, not row.granted))


def suppression(one: Suppression, two: Suppression) -> Suppression:
    """Return the later one."""
    return max(one, two, key=lambda row: row.at)


def override(one: Override, two: Override) -> Override:
    """Return the later word, ended if either was."""
    later = max(one, two, key=lambda row: row.set_at)
    return replace(later, cleared_at=max(one.cleared_at, two.cleared_at), reasoned_at=max(lifted_ms(one), lifted_ms(two)))


def contract(one: Contract, two: Contract) -> Contract:
    """Return the later record; what winning the client cost may have come with the earlier one."""
    later, earlier = (one, two) if one.at >= two.at else (two, one)
    told = later.cost or (earlier.cost if earlier.currency == later.currency else 0)
    return replace(later, cost=told, started_ms=later.started_ms or earlier.started_ms)


def rest(one: Rest, two: Rest) -> Rest:
    """Return the longer one."""
    return max(one, two, key=lambda row: (row.until_ms, row.times))


def reaction(one: Reaction, two: Reaction) -> Reaction:
    """Return both together."""
    return Reaction(one.channel, one.sent + two.sent, one.reacted + two.reacted, max(one.asked_ms, two.asked_ms))


def _part(one: Part, two: Part) -> Part:
    return max(one, two, key=lambda row: (row.at, row.minor))


def _reduction(one: Reduction, two: Reduction) -> Reduction:
    taken, taken_at = max((one.taken, one.taken_at), (two.taken, two.taken_at))
    returned, returned_at = max((one.returned, one.returned_at), (two.returned, two.returned_at))
    named = max(one.invoice_id, two.invoice_id)
    return Reduction(one.reduction_id, taken, returned, one.chargeback or two.chargeback, taken_at, returned_at, named)

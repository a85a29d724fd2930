"""How payment facts change the ledger and the rhythm. Every fact is idempotent and may arrive in any order."""

from typing import Final, TypeAlias

from msgspec.structs import replace

from models.events.envelope import epoch_ms
from models.events.payments import (
    ChargebackReversed,
    DeclineKind,
    PaymentChargedBack,
    PaymentFailed,
    PaymentMethod,
    PaymentPending,
    PaymentReceived,
    PaymentRefunded,
    RefundFailed,
)
from models.state.client import ClientState
from models.state.memory import close, is_closed
from models.state.reckoning import covered, gross, is_settlement, net, part_net, receipt_ms, reckon
from models.state.rhythm import Bucket, Rhythm, attempts
from models.state.rows import METHODS, Part, Payment, Reduction, Totals
from models.state.totals import add_total, balanced, count, give_back, payment_key, reduction_keys, take_back
from models.state.windows import add, day_of
from models.workdays import DAY_MS

_Reducing: TypeAlias = PaymentRefunded | RefundFailed | PaymentChargedBack | ChargebackReversed

PAY_DAYS_KEPT: Final = 13  # twelve gaps
FAILURES_KEPT: Final = 8
PENDING_DAYS: Final = 7  # where the sender names no date
_METHOD_INDEX: Final = {method: index for index, method in enumerate(METHODS)}
_OTHER: Final = _METHOD_INDEX[PaymentMethod.OTHER]
_NO_METHODS: Final = (0,) * len(METHODS)


def received(state: ClientState, event: PaymentReceived) -> ClientState:
    """Money arrived: for the invoice it names, else as cash that no invoice has taken."""
    code, minor, at = event.amount.currency, event.amount.minor, event.occurred_ms
    before = _find(state, event.payment_id, code)
    if before is None:
        if _repeats(state, event.payment_id, code):
            return count(state, repeats=1)
        before = Payment(event.payment_id, code, _OTHER)
    if event.invoice_id is None:
        if (before.whole_at, before.whole) >= (at, minor):
            return state
        after = replace(before, whole=minor, whole_at=at)
    else:
        part = Part(event.invoice_id, minor, at)
        known = next((row for row in before.parts if row.invoice_id == part.invoice_id), None)
        if known is not None and (known.at, known.minor) >= (at, minor):
            return state
        others = tuple(row for row in before.parts if row.invoice_id != part.invoice_id)
        after = replace(before, parts=(*others, part))
    return put_payment(state, before, _moved_by(after, event, state.now_ms))


def pending(state: ClientState, event: PaymentPending) -> ClientState:
    """Fold in: a payment is under way."""
    code, at = event.amount.currency, event.occurred_ms
    before = _find(state, event.payment_id, code)
    if before is None:
        if _repeats(state, event.payment_id, code):
            return count(state, repeats=1)
        before = Payment(event.payment_id, code, _OTHER)
    if before.pending and before.pending_at >= at:
        return state
    expected = epoch_ms(event.expected_at) if event.expected_at else at + PENDING_DAYS * DAY_MS
    after = replace(
        before,
        pending=event.amount.minor,
        pending_at=at,
        pending_invoice=event.invoice_id or "",
        expected_ms=expected,
    )
    return put_payment(state, before, _moved_by(after, event, state.now_ms))


def failed(state: ClientState, event: PaymentFailed) -> ClientState:
    """Fold in: an attempt was declined, or money that had arrived bounced: the later fact of the two holds."""
    code, at = event.amount.currency, event.occurred_ms
    state = _declined(state, event, at)
    before = _find(state, event.payment_id, code)
    if before is None:
        if _repeats(state, event.payment_id, code):
            return count(state, repeats=1)
        before = Payment(event.payment_id, code, _OTHER)
    if before.failed_at >= at:
        return state
    return put_payment(state, before, _moved_by(replace(before, failed_at=at), event, state.now_ms))


def refunded(state: ClientState, event: PaymentRefunded) -> ClientState:
    """Fold in: money went back to the client."""
    return _reduce(state, event, Reduction(event.refund_id, event.amount.minor, taken_at=event.occurred_ms))


def refund_failed(state: ClientState, event: RefundFailed) -> ClientState:
    """Fold in: the money of a refund is back."""
    return _reduce(state, event, Reduction(event.refund_id, returned=event.amount.minor, returned_at=event.occurred_ms))


def charged_back(state: ClientState, event: PaymentChargedBack) -> ClientState:
    """Fold in: the client's bank took money back; it counts as disputed until reversed."""
    row = Reduction(event.chargeback_id, event.amount.minor, chargeback=True, taken_at=event.occurred_ms)
    return _reduce(state, event, row)


def chargeback_reversed(state: ClientState, event: ChargebackReversed) -> ClientState:
    """Fold in: the money of a chargeback is back."""
    row = Reduction(event.chargeback_id, returned=event.amount.minor, chargeback=True, returned_at=event.occurred_ms)
    return _reduce(state, event, row)


def _reduce(state: ClientState, event: _Reducing, fact: Reduction) -> ClientState:
    code, fact = event.amount.currency, replace(fact, invoice_id=event.invoice_id or "")
    before = _find(state, event.payment_id, code)
    if before is None:
        if is_closed(state.memory.closed, payment_key(event.payment_id, code)):
            return reduce_collapsed(state, code, fact)
        before = Payment(event.payment_id, code, _OTHER)
    rows = before.reductions
    known = next((row for row in rows if row.reduction_id == fact.reduction_id), Reduction(fact.reduction_id))
    taken, taken_at = max((known.taken, known.taken_at), (fact.taken, fact.taken_at))
    returned, returned_at = max((known.returned, known.returned_at), (fact.returned, fact.returned_at))
    named = max(known.invoice_id, fact.invoice_id)
    merged = Reduction(known.reduction_id, taken, returned, fact.chargeback, taken_at, returned_at, named)
    if merged == known:
        return state
    after = replace(before, reductions=(*(row for row in rows if row is not known), merged), touched_ms=state.now_ms)
    return put_payment(state, before, after)


def reduce_collapsed(state: ClientState, currency: str, fact: Reduction) -> ClientState:
    """Take money off a payment that has collapsed into the totals: its invoice stays closed, the sums stay true.

    Only what was taken comes back, whole and once: a return that comes before its taking, or without one, makes that void, and
    of a fact that says both only the difference goes.
    """
    taken, over = reduction_keys(fact.reduction_id, chargeback=fact.chargeback)
    known = is_closed(state.memory.closed, taken)
    if is_closed(state.memory.closed, over) or (known and not fact.returned):
        return count(state, repeats=1)
    if fact.returned and known:
        state, flow = give_back(state, currency, fact.returned, chargeback=fact.chargeback)
        return _flow_out(_closed(state, over), fact.returned_at, currency, -flow)
    gone = max(0, fact.taken - fact.returned)
    flow = 0
    if gone:
        state, flow = take_back(state, currency, gone, invoice_id=fact.invoice_id, chargeback=fact.chargeback)
    return _flow_out(_closed(state, taken if gone and flow == fact.taken else over), fact.taken_at, currency, flow)


def _closed(state: ClientState, name: str) -> ClientState:
    closed, lost = close(state.memory.closed, name)
    return count(replace(state, memory=replace(state.memory, closed=closed)), facts=lost)


def _moved_by(row: Payment, event: PaymentReceived | PaymentPending | PaymentFailed, now_ms: int) -> Payment:
    """Return the row with the method of the latest fact that names one."""
    at, method = event.occurred_ms, _METHOD_INDEX[event.method]
    if event.method is PaymentMethod.OTHER or (row.method_at, row.method) >= (at, method):
        at, method = row.method_at, row.method
    return replace(row, method=method, method_at=at, touched_ms=now_ms)


def put_payment(state: ClientState, before: Payment, after: Payment) -> ClientState:
    """Store `after` in the place of `before` and renew everything derived: named invoices, windows, cadence, methods."""
    ledger = state.ledger
    if is_settlement(after):
        after = replace(after, covered=covered(after, ledger))
    rows = ledger.payments
    index = next((i for i, row in enumerate(rows) if row is before), None)
    rows = (*rows, after) if index is None else (*rows[:index], after, *rows[index + 1 :])
    named = {part.invoice_id for part in before.parts} | {part.invoice_id for part in after.parts}
    invoices = ledger.invoices
    missing = 0
    if named:
        renewed = list(invoices)
        for position, invoice in enumerate(invoices):
            if invoice.invoice_id in named:
                named.discard(invoice.invoice_id)
                renewed[position] = reckon(invoice, rows, ledger.credits, state.now_ms)
        invoices = tuple(renewed)
        # An invoice that has collapsed keeps its money; only what is taken away again must leave its total.
        for invoice_id in named:
            if is_closed(state.memory.closed, f"invoice:{invoice_id}"):
                missing += min(0, part_net(after, invoice_id) - part_net(before, invoice_id))
    totals = ledger.totals
    if missing:
        totals = add_total(totals, Totals(after.currency, applied=missing))
    ledger = replace(ledger, payments=rows, invoices=invoices, totals=totals)
    state = replace(state, ledger=ledger, rhythm=_rhythm(state, before, after))
    if before.reductions is not after.reductions:
        state = _flows(state, before, after)
    if totals and net(after) < net(before):
        state = balanced(state, after.currency)
    return state if is_settlement(after) else _cover(state, after)


def _flows(state: ClientState, before: Payment, after: Payment) -> ClientState:
    for payment, sign in ((before, -1), (after, 1)):
        for row in payment.reductions:
            # What came back never went: it is taken off where it was booked, so that no window sees half of it.
            state = _flow_out(state, row.taken_at, after.currency, sign * max(0, row.taken - row.returned))
    return state


def _cover(state: ClientState, named: Payment) -> ClientState:
    """Take off settlements what a payment with a name of its own accounts for."""
    invoices = {part.invoice_id for part in named.parts}
    for row in state.ledger.payments:
        if row.payment_id in invoices and is_settlement(row) and row.covered != covered(row, state.ledger):
            state = put_payment(state, row, row)
    return state


def _rhythm(state: ClientState, before: Payment, after: Payment) -> Rhythm:
    rhythm = state.rhythm
    was, now = gross(before), gross(after)
    was_at, now_at = receipt_ms(before), receipt_ms(after)
    if was == now and was_at == now_at and before.method == after.method:
        return rhythm
    buckets, methods, last = rhythm.buckets, list(rhythm.methods or _NO_METHODS), rhythm.last_paid_ms
    paid = remembered(rhythm)
    if was:
        buckets = add(buckets, was_at, now_ms=state.now_ms, change=Bucket(0, before.currency, payments=-1, money_in=-was))
        paid = _without(paid, (day_of(was_at), before.method))
        methods[before.method] -= 1
        if was_at == last:
            last = _last_paid(state, before, paid)
    if now:
        buckets = add(buckets, now_at, now_ms=state.now_ms, change=Bucket(0, after.currency, payments=1, money_in=now))
        paid = sorted((*paid, (day_of(now_at), after.method)))[-PAY_DAYS_KEPT:]
        methods[after.method] += 1
        last = max(last, now_at)
    return replace(
        rhythm,
        buckets=buckets,
        pay_days=tuple([day for day, _ in paid]),
        pay_methods=tuple([method for _, method in paid]),
        methods=tuple(methods),
        last_paid_ms=last,
    )


def remembered(rhythm: Rhythm) -> list[tuple[int, int]]:
    """Return the remembered payments as (day, method); states written before methods were kept have none for the older ones."""
    days, methods = rhythm.pay_days, rhythm.pay_methods
    return list(zip(days, (*((_OTHER,) * (len(days) - len(methods))), *methods), strict=True))


def _last_paid(state: ClientState, gone: Payment, paid: list[tuple[int, int]]) -> int:
    """Return when money last arrived apart from `gone`; of a payment that has collapsed only the day is known."""
    moments = [receipt_ms(row) for row in state.ledger.payments if row is not gone and gross(row)]
    return max(moments, default=0) if not paid else max(paid[-1][0] * DAY_MS, *moments, 0)


def _declined(state: ClientState, event: PaymentFailed, at: int) -> ClientState:
    rhythm = state.rhythm
    if at not in rhythm.failures:
        change = Bucket(0, event.amount.currency, declines=1)
        kept = sorted((*attempts(rhythm), (at, _METHOD_INDEX[event.method])))[-FAILURES_KEPT:]
        rhythm = replace(
            rhythm,
            failures=tuple([moment for moment, _ in kept]),
            failure_methods=tuple([method for _, method in kept]),
            refused=_refused(rhythm, event, at),
            buckets=add(rhythm.buckets, at, now_ms=state.now_ms, change=change),
        )
    if at >= rhythm.retry_at:
        # Whatever day is named: what was declined for good is not tried again without a change by the client.
        again = event.next_retry_at if event.decline is DeclineKind.SOFT else None
        retry = epoch_ms(again) if again else 0
        rhythm = replace(rhythm, next_retry_ms=retry, retry_at=at)
    return replace(state, rhythm=rhythm)


def _refused(rhythm: Rhythm, event: PaymentFailed, at: int) -> tuple[int, ...]:
    """Return when attempts were declined for good, this one included where it was."""
    if event.decline is DeclineKind.SOFT:
        return rhythm.refused
    return tuple(sorted({*rhythm.refused, at})[-FAILURES_KEPT:])


def _flow_out(state: ClientState, at: int, code: str, flow: int) -> ClientState:
    if not flow:
        return state
    change = Bucket(0, code, reductions=1 if flow > 0 else -1, money_out=flow)
    buckets = add(state.rhythm.buckets, at, now_ms=state.now_ms, change=change)
    return replace(state, rhythm=replace(state.rhythm, buckets=buckets))


def _without(paid: list[tuple[int, int]], gone: tuple[int, int]) -> list[tuple[int, int]]:
    # A payment of before methods were kept goes by its day alone.
    index = next((i for i, row in enumerate(paid) if row == gone), None)
    if index is None:
        index = next((i for i, (day, method) in enumerate(paid) if day == gone[0] and method == _OTHER), None)
    return paid if index is None else paid[:index] + paid[index + 1 :]


def _find(state: ClientState, payment_id: str, currency: str) -> Payment | None:
    for row in state.ledger.payments:
        if row.payment_id == payment_id and row.currency == currency:
            return row
    return None


def _repeats(state: ClientState, payment_id: str, currency: str) -> bool:
    return is_closed(state.memory.closed, payment_key(payment_id, currency))

"""Two clients who turned out to be one company: their states in one.

Money, windows and what the client has said come out as if every fact had always been told to one client, as far as its row is
still kept; what had collapsed is added up. So a fact told to both counts once, unless both had summed it up already.
"""

from collections.abc import Iterable
from itertools import zip_longest
from typing import Final, TypeVar

from msgspec.structs import astuple, replace

from models.state import joining_rows as rows
from models.state.claims import DISPUTES_KEPT
from models.state.client import Care, ClientState, Field, Forgotten, Memory, Person, Run
from models.state.closing import LABELS
from models.state.habits import united as united_habits
from models.state.identity import joined as joined_identities
from models.state.invoices import put_credit, put_invoice
from models.state.memory import is_closed
from models.state.memory import united as united_facts
from models.state.payments import FAILURES_KEPT, PAY_DAYS_KEPT, put_payment, reduce_collapsed, remembered
from models.state.person import CONTACTS_KEPT, OF_ADDRESS, risk_rank
from models.state.promises import words_by_now
from models.state.reckoning import is_live, reckon
from models.state.renewals import WATCHED, Renewals
from models.state.rhythm import Rhythm, attempts
from models.state.rows import Dispute, Invoice, Ledger, Payment
from models.state.totals import add_total, balanced, payment_key
from models.state.windows import add, compact
from models.workdays import DAY_MS

R = TypeVar("R")

FEEDS_KEPT: Final = 4
UNANSWERED_KEPT: Final = 4
TASKS_KEPT: Final = 8
REPLIES_KEPT: Final = 4
_FIELDS: Final = (
    *("name", "email", "phone", "timezone", "country", "locale"),
    *("style", "industry", "channel", "hours", "statements"),
)
_ADDRESSES: Final = {"email": "email", "sms": "phone"}
"""The field of the profile that a channel writes to; what is known of the channel goes with the address that holds."""


def joined(state: ClientState, other: ClientState) -> ClientState:
    """Return `state` with all that is known of `other` in it: of each register the later word, of each sum both.

    Journeys go on where they stand furthest. Segment and timers stay those of `state`, unless nothing was known of it. Which
    deliveries had arrived `other` goes on knowing itself: they arrive there.
    """
    state = replace(state, now_ms=max(state.now_ms, other.now_ms))
    firsts = [ms for ms in (state.first_seen_ms, other.first_seen_ms) if ms]
    state = replace(
        state,
        first_seen_ms=min(firsts, default=0),
        person=_person(state.person, other.person),
        care=_care(state, other),
        renewals=_renewals(state.renewals, other.renewals),
        identity=joined_identities(state.identity, other.identity, state.client_id, other.client_id),
    )
    return joined_money(state, other)


def joined_money(state: ClientState, other: ClientState) -> ClientState:
    """Return `state` with all money of `other` in it, and how that is paid; whose it was makes no difference from then on."""
    one, late = _unclosed(state, other.memory.closed)
    two, later = _unclosed(other, state.memory.closed)
    before, after = (_live(state), _live(other)), (_live(one), _live(two))
    twice = len(after[0] & after[1]) + sum(map(len, before)) - sum(map(len, after))
    joint = replace(
        one,
        now_ms=max(state.now_ms, other.now_ms),
        habits=united_habits(state.habits, other.habits, twice=twice),
        feeds=tuple(dict.fromkeys((*other.feeds, *state.feeds)))[-FEEDS_KEPT:],
        memory=_memory(state.memory, other.memory),
    )
    joint = _money(replace(joint, rhythm=_rhythm(joint, two)), two.ledger)
    words = words_by_now(joint.habits.words, joint.ledger, joint.now_ms)
    joint = replace(joint, habits=replace(joint.habits, words=words))
    for payment in (*late, *later):
        for fact in payment.reductions:
            joint = reduce_collapsed(joint, payment.currency, fact)
    return joint


def _live(state: ClientState) -> set[str]:
    return {row.invoice_id for row in state.ledger.invoices if is_live(row)}


def _memory(one: Memory, two: Memory) -> Memory:
    closed, lost = united_facts(one.closed, two.closed)
    counts = [mine + theirs for mine, theirs in zip(astuple(one.forgotten), astuple(two.forgotten), strict=True)]
    forgotten = Forgotten(*counts)
    return replace(one, closed=closed, forgotten=replace(forgotten, facts=forgotten.facts + lost))


def _rhythm(state: ClientState, other: ClientState) -> Rhythm:
    """Return both rhythms, that of `other` without what its kept rows tell: they are put in by themselves."""
    one, now = state.rhythm, state.now_ms
    two = _residue(other, other.ledger.invoices, other.ledger.payments)
    buckets = compact(one.buckets, now_ms=now)
    for row in two.buckets:
        buckets = add(buckets, row.day * DAY_MS, now_ms=now, change=row)
    paid = sorted((*remembered(one), *remembered(two)))[-PAY_DAYS_KEPT:]
    failed = sorted((dict(attempts(two)) | dict(attempts(one))).items())[-FAILURES_KEPT:]
    retry = max(one, two, key=lambda row: row.retry_at)
    return replace(
        one,
        buckets=buckets,
        pay_days=tuple([day for day, _ in paid]),
        pay_methods=tuple([method for _, method in paid]),
        methods=_added(one.methods, two.methods),
        failures=tuple([moment for moment, _ in failed]),
        failure_methods=tuple([method for _, method in failed]),
        refused=tuple(sorted({*one.refused, *two.refused})[-FAILURES_KEPT:]),
        last_paid_ms=max(one.last_paid_ms, two.last_paid_ms),
        next_retry_ms=retry.next_retry_ms,
        retry_at=retry.retry_at,
        labels=tuple(sorted((*one.labels, *two.labels), key=lambda row: row.settled_ms)[-LABELS:]),
        labelled=one.labelled + two.labelled,
        late=one.late + two.late,
        written_off=one.written_off + two.written_off,
        disputes=_disputes(state, other),
    )


def _residue(state: ClientState, invoices: Iterable[Invoice], payments: Iterable[Payment]) -> Rhythm:
    """Return what of the rhythm these rows do not tell: in windows every fact has an inverse."""
    for invoice in invoices:
        state = put_invoice(state, invoice, Invoice(invoice.invoice_id))
    for payment in payments:
        state = put_payment(state, payment, Payment(payment.payment_id, payment.currency, payment.method))
    return state.rhythm


def _added(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(one, two, strict=True))) if one and two else one or two


def _disputes(state: ClientState, other: ClientState) -> tuple[int, ...]:
    """Return when disputes were opened; of one that both know, the later moment."""
    known: dict[str, Dispute] = {row.dispute_id: row for row in state.ledger.disputes}
    both = ((row, known[row.dispute_id]) for row in other.ledger.disputes if row.dispute_id in known)
    earlier = {min(one.opened_at, two.opened_at) for one, two in both if one.opened_at != two.opened_at}
    moments = {*state.rhythm.disputes, *other.rhythm.disputes} - earlier
    return tuple(sorted(moments)[-DISPUTES_KEPT:])


def _money(state: ClientState, more: Ledger) -> ClientState:
    """Put in what another ledger holds, row by row as facts are folded, so that all that is derived is derived anew."""
    ledger = state.ledger
    totals = ledger.totals
    for change in more.totals:
        totals = add_total(totals, change)
    ledger = replace(
        ledger,
        totals=totals,
        disputes=rows.united(ledger.disputes, more.disputes, key=lambda row: row.dispute_id, join=rows.dispute),
        promises=rows.united(ledger.promises, more.promises, key=lambda row: row.promise_id, join=rows.promise),
        plans=rows.united(ledger.plans, more.plans, key=lambda row: row.plan_id, join=rows.plan),
    )
    state = replace(state, ledger=ledger)
    for invoice in more.invoices:
        mine = next((row for row in state.ledger.invoices if row.invoice_id == invoice.invoice_id), None)
        state = put_invoice(state, mine or Invoice(invoice.invoice_id), invoice if mine is None else rows.invoice(mine, invoice))
    for note in more.credits:
        given = next((row for row in state.ledger.credits if row.credit_note_id == note.credit_note_id), None)
        state = put_credit(state, given, note if given is None else rows.credit(given, note))
    for payment in more.payments:
        key = payment.payment_id, payment.currency
        paid = next((row for row in state.ledger.payments if (row.payment_id, row.currency) == key), None)
        state = put_payment(
            state, paid or Payment(*key, payment.method), payment if paid is None else rows.payment(paid, payment)
        )
    for currency in [row.currency for row in totals]:
        state = balanced(state, currency)
    return _untouched(state, ledger, more)


def _unclosed(state: ClientState, closed: bytes) -> tuple[ClientState, list[Payment]]:
    """Return the state without rows of what the other one has closed, and the payments among them of which money went back.

    Closed by one it is closed for both: what a row says of it is a repetition, in windows too. Only what went back of a payment
    may not have been counted there.
    """
    ledger = state.ledger
    invoices = [row for row in ledger.invoices if is_closed(closed, f"invoice:{row.invoice_id}")]
    credits_ = [row for row in ledger.credits if is_closed(closed, f"credit:{row.credit_note_id}")]
    payments = [row for row in ledger.payments if is_closed(closed, payment_key(row.payment_id, row.currency))]
    if not (invoices or credits_ or payments):
        return state, []
    named = {note.invoice_id for note in credits_} | {part.invoice_id for row in payments for part in row.parts}
    paid = _others(ledger.payments, payments)
    given = _others(ledger.credits, credits_)
    kept = tuple(reckon(row, paid, given, 0) if row.invoice_id in named else row for row in _others(ledger.invoices, invoices))
    rhythm = _residue(state, invoices, payments)
    state = replace(state, rhythm=rhythm, ledger=replace(ledger, invoices=kept, payments=paid, credits=given))
    return state, [row for row in payments if row.reductions]


def _others(rows_: tuple[R, ...], gone: list[R]) -> tuple[R, ...]:
    return tuple(row for row in rows_ if not any(row is known for known in gone))


def _untouched(state: ClientState, one: Ledger, two: Ledger) -> ClientState:
    """Let invoices be touched when a fact last named them: closed ones collapse by that, and not by the joining."""
    touched: dict[str, int] = {}
    for row in (*one.invoices, *two.invoices):
        touched[row.invoice_id] = max(row.touched_ms, touched.get(row.invoice_id, 0))
    for payment in state.ledger.payments:
        for part in payment.parts:
            touched[part.invoice_id] = max(payment.touched_ms, touched.get(part.invoice_id, 0))
    invoices = tuple(replace(row, touched_ms=touched[row.invoice_id]) for row in state.ledger.invoices)
    return replace(state, ledger=replace(state.ledger, invoices=invoices))


def _person(one: Person, two: Person) -> Person:
    fields: dict[str, Field] = {name: max(getattr(one, name), getattr(two, name), key=_stated) for name in _FIELDS}
    named = max(one, two, key=lambda row: (row.colleagues_at, row.colleagues))
    wish = max(one, two, key=lambda row: (row.pace_at, -row.pace))
    risks = [row for row in (one.risk, two.risk) if row is not None]
    bounced = [
        [
            row
            for row in person.suppressions
            if row.cause not in OF_ADDRESS or _holds(person, fields, named, row.channel, row.role)
        ]
        for person in (one, two)
    ]
    rests = [[row for row in person.rests if _holds(person, fields, named, row.channel, "")] for person in (one, two)]
    return Person(
        **fields,
        consents=rows.united(one.consents, two.consents, key=lambda row: (row.purpose, row.channel), join=rows.consent),
        suppressions=rows.united(
            *bounced, key=lambda row: (row.channel, row.cause, row.purpose, row.role), join=rows.suppression
        ),
        overrides=rows.united(one.overrides, two.overrides, key=lambda row: row.override_id, join=rows.override),
        contracts=rows.united(one.contracts, two.contracts, key=lambda row: row.contract_id, join=rows.contract),
        rests=rows.united(*rests, key=lambda row: row.channel, join=rows.rest),
        reactions=rows.united(one.reactions, two.reactions, key=lambda row: row.channel, join=rows.reaction),
        colleagues=named.colleagues,
        colleagues_at=named.colleagues_at,
        pace=wish.pace,
        pace_at=wish.pace_at,
        risk=max(risks, key=risk_rank, default=None),
    )


def _stated(field: Field) -> tuple[int, str, str]:
    return field.at, field.value, field.by


def _holds(person: Person, fields: dict[str, Field], named: Person, channel: str, role: str) -> bool:
    """Say whether the address of which a channel's failures tell is the one that holds."""
    if role:
        return person.colleagues == named.colleagues
    address = _ADDRESSES.get(channel)
    return address is None or getattr(person, address).value == fields[address].value


def _care(state: ClientState, other: ClientState) -> Care:
    one, two = state.care, other.care
    base = one if state.first_seen_ms else two
    drawn = {(row.experiment, row.key) for row in one.assigned}
    return replace(
        base,
        onboarded=one.onboarded or two.onboarded,
        runs=rows.united(one.runs, two.runs, key=lambda row: (row.journey, row.anchor), join=_further),
        pending=(*one.pending, *two.pending),
        timers=one.timers,
        contacts=tuple(sorted((*one.contacts, *two.contacts))[-CONTACTS_KEPT:]),
        last_human_ms=max(one.last_human_ms, two.last_human_ms),
        notes=one.notes,
        assigned=(*one.assigned, *(row for row in two.assigned if (row.experiment, row.key) not in drawn)),
        approvals=one.approvals,
        unanswered=(*one.unanswered, *two.unanswered)[-UNANSWERED_KEPT:],
        heard_ms=max(one.heard_ms, two.heard_ms),
        tasks=(*one.tasks, *two.tasks)[-TASKS_KEPT:],
        replied_ms=max(one.replied_ms, two.replied_ms),
        replies=tuple(sorted({*one.replies, *two.replies}))[-REPLIES_KEPT:],
        asked=tuple(max(pair) for pair in zip_longest(one.asked, two.asked, fillvalue=0)),
        answers=_added(one.answers, two.answers),
        # Who belonged to an audience by either does; its next look judges them as one.
        stays=tuple({row.mark: row for row in sorted((*one.stays, *two.stays), key=lambda row: bool(row.since_ms))}.values()),
        spoken=tuple(sorted((*one.spoken, *two.spoken), key=lambda row: row.at_ms)[-CONTACTS_KEPT:]),
    )


def _further(one: Run, two: Run) -> Run:
    return max(one, two, key=lambda row: (row.closed, row.stage, row.human, row.ready_ms))


def _renewals(one: Renewals, two: Renewals) -> Renewals:
    known = {(row.contract_id, row.renews_ms) for row in one.periods}
    periods = (*one.periods, *(row for row in two.periods if (row.contract_id, row.renews_ms) not in known))
    return Renewals(
        periods=periods[:WATCHED],
        known=one.known + two.known,
        renewed=one.renewed + two.renewed,
        raised=one.raised + two.raised,
        unwatched=one.unwatched + two.unwatched + max(0, len(periods) - WATCHED),
    )

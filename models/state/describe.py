"""A client's state in plain words, for people: `rapport inspect`, `rapport simulate`, the console."""

from models.events.delays import DisputeReason
from models.events.signals import ANY_HOUR, OverrideEffect
from models.money import Money
from models.state import approvals
from models.state.approvals import Approval
from models.state.balances import exposures, items
from models.state.client import PURPOSES, ClientState, Person, Suppression, TimerKind, journey_of
from models.state.history import WEEKS, Received, YearOnYear, cadence, decline_streak, lateness, years_on_year
from models.state.identity import Alias, parts
from models.state.person import COMPLAINT, HARD, READER, WRONG, in_force, is_lifted, overruling
from models.state.reckoning import Exposure, Item
from models.state.rows import METHODS, Dispute
from models.workdays import moment

_TERMS = ("part_paid", "credits", "unapplied", "disputed", "promised", "in_flight", "planned")
_TIMERS = {
    TimerKind.TASK: "a task expires, if nobody ends it",
    TimerKind.PROMISE: "a promise is judged",
    TimerKind.SEGMENT: "the segment is judged",
    TimerKind.DELAY: "support in the delay",
    TimerKind.ONBOARDING: "onboarding",
    TimerKind.RENEWAL: "care before renewal",
    TimerKind.PLAYBOOK: "a playbook",
    TimerKind.UNANSWERED: "said once more by another channel, if nobody answers",
    TimerKind.PLAN: "a plan is judged",
    TimerKind.STATEMENT: "the monthly statement",
    TimerKind.QUESTION: "a question about an invoice is put or answered",
}

_OF_ADDRESS = {
    HARD: "the address does not exist",
    WRONG: "the address reaches the wrong person",
    READER: "who reads there has complained of mails to another client",
}
_DISPUTED = {
    DisputeReason.AMOUNT: "the rate, the hours or the sum",
    DisputeReason.WORK: "the work",
    DisputeReason.NOT_ORDERED: "not ordered",
    DisputeReason.PAID: "paid already, or billed twice",
    DisputeReason.DETAILS: "address, tax or order number",
    DisputeReason.OTHER: "something else",
}


def describe(state: ClientState) -> list[str]:
    """Return what is known of the client, a line each: segment, exposure, open items, what is pending and due, last decisions."""
    if state.erased_ms:
        return [f"{state.client_id}: erased on {_day(state.erased_ms)}; nothing else is kept"]
    if state.identity.into:
        who, told = state.identity, state.identity.told - 1
        return [f"{state.client_id}: merged into {who.into} on {_day(who.merged_ms)}; {told} later events were passed on there"]
    name = state.person.name.value
    lines = [f"{state.client_id}{f' ({name})' if name else ''}: segment {_segment(state)}, as of {_minute(state.now_ms)}"]
    lines += _names(state)
    lines += [explain_exposure(row) for row in exposures(state.ledger, state.now_ms)]
    lines += [_item(row, state.now_ms) for row in items(state.ledger, state.now_ms)]
    lines += _habits(state)
    lines += _agreed(state)
    lines += _ahead(state)
    lines += [f"{_minute(row.at_ms)} {row.outcome}: {row.what}: {row.reason}" for row in state.care.notes]
    return lines + _given_up(state)


def describe_change(before: ClientState | None, after: ClientState) -> list[str]:
    """Return what one transition changed, in plain words; empty when nothing a person cares about did."""
    if before is None:
        before = ClientState(after.client_id)
        lines = [f"{after.client_id} is known from now on"]
    else:
        lines = []
    if after.erased_ms and not before.erased_ms:
        return [*lines, "the client was erased"]
    if after.identity.into != before.identity.into:
        return [*lines, f"merged into {after.identity.into}" if after.identity.into else "stands on its own again"]
    lines += [line for line in _names(after) if line not in _names(before)]
    was = {row.currency: row for row in exposures(before.ledger, before.now_ms)}
    for row in exposures(after.ledger, after.now_ms):
        old = was.pop(row.currency, Exposure(row.currency, 0, 0, 0, 0, 0, 0, 0))
        lines += _moved(old, row)
    lines += [f"nothing is open in {code} any more" for code, row in was.items() if row.open]
    if before.care.segment is not after.care.segment:
        lines.append(f"segment: {before.care.segment.value} -> {after.care.segment.value}")
    old_past, past = lateness(before), lateness(after)
    if past.labelled != old_past.labelled:
        lines.append(f"paid late: {old_past.late} of {old_past.labelled} -> {past.late} of {past.labelled}")
    if decline_streak(after) != decline_streak(before):
        lines.append(f"declined attempts in a row: {decline_streak(before)} -> {decline_streak(after)}")
    for what in ("name", "email", "phone", "timezone", "country", "locale"):
        value = getattr(after.person, what).value
        if value != getattr(before.person, what).value:
            lines.append(f"{what}: {value}")
    return lines


def _segment(state: ClientState) -> str:
    """Return the segment in force; where a person has said it, who, and which one the rules would have."""
    words, ruled = overruling(state, state.now_ms), state.care.segment.value
    if not words:
        return ruled
    word = words[-1]
    return f"{word.value} by {word.author} until {_day(word.expires_ms)} (by the rules {ruled})"


def explain_exposure(row: Exposure) -> str:
    """Return one line with the collectable balance and each term that lowers it."""
    terms = [f"{Money(getattr(row, term), row.currency)} {term.replace('_', ' ')}" for term in _TERMS if getattr(row, term)]
    less = f" = {Money(row.open, row.currency)} open - {' - '.join(terms)}" if terms else ""
    return f"exposure {Money(row.net, row.currency)}{less}"


def _moved(old: Exposure, new: Exposure) -> list[str]:
    code = new.currency
    lines = []
    for term in ("open", *_TERMS):
        before, after = getattr(old, term), getattr(new, term)
        if before != after:
            lines.append(f"{term.replace('_', ' ')}: {Money(before, code)} -> {Money(after, code)}")
    if old.net != new.net:
        lines.append(f"exposure: {Money(old.net, code)} -> {Money(new.net, code)}")
    return lines


def _item(row: Item, now_ms: int) -> str:
    invoice, code = row.invoice, row.invoice.currency
    parts = [
        f"{Money(minor, code)} {word}"
        for word, minor in (
            ("disputed", row.disputed),
            ("promised", row.promised),
            ("in flight", row.in_flight),
            ("in instalments still to come", row.planned),
            ("covered on account", row.covered),
        )
        if minor
    ]
    day = (now_ms - invoice.due_ms) // 86_400_000
    when = f"{day} days past due" if day > 0 else f"due {_day(invoice.due_ms)}"
    if (plan := row.standing) is not None:
        word = "no longer holds" if plan.is_broken else f"instalment {plan.number} of {plan.of} is next, due {_day(plan.due_ms)}"
        parts.append(f"plan: {word}")
    return f"invoice {invoice.invoice_id}: {Money(row.left, code)} open, {when}{', ' + ', '.join(parts) if parts else ''}"


def _names(state: ClientState) -> list[str]:
    """Return who else the client is and who pays, and what was passed on and never came: look for it in the dead letters."""
    who = state.identity
    lines = [f"{row.client_id} {'was' if row.ended else 'is'} part of it{_lost(row)}" for row in who.aliases]
    lines += [f"it {'paid' if row.ended else 'pays'} for {row.client_id}{_lost(row)}" for row in who.children]
    if who.payer:
        lines.append(f"{who.payer} pays for it: invoices and payments are there")
    lines += [
        f"{row.client_id} has invoices and payments of before: what names them goes there"
        for row in who.elsewhere
        if row.facts and row.client_id not in {who.payer, *parts(who)}
    ]
    return lines


def _lost(row: Alias) -> str:
    return f"; {len(row.missing)} of what it passed on did not come" if row.missing else ""


def _from_due(days: float) -> str:
    return "on the day it is due" if not days else f"{abs(days):g} days {'before' if days < 0 else 'after'} due"


def _habits(state: ClientState) -> list[str]:
    lines = []
    past = lateness(state)
    if past.labelled:
        median = past.median_days
        usual = f", usually {_from_due(median)}" if median is not None else ""
        lines.append(f"paid late: {past.late} of {past.labelled}{usual}")
    rhythm = cadence(state)
    if rhythm is not None:
        lines.append(f"pays every {rhythm.median_gap:g} days; the last payment was {rhythm.gap_now:.0f} days ago")
    used = [f"{METHODS[index].value} {times}" for index, times in enumerate(state.rhythm.methods) if times]
    if used:
        lines.append(f"methods: {', '.join(used)}")
    if decline_streak(state):
        lines.append(f"declined attempts in a row: {decline_streak(state)}")
    return lines + [_year_on_year(row) for row in years_on_year(state)]


def _year_on_year(row: YearOnYear) -> str:
    before = f"a year before {_received(row.then, row.currency)}"
    return f"received in the {WEEKS} weeks to {_day(row.until_ms - 1)}: {_received(row.now, row.currency)}, {before}"


def _received(row: Received, currency: str) -> str:
    return f"{Money(row.minor, currency)} in {row.payments} {'payment' if row.payments == 1 else 'payments'}"


def _agreed(state: ClientState) -> list[str]:
    lines = [
        f"override by {row.author} until {_day(row.expires_ms)}: "
        + " ".join(filter(None, (row.effect, row.value or row.journey, row.invoice_id)))
        + f" ({row.reason})"
        + ("; until then a colleague lifts it, with a reason" if row.effect == OverrideEffect.LEGAL_HOLD else "")
        for row in state.person.overrides
        if in_force(row, state.now_ms)
    ]
    lines += [_dispute(row) for row in state.ledger.disputes if row.opened_at > row.closed_at]
    lines += _reachable(state)
    lines += [f"{row.channel}: reacted to {row.reacted} of {row.sent} messages" for row in state.person.reactions if row.reacted]
    lines += [
        f"{row.role.replace('_', ' ')}: {', '.join(filter(None, (row.name, row.email, row.phone)))}"
        for row in state.person.colleagues
    ]
    if state.person.hours.value not in {"", ANY_HOUR}:
        lines.append(f"wants to be written to at {state.person.hours.value}, their time")
    if state.person.statements.value == "no":
        lines.append("wants no monthly statements")
    if state.person.pace:
        lines.append(f"wants at most {state.person.pace} messages a month")
    for contract in state.person.contracts:
        renews = f", renews {_day(contract.renews_ms)}" if contract.renews_ms else ""
        lines.append(f"contract {contract.contract_id}: {contract.contract_type}, {contract.status}{renews}")
    return lines


def _dispute(row: Dispute) -> str:
    what = row.invoice_id or "everything that is open"
    part = f" ({Money(row.minor, row.currency)} of it)" if row.minor else ""
    about = _DISPUTED[DisputeReason(row.reason)] if row.reason else ""
    said = ": ".join(filter(None, (about, row.cause)))
    return f"disputes {what}{part} since {_day(row.opened_at)}{f': {said}' if said else ''}"


def _reachable(state: ClientState) -> list[str]:
    """Return what the client wants and which channels are shut: of which kind, since when, and until when or until what."""
    person, lines = state.person, list[str]()
    for row in person.consents:
        about = f"{PURPOSES[row.purpose].value} contact{' by ' + row.channel if row.channel else ''} since {_day(row.at)}"
        lines.append(f"allows {about}" if row.granted else f"refuses {about}: until the client says otherwise")
    lines += [line for row in person.suppressions if (line := _suppression(person, row))]
    lines += [
        f"{row.channel} rests until {_day(row.until_ms)}: soft bounces ({row.times} in a row)"
        for row in person.rests
        if row.until_ms > state.now_ms
    ]
    return lines


def _suppression(person: Person, row: Suppression) -> str:
    """Return the line about a suppression, empty for one that the client has lifted."""
    if is_lifted(person, row, purpose=row.purpose):
        return ""
    about = f" for {PURPOSES[row.purpose].value} contact" if row.purpose >= 0 else ""
    if row.cause == COMPLAINT:
        until = "a complaint; until the client allows that again"
    else:
        about += f" for the {row.role.replace('_', ' ')}" if row.role else ""
        until = f"{_OF_ADDRESS[row.cause]}; until there is a new one" + (
            "" if row.role else f" or the client asks for {row.channel}"
        )
    return f"{row.channel} is suppressed{about} since {_day(row.at)}: {until}"


def _ahead(state: ClientState) -> list[str]:
    lines = []
    for row in state.care.pending:
        fate = "retracted" if row.retracted else "pending"
        unheard = state.now_ms >= row.expires_ms and not row.retracted
        word = f"expired {_minute(row.expires_ms)} without a word from the channel" if unheard else ""
        word = word or f"not before {_minute(row.not_before_ms)}"
        lines.append(f"{fate}: {journey_of(row).value}/{row.step} by {row.channel}, {word}")
    lines += [_approval(row) for row in state.care.approvals if state.now_ms < row.until_ms]
    lines += [
        f"waits for an answer: {row.message.step} by {row.message.channel}, left {_minute(row.left_ms)}"
        for row in state.care.unanswered
        if not row.again
    ]
    for timer in state.care.timers:
        anchor = f" ({timer.anchor})" if timer.anchor else ""
        lines.append(f"next {_minute(timer.due_ms)}: {_TIMERS[TimerKind(timer.kind)]}{anchor}")
    return lines


def _approval(row: Approval) -> str:
    what, until, note = f"{journey_of(row).value}/{row.step} about {row.anchor}", _minute(row.until_ms), row.note
    said = f"{row.by} on {_minute(row.answered_ms)}" if row.answered_ms else row.by
    match row.answer:
        case approvals.ASKED:
            since = f" since {_minute(row.asked_ms)}" if row.asked_ms else ""
            return f"approval awaited{since} until {until}: {what} (task {row.trigger_id[:12]})"
        case approvals.APPROVED:
            return f"approved by {said}: {what} may leave until {until}{f' ({note})' if note else ''}"
        case _:
            return f"held by {said} until {until}: {what}{f' ({note})' if note else ''}"


def _given_up(state: ClientState) -> list[str]:
    known = state.memory.forgotten
    counts = [f"{name} {getattr(known, name)}" for name in known.__struct_fields__ if getattr(known, name)]
    return [f"given up or ignored: {', '.join(counts)}"] if counts else []


def _day(ms: int) -> str:
    return moment(ms).date().isoformat()


def _minute(ms: int) -> str:
    return moment(ms).strftime("%Y-%m-%d %H:%M")

"""The monthly statement: what is late and too little for a message of its own is told once a month, all of it together.

It says what support leaves unsaid, so both never speak of the same money: where the ladder would write, now or within the gap
between two contacts, the statement waits. It leaves only where it names something that nobody has written about yet; what is
disputed, promised, under way, in a plan, at the end of its ladder or a person's matter is not in it.
"""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Final

from msgspec.structs import replace

from models.policy.approval import Draft, Ruling, approval_silence, ask_first
from models.policy.arrears import Arrear, arrears, offered, retried, sums_of
from models.policy.audience import roles_for
from models.policy.causes import Hypothesis
from models.policy.facts import Fact
from models.policy.next_message import carrying_of, step_of, way_of_message
from models.policy.policy import Policy
from models.policy.reach import way_to
from models.policy.replies import reply_silence
from models.policy.segments import effective_segment
from models.policy.silence import Silence, client_silence
from models.policy.stakes import COST, too_dear, too_little
from models.policy.statement import asked_for, lines_of, riding, totals_of
from models.policy.turn import Turn, find_run
from models.state.client import JOURNEYS, ClientState, Pending, Run, Timer, TimerKind
from models.state.reckoning import left
from models.triggers import DecisionOutcome, Journey
from models.workdays import DAY_MS, local_day, roll_forward, wall_ms

NO: Final = "no"
"""What a client's profile says who wants no statements."""

_JOURNEY: Final = JOURNEYS.index(Journey.STATEMENT)
_SUPPORT: Final = JOURNEYS.index(Journey.DELAY_SUPPORT)


@dataclass(frozen=True, slots=True)
class Month:
    """When the statement of a month may leave (epoch ms), and its run."""

    run: Run
    from_ms: int
    end_ms: int


def statement_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when the next statement is due, or a silence about it ends; none without one in the policy or anything open."""
    if not policy.journeys.statement.day or not any(not row.settled_ms and left(row) for row in state.ledger.invoices):
        return []
    month, now = _month(state, policy), state.now_ms
    if month.from_ms > now:
        return [Timer(month.from_ms, TimerKind.STATEMENT, month.run.anchor)]
    found = arrears(state, policy)
    at = month.end_ms  # then the next month is looked at
    if _named(found, state):
        silence = _silence(month.run, found, state, policy)
        if silence is None or month.run.told != silence.code:
            at = now
        elif silence.until_ms > now:
            at = silence.until_ms
    later = (until for row in found if (until := _free_ms(row)) > now)
    at = min((at, *later))
    return [Timer(min(policy.open_hour(state, at), max(month.end_ms, now)), TimerKind.STATEMENT, month.run.anchor)]


def fire_statement(turn: Turn, timer: Timer, *, woken_ms: int) -> None:
    """Send the statement of the month, or explain why not; nothing is said where there is nothing to say."""
    state, policy = turn.state, turn.policy
    month = _month(state, policy)
    if month.run.anchor != timer.anchor or month.from_ms > state.now_ms:
        return
    found = arrears(state, policy)
    named = _named(found, state)
    if not named:
        return
    silence = _silence(month.run, found, state, policy)
    if silence is not None:
        if month.run.told != silence.code:
            turn.put_run(_begun(month, state, told=silence.code))
            outcome = DecisionOutcome.HELD if silence.until_ms else DecisionOutcome.SUPPRESSED
            turn.decide(outcome, silence.reasons, run=month.run, step=policy.journeys.statement.step.id)
    elif woken_ms >= month.end_ms:
        _close(turn, month, ("found only after its last day: what is still open stands in the next one",))
    else:
        _send(turn, month, named)


def against(state: ClientState, found: Sequence[Arrear], policy: Policy) -> Silence | None:
    """Return what stands against a statement whatever it names: a wish, a person who goes first, a reminder that is near."""
    if state.person.statements.value == NO:
        return Silence("unwanted", ("the client wants no monthly statements",))
    unasked = (row for row in found if row.silence is None and state.care.last_human_ms < row.due_ms and not row.run.human)
    if state.care.alarm_ms or any(row.ladder.human_first for row in unasked):
        return Silence("person", ("a person asks this client first, before anything is sent",))
    edge = state.now_ms + policy.min_gap_days * DAY_MS
    near = [row for row in found if not row.is_exhausted and (at := _free_ms(row)) and at <= edge]
    if any(row.instalment for row in near) or (near and _is_worth_a_reminder(near, state, policy)):
        at = max(state.now_ms, *map(_free_ms, near))
        day = local_day(at, policy.zone_of(state)).isoformat()
        return Silence("reminder", (f"support in the delay writes by {day} and goes first",), at + policy.min_gap_days * DAY_MS)
    return None


def _is_worth_a_reminder(near: list[Arrear], state: ClientState, policy: Policy) -> bool:
    sums = _sums(near)
    if too_little(sums, state, policy) is not None:
        return False
    carrying = carrying_of(near)
    if carrying is None or not policy.contact_costs:
        return True
    step = step_of(carrying, near, state, policy)
    return too_dear(sums, policy, way_of_message(step, carrying, near, state, policy)) is None


def overtaken(state: ClientState, policy: Policy) -> Silence | None:
    """Return what stands by now against a statement that was decided and has not left."""
    return against(state, arrears(state, policy), policy)


def unsaid(turn: Turn, anchor: str) -> None:
    """Forget that the invoices of a statement were written about: it was not delivered after all."""
    run = find_run(turn.state, Journey.STATEMENT, anchor)
    if run is None or not run.sent_ms:
        return
    for row in turn.state.care.runs:
        if row.journey == _SUPPORT and not row.stage and row.sent_ms == run.sent_ms:
            turn.put_run(replace(row, sent_ms=0))
    turn.put_run(replace(run, sent_ms=0))


def said(turn: Turn, row: Pending, *, at_ms: int) -> None:
    """Remember when a statement left, also one that had been taken back: it is not said again, nor the same invoices anew."""
    for anchor in row.invoice_ids:
        known = turn.run(Journey.DELAY_SUPPORT, anchor)
        turn.put_run(replace(known, sent_ms=max(known.sent_ms, at_ms)))
    run = turn.run(Journey.STATEMENT, row.anchor)
    turn.put_run(replace(run, stage=max(run.stage, 1), told="", sent_ms=at_ms))


def _month(state: ClientState, policy: Policy) -> Month:
    """Return the first month whose statement may still leave and has not; after this month's it is the next one's."""
    step, zone = policy.journeys.statement.step, policy.zone_of(state)
    today = local_day(state.now_ms, zone)
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    while True:
        day = roll_forward(first.replace(day=policy.journeys.statement.day), policy.holidays_of(state))
        begin = policy.open_hour(state, wall_ms(day, time(0), zone))
        end = begin + step.valid_days * DAY_MS
        anchor = f"{first:%Y-%m}"
        run = find_run(state, Journey.STATEMENT, anchor) or Run(_JOURNEY, anchor)
        if end > state.now_ms and not run.stage and not run.closed:
            return Month(run, max(begin, run.ready_ms), end)
        first += timedelta(days=monthrange(first.year, first.month)[1])


def _named(found: Iterable[Arrear], state: ClientState) -> list[Arrear]:
    """Return what a statement names now, the oldest first; nothing where all of it was written about before."""
    rows = [
        row
        for row in found
        if row.silence is None and not row.is_exhausted and not row.instalment and row.ready_ms <= state.now_ms
    ]
    return riding(rows, rows[0]) if any(map(_is_news, rows)) else []


def _is_news(row: Arrear) -> bool:
    return not (row.run.stage or row.run.human or row.run.sent_ms)


def _free_ms(row: Arrear) -> int:
    """Return from when on an invoice may be written about as far as one can see, 0 where only an event can say."""
    if row.silence is None:
        return row.ready_ms
    return max(row.ready_ms, row.silence.until_ms) if row.silence.until_ms else 0


def _sums(near: Sequence[Arrear]) -> dict[str, int]:
    """Return what will be asked for per currency; what is promised or under way counts as if it would not come."""
    sums = sums_of([row for row in near if row.silence is None])
    for row in near:
        code = row.invoice.currency
        sums[code] = sums.get(code, 0) + (row.item.promised if row.silence is None else row.item.left)
    return sums


def _silence(run: Run, found: Sequence[Arrear], state: ClientState, policy: Policy) -> Silence | None:
    step = policy.journeys.statement.step
    silence = against(state, found, policy) or client_silence(state, policy, Journey.STATEMENT, step)
    if silence is None and _way(state, policy) in policy.internal_channels:
        silence = Silence("address", ("no address of the client works, and a colleague need not see to small sums",))
    if silence is None:
        silence = _hopeless(_named(found, state), state, policy)
    return silence or reply_silence(state, policy) or approval_silence(state, run)


def _hopeless(named: list[Arrear], state: ClientState, policy: Policy) -> Silence | None:
    """Return why what is too little for a message of its own is not worth a statement either, or need not be said now."""
    dear = too_dear(sums_of(named), policy, _way(state, policy))
    return retried(state, policy) if dear is None else Silence(COST, (dear,))


def _way(state: ClientState, policy: Policy) -> str:
    step = policy.journeys.statement.step
    roles = roles_for(Journey.STATEMENT, step.purpose, step.tone)
    return way_to(state, policy, channel=step.channel, purpose=step.purpose, at_ms=state.now_ms, roles=roles)[0]


def _send(turn: Turn, month: Month, named: list[Arrear]) -> None:
    state, policy, step = turn.state, turn.policy, turn.policy.journeys.statement.step
    carrying, asked = named[0], asked_for(named, named[0])
    total = " and ".join(map(str, asked))
    many = "1 invoice" if len(named) == 1 else f"{len(named)} invoices"
    reasons = (
        f"{many}, {total} open: too little for a message of its own",
        step.why,
        f"segment {effective_segment(state, state.now_ms).value}",
    )
    names = tuple(row.invoice.invoice_id for row in named)
    told = ask_first(turn, Draft(step, month.run, reasons, asked, invoice_ids=names))
    if told.ruling is Ruling.LAPSED:
        _close(turn, month, told.reasons)
    if told.ruling is not Ruling.MAY_LEAVE:
        return
    facts: dict[str, Fact] = {
        "name": state.person.name.value,
        "invoice_numbers": ", ".join(names[:5]),
        "invoice_count": len(named),
        "amount_open": asked[0],
        **offered(named, carrying, state, policy, Hypothesis()),
    }
    turn.send(
        told.step,
        month.run,
        facts=facts,
        reasons=(*reasons, *told.reasons),
        approved=told.by_person,
        until_ms=month.end_ms,
        invoice_ids=names,
        asked=asked,
        statement=lines_of(named, state, policy),
        totals=totals_of(named, carrying),
    )
    turn.put_run(replace(_begun(month, state, told=""), stage=1))


def _close(turn: Turn, month: Month, reasons: tuple[str, ...]) -> None:
    turn.put_run(replace(_begun(month, turn.state, told=""), closed=True))
    turn.decide(DecisionOutcome.SUPPRESSED, reasons, run=month.run, step=turn.policy.journeys.statement.step.id)


def _begun(month: Month, state: ClientState, *, told: str) -> Run:
    return replace(month.run, told=told, started_ms=month.run.started_ms or state.now_ms)

"""The program as one function: what is known, and one event, give what is known next and what is to be done.

No I/O, no clock, no dice: live, replay, simulation and back-test run this same function.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from models.events.control import ClockTicked
from models.events.envelope import ClientEvent
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import (
    AddressRefused,
    ApprovalAnswered,
    ClientAbsorbed,
    ClientAsked,
    ClientDelegated,
    ClientEntrusted,
    ClientErased,
    ClientMerged,
    ClientParted,
    ClientProfiled,
    ClientSplit,
    DeliveryOutcome,
    DeliveryReported,
)
from models.events.union import AnyClientEvent, AnyEvent
from models.learners.questions import due_questions, next_question_ms, notice
from models.learners.renewal_questions import due_renewals, next_renewal_ms, notice_contracts
from models.learners.scorer import Scorer
from models.policy.aftermath import judge_late_news
from models.policy.approval import answered
from models.policy.colleagues import fire_task, task_timers
from models.policy.delay_support import delay_timers, fire_delay, fire_promise
from models.policy.dwelling import judge, judge_audiences, judge_timers
from models.policy.hours import heard_at
from models.policy.instalments import fire_plan
from models.policy.merging import absorb, absorb_after_erasure, merge, part, passes_on, split
from models.policy.migrating import migrate, migrations_due, moves
from models.policy.monthly import fire_statement, statement_timers
from models.policy.openings import has_openings
from models.policy.outcomes import (
    erased,
    overtake_tasks,
    paid,
    refuse_what_was_decided,
    replied,
    reported,
    retract_what_no_longer_holds,
    wrote_back,
)
from models.policy.own_journeys import enter_own
from models.policy.paying import delegate, entrusts, let_go, pass_by, take_over
from models.policy.playbooks import enter_by_time, enter_playbooks, playbook_entry_timers
from models.policy.policy import Policy
from models.policy.pruning import prune_runs
from models.policy.refused import address_refused
from models.policy.relationship import enter_onboarding, fire_relationship, relationship_timers
from models.policy.requests import ask_a_person, ask_people, asked_about
from models.policy.rerouting import reroute
from models.policy.turn import Turn
from models.policy.unanswered import fire_unanswered, forget_answered, note_answer, unanswered_timers
from models.state.client import ClientState, Timer, TimerKind
from models.state.closing import tidy
from models.state.evolve import evolve
from models.state.identity import heard
from models.state.memory import remember, remembers, undecidable
from models.state.refusing import Refusal, refusal
from models.triggers import AnyOutput

# No client has that many things due at one moment; the rest is found due again at the next wake-up.
FIRED_AT_ONCE: Final = 64
FEEDS_KEPT: Final = 4
_BY_DUE: Final = attrgetter("due_ms", "kind", "anchor")


class Disposition(StrEnum):
    """What was done with an event: only `applied` ones change anything."""

    APPLIED = "applied"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Transition:
    """The next state, the outputs in order, and when the client must be woken at the latest (epoch ms, None: never)."""

    state: ClientState
    outputs: tuple[AnyOutput, ...]
    next_due_ms: int | None
    disposition: Disposition
    refusal: Refusal | None = None  # why an event is not folded; workers make a dead letter of it

    @property
    def passed_on(self) -> list[AnyClientEvent]:
        """What goes back on the log for other clients, into whom this one was merged."""
        return [output for output in self.outputs if isinstance(output, ClientEvent)]


def transition(state: ClientState | None, event: AnyEvent, *, policy: Policy, scorer: Scorer) -> Transition:
    """Fold one event into one client's state and decide.

    Timers due up to the client's new logical time fire first, in due order, each decided at its due time, so a tick and an
    event wake a client alike. A timer found later than its step is valid is a suppressed decision, never a send. `state` None
    is a client not known yet; a ClockTicked needs one that is (else ValueError).
    """
    if isinstance(event, ClockTicked):
        if state is None:
            message = "a tick wakes clients that have timers; there is no state to wake"
            raise ValueError(message)
        return _ticked(state, event, Turn(state, policy, scorer))
    known = state or ClientState(event.client_id, now_ms=event.received_ms)
    if (against := refusal(known, event)) is not None:
        return Transition(known, (), _next_due(known), Disposition.REFUSED, against)
    memory, came = known.memory, event.passed_on
    # What was passed on is known by its number: it may come to one who remembers that it passed through, and is no repetition.
    news = known.identity if came is None else heard(known.identity, came)
    if news is None or (came is None and remembers(memory.ring, event.event_id)):
        return Transition(known, (), _next_due(known), Disposition.DUPLICATE)
    known = known if came is None else replace(known, identity=news)
    now = max(known.now_ms, event.received_ms)
    if came is None and undecidable(received_ms=event.received_ms, now_ms=now, evicted_ms=memory.evicted_ms):
        return Transition(known, (), _next_due(known), Disposition.LATE)
    turn = Turn(known, policy, scorer)
    _move_on(turn, now)
    _fire_due(turn, now, plans_later=not known.erased_ms and not isinstance(event, ClientErased))
    turn.state = _remembered(turn.state, event, now)
    if known.erased_ms:
        if isinstance(event, ClientAbsorbed):
            absorb_after_erasure(turn, event)
        else:
            pass_by(turn, event)
    elif not passes_on(turn, event) and not entrusts(turn, event):
        _apply(turn, event)
        _ask_the_gate(turn, known)
    return _result(turn, Disposition.APPLIED)


def _ticked(state: ClientState, tick: ClockTicked, turn: Turn) -> Transition:
    until_ms = max(state.now_ms, tick.occurred_ms)
    _move_on(turn, until_ms)
    _wake(turn, until_ms)
    _ask_the_gate(turn, state)
    return _result(turn, Disposition.APPLIED)


def _move_on(turn: Turn, until_ms: int) -> None:
    """Let runs go on by another policy from the moment on at which people said so; what was due before is decided as it was."""
    for since_ms in migrations_due(turn.state, turn.policy, until_ms=until_ms):
        at_ms = max(turn.state.now_ms, since_ms)
        _fire_due(turn, at_ms)
        if any(not row.waits for row in moves(turn.state, turn.policy)):
            _plan(turn)


def _wake(turn: Turn, until_ms: int) -> None:
    """Fire what is due; a client that is woken although nothing is due is planned anew: another policy is in force."""
    state = turn.state
    timers = state.care.timers
    if not state.erased_ms and not state.identity.into and (not timers or timers[0].due_ms > until_ms):
        turn.state = replace(state, now_ms=until_ms)
        if state.care.pending:
            retract_what_no_longer_holds(turn, known_ms=until_ms)
        _plan(turn)
    _fire_due(turn, until_ms)


def _ask_the_gate(turn: Turn, before: ClientState) -> None:
    """Let the gate see what was decided in this turn; what it takes back is planned anew."""
    if turn.state.care.pending is before.care.pending:
        return
    seen = len(turn.outputs)
    refuse_what_was_decided(turn, before)
    if len(turn.outputs) > seen:
        _plan(turn)


def _apply(turn: Turn, event: AnyClientEvent) -> None:
    note_answer(turn, event)
    before = turn.state
    if _leaves(turn, event):
        return
    _fold(turn, event)
    ask_people(turn, before, event)
    if isinstance(event, PaymentReceived) and event.source not in turn.state.feeds:
        turn.state = replace(turn.state, feeds=(*turn.state.feeds, event.source)[-FEEDS_KEPT:])
    turn.state = tidy(turn.state)
    tidied = turn.state.memory is not before.memory and turn.state.memory.tidied_ms != before.memory.tidied_ms
    if turn.state.care.pending:
        retract_what_no_longer_holds(turn, known_ms=event.received_ms)
        if isinstance(event, ClientProfiled):
            reroute(turn, event)
    forget_answered(turn)
    if turn.state.care.tasks:
        overtake_tasks(turn)
    # A new invoice says nothing about how the client pays; time passing does, but not from one hour to the next.
    changed = turn.state.ledger is not before.ledger and not isinstance(event, InvoiceIssued)
    (judge if tidied or changed else judge_audiences)(turn)
    if tidied:
        prune_runs(turn)
    if isinstance(event, PaymentReceived):
        _paid(turn, event, first=not before.care.onboarded)
    enter_playbooks(turn, event)
    if turn.policy.journeys.own:
        enter_own(turn, event)
    _plan(turn)
    _fire_due(turn, turn.state.now_ms)


def _paid(turn: Turn, event: PaymentReceived, *, first: bool) -> None:
    paid(turn, event)
    if first:
        enter_onboarding(turn, event)


def _leaves(turn: Turn, event: AnyClientEvent) -> bool:
    """Carry out an event after which the client is no client of its own any more; False for any other one."""
    match event:
        case ClientErased():
            let_go(turn)
            erased(turn, event)
            return True
        case ClientMerged():
            return merge(turn, event)
        case _:
            return False


def _fold(turn: Turn, event: AnyClientEvent) -> None:
    before = turn.state
    match event:
        case ClientAbsorbed():
            absorb(turn, event)
        case ClientSplit():
            split(turn, event)
        case ClientParted():
            part(turn, event)
        case ClientDelegated():
            delegate(turn, event)
        case ClientEntrusted():
            take_over(turn, event)
        case DeliveryReported() | AddressRefused():
            _delivered(turn, event)
        case ClientAsked():
            turn.state = heard_at(turn.state, event.occurred_ms, turn.policy)
            ask_a_person(turn, event)
            wrote_back(turn, at_ms=event.occurred_ms, invoice_id=asked_about(turn.state, event))
        case ApprovalAnswered():
            answered(turn, event)
        case _:
            turn.state, known = notice(before, notice_contracts(before, evolve(before, event)), turn.scorer)
            turn.outputs += known
            if event.received_ms < turn.state.now_ms and turn.state.ledger is not before.ledger:
                judge_late_news(turn, before, event.received_ms)


def _delivered(turn: Turn, event: DeliveryReported | AddressRefused) -> None:
    if isinstance(event, AddressRefused):
        address_refused(turn, event)
    else:
        (replied if event.outcome is DeliveryOutcome.REPLIED else reported)(turn, event)


def _remembered(state: ClientState, event: AnyClientEvent, now: int) -> ClientState:
    memory = state.memory
    ring, evicted, surplus = remember(
        memory.ring, event.event_id, received_ms=event.received_ms, now_ms=now, evicted_ms=memory.evicted_ms
    )
    forgotten = replace(memory.forgotten, ids=memory.forgotten.ids + surplus) if surplus else memory.forgotten
    memory = replace(memory, ring=ring, evicted_ms=evicted, forgotten=forgotten)
    return replace(state, now_ms=now, events=state.events + 1, memory=memory)


def _fire_due(turn: Turn, until_ms: int, *, plans_later: bool = False) -> None:
    """Fire what is due up to `until_ms`, each at its own time, then set the client's clock to it."""
    for _ in range(FIRED_AT_ONCE):
        timers = turn.state.care.timers
        if not timers or timers[0].due_ms > until_ms:
            if plans_later or not turn.unplanned:
                break
            _plan(turn)  # an answer may have brought a message that waited to this very moment: look again
            continue
        timer = timers[0]
        # An answer about a renewal may bring its care nearer, where the policy says so.
        hastens = turn.policy.renewal_early_below and turn.state.renewals.periods
        if timer.kind == TimerKind.QUESTION and not hastens and not any(run.told for run in turn.state.care.runs):
            # What is due at the same moment comes after the questions of that moment, never instead of them.
            _ask(turn, min(until_ms, max(timer.due_ms, timers[1].due_ms - 1)) if len(timers) > 1 else until_ms)
            continue
        if timer.due_ms > turn.state.now_ms:
            turn.state = replace(turn.state, now_ms=timer.due_ms)
        _fire(turn, timer, until_ms)
        _plan(turn)
    if turn.unplanned and not plans_later:
        _plan(turn)
    if turn.state.now_ms < until_ms:
        turn.state = replace(turn.state, now_ms=until_ms)


def _ask(turn: Turn, until_ms: int) -> None:
    """Carry out all question steps up to `until_ms`, before which nothing else is due, and plan nothing but the next of them.

    Questions change only the habits, of which no other timer knows but one: a message that waits for a foreseen payment may be
    due at the moment of an answer (models.policy.foresight). Time alone brings nothing nearer than planned, unless a silence was
    told: that one may give way to another. So what the other timers are is asked once, by `_fire_due` when nothing more is due.
    """
    _put_questions(turn, until_ms)
    state = turn.state
    question = _next_question_ms(state)
    rest = state.care.timers[1:]
    timers = rest if question is None else _in_order((*rest, Timer(question, TimerKind.QUESTION)))
    turn.state = replace(state, care=replace(state.care, timers=timers))
    turn.unplanned = True


def _put_questions(turn: Turn, until_ms: int) -> None:
    """Put and answer what is due about invoices and renewals, in order of time: what one answer tells, the next question sees."""
    while (renewal := next_renewal_ms(turn.state.renewals)) is not None and renewal <= until_ms:
        turn.state, known = due_questions(turn.state, until_ms=renewal, scorer=turn.scorer)
        turn.state, ended = due_renewals(turn.state, until_ms=renewal, scorer=turn.scorer.renewals)
        turn.outputs += [*known, *ended]
    turn.state, known = due_questions(turn.state, until_ms=until_ms, scorer=turn.scorer)
    turn.outputs += known


def _next_question_ms(state: ClientState) -> int | None:
    question, renewal = next_question_ms(state.habits), next_renewal_ms(state.renewals)
    return renewal if question is None else question if renewal is None else min(question, renewal)


def _fire(turn: Turn, timer: Timer, woken_ms: int) -> None:
    match timer.kind:
        case TimerKind.PROMISE:
            fire_promise(turn, timer)
        case TimerKind.PLAN:
            fire_plan(turn, timer)
        case TimerKind.SEGMENT:
            judge(turn)
        case TimerKind.QUESTION:
            _put_questions(turn, timer.due_ms)
        case TimerKind.DELAY:
            judge(turn)
            fire_delay(turn, timer, woken_ms=woken_ms)
        case TimerKind.STATEMENT:
            fire_statement(turn, timer, woken_ms=woken_ms)
        case TimerKind.TASK:
            fire_task(turn, timer)
        case TimerKind.UNANSWERED:
            fire_unanswered(turn, timer, woken_ms=woken_ms)
        case TimerKind.PLAYBOOK if enter_by_time(turn, timer):
            pass  # its first step is planned next
        case _:
            fire_relationship(turn, timer, woken_ms=woken_ms)


def _plan(turn: Turn) -> None:
    """Recompute the timers from the rest of the state, once every run follows the policy that it has to."""
    if turn.policy.migrations:
        migrate(turn)
    state, policy = turn.state, turn.policy
    timers = judge_timers(state, policy)
    if state.ledger.invoices or state.ledger.promises:
        timers += delay_timers(state, policy)
        timers += statement_timers(state, policy)
    if state.care.unanswered:
        timers += unanswered_timers(state, policy)
    if state.care.tasks:
        timers += task_timers(state)
    if has_openings(state, policy):
        timers += relationship_timers(state, policy)
    timers += playbook_entry_timers(state, policy)
    question = _next_question_ms(state)
    if question is not None:
        timers.append(Timer(question, TimerKind.QUESTION))
    wanted = _in_order(timers)
    turn.unplanned = False
    if wanted != state.care.timers:
        turn.state = replace(state, care=replace(state.care, timers=wanted))


def _in_order(timers: Iterable[Timer]) -> tuple[Timer, ...]:
    return tuple(sorted(timers, key=_BY_DUE))


def _next_due(state: ClientState) -> int | None:
    return state.care.timers[0].due_ms if state.care.timers else None


def _result(turn: Turn, disposition: Disposition) -> Transition:
    return Transition(turn.state, tuple(turn.outputs), _next_due(turn.state), disposition)

"""Delayed-payment support: one ladder per client, carried by the invoice that is furthest on it; others ride along.

The stage of an invoice is the place behind the furthest step that named it. A message speaks with the step after the highest
stage among the invoices it names, so many open invoices still make one message; whoever rode along goes on behind what was said,
so no step is said twice of an invoice, whatever becomes of the one that carried it. A younger invoice waits for the next message
of an older one. A broken promise takes an invoice one step back. An invoice stays on the ladder it was begun on, whatever becomes
of the client's segment meanwhile. The last message of a ladder says that nothing more is written by itself: that holds for all
invoices it names.
"""

from typing import Final

from msgspec.structs import replace

from models.policy.approval import Draft, Ruling, approval_silence, ask_first
from models.policy.arrears import (
    Arrear,
    arrears,
    earliest,
    facts_of,
    ladder_of,
    promise_ends,
    small_or_retried,
    why_late,
)
from models.policy.colleagues import talk_silence
from models.policy.gate import is_about_instalment
from models.policy.instalments import plan_timers
from models.policy.journeys import Ladder, MissedRun, Step
from models.policy.ladder_end import end_timers, fire_end
from models.policy.next_message import carrying_of, riders_of, step_of, way_of_message
from models.policy.policy import Policy
from models.policy.replies import reply_silence
from models.policy.segments import effective_segment
from models.policy.silence import Silence, client_silence
from models.policy.statement import asked_for, statement_of, totals_of, words_about
from models.policy.tones import has_tried
from models.policy.turn import Turn, find_run
from models.state.client import ClientState, Pending, Run, Timer, TimerKind
from models.state.plans import instalment_anchor
from models.state.promises import unkept, words_after
from models.state.runs import is_begun, said_at, softer, unsaid_at
from models.triggers import DecisionOutcome, Journey
from models.workdays import DAY_MS

_UNHEEDED: Final = "nobody has said that they tried to speak with the client first: it is said more gently"
HUMAN_DAYS: Final = 5  # a person gets five days before the sequence goes on, unless its first step names its own wait


def delay_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when support becomes due: at most one message, one silence to explain per invoice, and the ends of promises."""
    timers = [
        Timer(max(state.now_ms, promise_ends(row, state, policy)), TimerKind.PROMISE, row.promise_id)
        for row in state.ledger.promises
        if row.made_at > row.withdrawn_at and not row.judged
    ]
    now = state.now_ms
    if state.ledger.plans:
        timers += plan_timers(state, policy)
    first = earliest(state, policy)
    if first is None:
        return timers
    if first[0] > now:
        # Nothing can be due before that; what is to be done then is decided then.
        return [*timers, _timer(state, policy, *first)]
    found = arrears(state, policy)
    timers += end_timers(found, state, policy)
    for row in found:
        silence = row.silence
        if silence is None:
            continue
        if row.run.told != silence.code:
            timers.append(_timer(state, policy, max(row.core_ms, now), row.invoice.invoice_id))
        elif silence.until_ms:
            timers.append(_timer(state, policy, max(row.core_ms, silence.until_ms, now), row.invoice.invoice_id))
    carrying = carrying_of(found)
    if carrying is not None:
        timers += _carried(carrying, state, policy, found)
    return timers


def fire_delay(turn: Turn, timer: Timer, *, woken_ms: int) -> None:
    """Take the step that is due: explain a silence, ask a person, or send."""
    state, policy = turn.state, turn.policy
    now = state.now_ms
    found = arrears(state, policy)
    for row in found:
        if row.silence is not None and row.core_ms <= now and row.run.told != row.silence.code:
            _tell(turn, row.run, row.silence, row.ladder)
    fire_end(turn, found)
    carrying = carrying_of(found)
    if carrying is None or carrying.ready_ms > now:
        return
    riders = riders_of(carrying, found, state, policy)
    step = step_of(carrying, riders, state, policy)
    silence = _message_silence(step, carrying, riders, state, policy)
    if silence is not None:
        if carrying.run.told != silence.code:
            _tell(turn, carrying.run, silence, carrying.ladder)
        return
    if woken_ms - timer.due_ms > step.valid_days * DAY_MS:
        words = f"found {(woken_ms - timer.due_ms) // DAY_MS} days after it was due"
        if step.if_missed is not MissedRun.REVIEW or carrying.run.human:
            # The next step is counted from the last that left, so taking it late neither skips one nor goes further.
            missed = Silence("missed", (f"{words}: decided anew",))
            _tell(turn, replace(carrying.run, ready_ms=woken_ms + policy.settle_days * DAY_MS), missed, carrying.ladder)
            return
        turn.state = replace(turn.state, now_ms=max(now, woken_ms))
        _send(turn, carrying.ladder.human, carrying, riders, found=(f"{step.id} was {words}: a person looks first",))
        return
    trial = turn.waits(step, carrying.run)
    if trial is not None:
        turn.wait(trial, carrying.run, [row.run for row in riders if not trial.has_waited(row.run)])
        return
    _send(turn, step, carrying, riders)


def _lapse(turn: Turn, step: Step, carrying: Arrear, reasons: tuple[str, ...]) -> None:
    """Take the softer path: nothing is sent; it comes again after its window, and after too many times a person is needed."""
    run, policy = carrying.run, turn.policy
    attempts = run.attempts + 1
    turn.put_run(
        replace(
            run,
            attempts=attempts,
            closed=attempts >= policy.attempts,
            epoch=run.epoch + 1,
            ready_ms=turn.state.now_ms + step.valid_days * DAY_MS,
            told="",
        )
    )
    turn.decide(DecisionOutcome.SUPPRESSED, reasons, run=run, step=step.id)


def fire_promise(turn: Turn, timer: Timer) -> None:
    """Judge a promise whose day has passed: kept when nothing of it is missing, else support resumes one step softer.

    Whether its money came is remembered of the client.
    """
    state = turn.state
    row = next(known for known in state.ledger.promises if known.promise_id == timer.anchor)
    judged = tuple(replace(known, judged=True) if known is row else known for known in state.ledger.promises)
    habits = replace(state.habits, words=words_after(row, state.habits.words, state.ledger, state.now_ms))
    turn.state = replace(state, ledger=replace(state.ledger, promises=judged), habits=habits)
    for item in unkept(row, state.ledger, state.now_ms):
        invoice = item.invoice
        run = turn.run(Journey.DELAY_SUPPORT, invoice.invoice_id)
        if run.stage:
            turn.put_run(softer(run))
        turn.decide(
            DecisionOutcome.HELD,
            (f"the promise for invoice {invoice.invoice_id} was not kept: support goes on, one step softer",),
            run=run,
            step="promise",
        )


def undo(turn: Turn, row: Pending, *, ready_ms: int, tries: int) -> None:
    """Make the step of an undelivered message due anew for all it named, from `ready_ms` on."""
    place = _place(turn, row)
    for anchor in _anchors(turn.state, row):
        run = turn.run(Journey.DELAY_SUPPORT, anchor)
        human = row.step == ladder_about(run, row, turn).human.id
        turn.put_run(
            replace(
                run if human else unsaid_at(run, max(0, run.stage - 1) if place is None else place),
                human=run.human and not human,
                tried_ms=0 if human else run.tried_ms,
                last=False,
                epoch=run.epoch + 1,
                ready_ms=max(ready_ms, run.started_ms),
                attempts=run.attempts + tries,
                closed=run.attempts + tries >= turn.policy.attempts,
                told="",
            )
        )


def is_talk(turn: Turn, row: Pending) -> bool:
    """Say whether a task is a person's own step of a ladder: to speak with the client before anything is sent."""
    run = find_run(turn.state, Journey.DELAY_SUPPORT, row.anchor)
    return run is not None and row.advances and row.step == ladder_about(run, row, turn).human.id


def redo(turn: Turn, row: Pending, *, at_ms: int) -> None:
    """Count the step of a message that left although it was retracted, so that it is not sent again."""
    place = _place(turn, row)
    for anchor in _anchors(turn.state, row):
        before = turn.run(Journey.DELAY_SUPPORT, anchor)
        ladder = ladder_about(before, row, turn)
        human = row.step == ladder.human.id
        run = before if human else said_at(before, before.stage if place is None else place)
        ready = at_ms + wait_days(before, ladder, turn.policy, run.stage, human=human) * DAY_MS
        last = run.last or row.step == ladder.steps[-1].id
        turn.put_run(replace(run, human=run.human or human, ready_ms=max(run.ready_ms, ready), last=last))


def _place(turn: Turn, row: Pending) -> int | None:
    """Return the place of a message's step on the ladder of the run that carried it, None where it has no such step any more."""
    carrying = _anchors(turn.state, row)[:1] if is_about_instalment(row) else [row.anchor]
    steps = ladder_about(turn.run(Journey.DELAY_SUPPORT, carrying[0]), row, turn).steps if carrying else ()
    return next((place for place, step in enumerate(steps) if step.id == row.step), None)


def ladder_about(run: Run, row: Pending, turn: Turn) -> Ladder:
    """Return the ladder that a message was a step of."""
    if is_about_instalment(row):
        return turn.policy.of_run(run).journeys.instalment
    return ladder_of(run, turn.state, turn.policy)


def _anchors(state: ClientState, row: Pending) -> list[str]:
    """Return the runs that a message moved on: of the invoices it names, or of their instalments, each the one begun last."""
    if not is_about_instalment(row):
        return list(row.invoice_ids)
    found = []
    for invoice_id in row.invoice_ids:
        plans = [plan for plan in state.ledger.plans if plan.invoice_id == invoice_id]
        known = {instalment_anchor(plan, number) for plan in plans for number in range(1, len(plan.parts) + 1)}
        runs = [run for run in state.care.runs if run.anchor in known and (run.stage or run.human)]
        found += [max(runs, key=lambda run: (run.started_ms, run.anchor)).anchor] if runs else []
    return found


def _timer(state: ClientState, policy: Policy, at_ms: int, anchor: str) -> Timer:
    return Timer(policy.open_hour(state, at_ms), TimerKind.DELAY, anchor)


def _carried(carrying: Arrear, state: ClientState, policy: Policy, found: list[Arrear]) -> list[Timer]:
    """Return the timer of the next message, which is also the one that explains why it is not sent."""
    now = state.now_ms
    at = max(carrying.ready_ms, now)
    if carrying.run.told:
        # Told about a silence of the whole message: wait for its end, or for the event that ends it.
        riders = riders_of(carrying, found, state, policy)
        silence = _message_silence(step_of(carrying, riders, state, policy), carrying, riders, state, policy)
        if silence is not None and silence.code == carrying.run.told:
            # Without an end of its own it may still end with the next invoice that becomes overdue (too little becomes enough).
            later = [row.ready_ms for row in found if row.silence is None and row.ready_ms > now]
            if not silence.until_ms and not later:
                return []
            at = max(at, silence.until_ms or min(later))
    return [_timer(state, policy, at, carrying.invoice.invoice_id)]


def _message_silence(step: Step, carrying: Arrear, riders: list[Arrear], state: ClientState, policy: Policy) -> Silence | None:
    """Return why the next step is not taken now: the client's wishes and hours first, then what people have to say about it."""
    little = small_or_retried(riders, state, policy, by=way_of_message(step, carrying, riders, state, policy))
    if little is not None and little.code == carrying.run.told and not little.until_ms:
        return little  # said already: what else stands in its way meanwhile needs no word
    silence = client_silence(state, policy, Journey.DELAY_SUPPORT, step)
    silence = silence or little
    if silence is None and step.channel not in policy.internal_channels:
        silence = talk_silence(state, carrying.run, carrying.ladder.human) or reply_silence(state, policy)
    return silence or approval_silence(state, carrying.run)


def _tell(turn: Turn, run: Run, silence: Silence, ladder: Ladder) -> None:
    """Explain a silence, once per step and reason."""
    turn.put_run(replace(run, told=silence.code))
    outcome = DecisionOutcome.HELD if silence.until_ms else DecisionOutcome.SUPPRESSED
    step = ladder.steps[min(run.stage, len(ladder.steps) - 1)].id
    turn.decide(outcome, silence.reasons, run=run, step=step, learnt=silence.learnt)


def _send(turn: Turn, step: Step, carrying: Arrear, riders: list[Arrear], *, found: tuple[str, ...] = ()) -> None:
    state, policy = turn.state, turn.policy
    why = why_late(riders, carrying, state, policy)
    facts = facts_of(riders, carrying, state, policy, why)
    asked = asked_for(riders, carrying)
    segment = effective_segment(state, state.now_ms).value
    unheeded = (_UNHEEDED,) if carrying.run.human and not has_tried(state, carrying.run) else ()
    reasons = (*found, words_about(riders, carrying, facts), step.why, *why.words, *unheeded, f"segment {segment}")
    names = tuple(row.invoice.invoice_id for row in riders)
    said = ask_first(turn, Draft(step, carrying.run, reasons, asked, invoice_ids=names))
    if said.ruling is Ruling.LAPSED:
        _lapse(turn, step, carrying, said.reasons)
    if said.ruling is not Ruling.MAY_LEAVE:
        return
    not_before = turn.send(
        said.step,
        carrying.run,
        facts=facts,
        reasons=(*reasons, *said.reasons),
        approved=said.by_person,
        invoice_ids=names,
        asked=asked,
        statement=statement_of(riders, state, policy),
        totals=totals_of(riders, carrying),
    )
    human = step.id == carrying.ladder.human.id
    last = not human and carrying.run.stage + 1 >= len(carrying.ladder.steps)
    for row in riders:
        run = row.run if human else said_at(row.run, carrying.run.stage)
        wait = _rest_days(row.run, policy) if last else wait_days(row.run, row.ladder, policy, run.stage, human=human)
        if human and state.care.alarm_ms:
            wait = max(wait, policy.segments.alarm_hold_days)
        begun = row.run.subject if is_begun(row.run) else ""
        turn.put_run(
            replace(
                run,
                human=row.run.human or human,
                told="",
                ready_ms=not_before + wait * DAY_MS,
                started_ms=row.run.started_ms or state.now_ms,
                subject=begun or segment,
                decide_ms=0,
                last=last,
            )
        )


def wait_days(run: Run, ladder: Ladder, policy: Policy, stage: int, *, human: bool) -> int:
    """Return how many days the step at `stage` waits after the one before it; `human`: that one was a person's."""
    if human:
        return ladder.steps[0].after_days if ladder.human_first and not stage else HUMAN_DAYS
    return ladder.steps[stage].after_days if stage < len(ladder.steps) else _rest_days(run, policy)


def _rest_days(run: Run, policy: Policy) -> int:
    return policy.of_run(run).journeys.ladder_end.after_days

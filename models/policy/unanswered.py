"""A step of support that is said once more, by another channel, because the client stayed silent: no answer, no money.

The second message is the same step: one lineage, the same words, no stage of its own. It takes a place in the contact budget and
keeps the gap like any other, leaves before the first would have expired or not at all, and the gate is asked anew. Whatever the
client says or pays, and whatever a colleague does, is an answer.
"""

from dataclasses import dataclass
from dataclasses import replace as with_step
from typing import Final

from msgspec.structs import replace

from models.events.delays import DelayReported, DisputeOpened, PlanAgreed, PromiseMade
from models.events.payments import PaymentPending, PaymentReceived
from models.events.signals import ClientAsked, ConsentChanged, ContactLogged, DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.money import Money
from models.policy.approval import Draft, approval_reason
from models.policy.arrears import Arrear, arrears, due_since, facts_of, small_or_retried, why_late
from models.policy.audience import roles_for
from models.policy.delay_support import ladder_about
from models.policy.gate import check, is_answered
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.precedence import Level, channel_of
from models.policy.reach import is_reaction, way_after_silence
from models.policy.segments import effective_segment
from models.policy.silence import Silence, client_silence
from models.policy.statement import asked_for, statement_of, totals_of, words_about
from models.policy.turn import Turn, find_run
from models.state.client import ClientState, Pending, Run, Timer, TimerKind, Unanswered, journey_of
from models.triggers import DecisionOutcome, Journey
from models.workdays import HOUR_MS

KEPT: Final = 4
"""Messages that may be said once more at a time; of more, the oldest are not."""

_LEFT: Final = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.DELIVERED, DeliveryOutcome.AMBIGUOUS})
_ANSWERS: Final = (
    ClientAsked,
    ConsentChanged,
    ContactLogged,
    DelayReported,
    DisputeOpened,
    PaymentPending,
    PaymentReceived,
    PlanAgreed,
    PromiseMade,
)


def note_answer(turn: Turn, event: AnyClientEvent) -> None:
    """Remember when the client last answered, where a message waits for that. It counts from when it reached us."""
    care = turn.state.care
    if not care.pending and not care.unanswered:
        return
    reacted = isinstance(event, DeliveryReported) and (is_reaction(event) or event.outcome is DeliveryOutcome.COMPLAINED)
    if reacted or isinstance(event, _ANSWERS):
        turn.state = replace(turn.state, care=replace(care, heard_ms=max(care.heard_ms, event.received_ms)))


def wait_for_answer(turn: Turn, row: Pending, event: DeliveryReported) -> None:
    """Remember a message that has just left, where its step is said once more when nobody answers."""
    if row.retracted or not row.advances or event.outcome not in _LEFT or is_reaction(event):
        return
    run = find_run(turn.state, journey_of(row), row.anchor)
    if run is None or journey_of(row) is not Journey.DELAY_SUPPORT or row.channel in turn.policy.internal_channels:
        return
    step = _step(turn, run, row)
    if step is None or not step.unanswered_hours:
        return
    left = event.occurred_ms
    fresh = Unanswered(row, run.stage, run.epoch, left, left + step.unanswered_hours * HOUR_MS)
    care = turn.state.care
    turn.state = replace(turn.state, care=replace(care, unanswered=(*care.unanswered, fresh)[-KEPT:]))


def forget_answered(turn: Turn) -> None:
    """Forget what needs no second message any more: answered, overtaken by facts or by its own run, or said again and settled."""
    state = turn.state
    kept = tuple(row for row in state.care.unanswered if _still_waits(state, row))
    if len(kept) != len(state.care.unanswered):
        turn.state = replace(state, care=replace(state.care, unanswered=kept))


def unanswered_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when messages without an answer are said once more, at the latest when it is too late for that."""
    timers = []
    for row in state.care.unanswered:
        if not row.again and _still_waits(state, row):
            at = policy.open_hour(state, max(row.ready_ms, state.now_ms))
            timers.append(Timer(min(at, row.message.expires_ms), TimerKind.UNANSWERED, row.message.trigger_id))
    return timers


def fire_unanswered(turn: Turn, timer: Timer, *, woken_ms: int) -> None:
    """Say a message once more by another channel, or explain why not."""
    state = turn.state
    row = next((known for known in state.care.unanswered if known.message.trigger_id == timer.anchor), None)
    run = None if row is None else find_run(state, Journey.DELAY_SUPPORT, row.message.anchor)
    if row is None or run is None:
        return
    step = _step(turn, run, row.message)
    if step is None:
        _give_up(turn, row, run, None)
    elif max(state.now_ms, woken_ms) >= row.message.expires_ms:
        late = Silence("expired", ("nobody has answered, and it is too late to say it once more by another channel",))
        _give_up(turn, row, run, None if row.told else late)
    else:
        _decide(turn, row, run, step)


@dataclass(frozen=True, slots=True)
class _Second:
    """A message as it would leave the second time: the step by its other channel, and the invoices it still concerns."""

    step: Step
    run: Run
    found: list[Arrear]
    carrying: Arrear

    @property
    def invoice_ids(self) -> tuple[str, ...]:
        return tuple(row.invoice.invoice_id for row in self.found)

    @property
    def asked(self) -> tuple[Money, ...]:
        return asked_for(self.found, self.carrying)


def _decide(turn: Turn, row: Unanswered, run: Run, step: Step) -> None:
    state, policy, message = turn.state, turn.policy, row.message
    found = [
        each
        for each in arrears(state, policy)
        if each.invoice.invoice_id in message.invoice_ids and each.silence is None and _is_late(each, state, policy)
    ]
    carrying = next((each for each in found if each.run.anchor == run.anchor), None)
    if carrying is None:
        _give_up(turn, row, run, Silence("over", ("nobody has answered, but what it was about is no longer to be asked for",)))
        return
    roles = roles_for(Journey.DELAY_SUPPORT, step.purpose, turn.tone(step, run))
    channel = way_after_silence(state, policy, channel=message.channel, purpose=step.purpose, at_ms=state.now_ms, roles=roles)
    if channel is None:
        _give_up(
            turn, row, run, Silence("way", (f"nobody has answered, and nothing but {message.channel} is open to the client",))
        )
        return
    second = _Second(with_step(step, channel=channel), run, found, carrying)
    silence = _silence(turn, second)
    if silence is None:
        _send(turn, row, second)
    elif silence.until_ms:
        _wait(turn, row, run, silence)
    else:
        _give_up(turn, row, run, silence)


def _is_late(row: Arrear, state: ClientState, policy: Policy) -> bool:
    return max(row.rest_ms, due_since(row.due_ms, state, policy)) <= state.now_ms


def _silence(turn: Turn, second: _Second) -> Silence | None:
    """Return what stands against a second message, whatever stood for the first."""
    state, policy, step = turn.state, turn.policy, second.step
    chosen = channel_of(state, step, second.invoice_ids)
    if chosen.level < Level.DEFAULT:
        return Silence("chosen", (f"nobody has answered, and {chosen.value} was chosen by {chosen.who}",))
    if state.care.alarm_ms:
        return Silence("alarm", ("nobody has answered, and a person is asked about this client already",))
    why = approval_reason(turn, Draft(step, second.run, (), second.asked, invoice_ids=second.invoice_ids))
    if why is not None:
        return Silence("approval", (f"nobody has answered; it is not said again by itself: {why}",))
    silence = client_silence(state, policy, Journey.DELAY_SUPPORT, step, tone=turn.tone(step, second.run))
    return silence or small_or_retried(second.found, state, policy, by=step.channel)


def _send(turn: Turn, row: Unanswered, second: _Second) -> None:
    state, policy, message, step = turn.state, turn.policy, row.message, second.step
    why = why_late(second.found, second.carrying, state, policy)
    facts = facts_of(second.found, second.carrying, state, policy, why)
    reasons = (
        words_about(second.found, second.carrying, facts),
        f"no answer to {step.id} by {message.channel} for {_words(state.now_ms - row.left_ms)}: once more, by {step.channel}",
        *why.words,
        f"segment {effective_segment(state, state.now_ms).value}",
    )
    turn.send(
        step,
        second.run,
        facts=facts,
        reasons=reasons,
        until_ms=message.expires_ms,
        invoice_ids=second.invoice_ids,
        asked=second.asked,
        advances=False,
        statement=statement_of(second.found, state, policy),
        totals=totals_of(second.found, second.carrying),
        again_by=step.channel,
    )
    _put(turn, row, replace(row, again=turn.state.care.pending[-1].trigger_id))
    turn.put_run(replace(second.run, epoch=second.run.epoch + 1))  # should the first bounce late, the step is not due anew


def _wait(turn: Turn, row: Unanswered, run: Run, silence: Silence) -> None:
    _put(turn, row, replace(row, ready_ms=max(silence.until_ms, turn.state.now_ms + 1), told=silence.code))
    if row.told != silence.code:
        turn.decide(DecisionOutcome.HELD, silence.reasons, run=run, step=row.message.step)


def _give_up(turn: Turn, row: Unanswered, run: Run, silence: Silence | None) -> None:
    _put(turn, row, None)
    if silence is not None:
        turn.decide(DecisionOutcome.SUPPRESSED, silence.reasons, run=run, step=row.message.step)


def _put(turn: Turn, before: Unanswered, after: Unanswered | None) -> None:
    care = turn.state.care
    rows = (after if known is before else known for known in care.unanswered)
    turn.state = replace(turn.state, care=replace(care, unanswered=tuple(row for row in rows if row is not None)))


def _still_waits(state: ClientState, row: Unanswered) -> bool:
    """Say whether a message may still be said once more, or has been and may still be taken back."""
    if row.again:
        return any(known.trigger_id == row.again for known in state.care.pending)
    run = find_run(state, Journey.DELAY_SUPPORT, row.message.anchor)
    if run is None or run.closed or (run.stage, run.epoch) != (row.stage, row.epoch) or is_answered(state, row):
        return False
    result = check(state, row.message, now_ms=state.now_ms)
    return result.allowed or result.because is None  # what has expired is explained first


def _step(turn: Turn, run: Run, row: Pending) -> Step | None:
    """Return the step that a run has taken last, where it is that of the message."""
    steps = ladder_about(run, row, turn).steps
    taken = steps[run.stage - 1] if 0 < run.stage <= len(steps) else None
    return taken if taken is not None and taken.id == row.step else None


def _words(passed_ms: int) -> str:
    hours = passed_ms // HOUR_MS
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"  # noqa: PLR2004 - two days

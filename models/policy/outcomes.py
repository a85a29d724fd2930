"""What becomes of triggers: retraction when facts overtake them, outcomes that channel workers report, erasure."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from models.events.payments import PaymentMethod, PaymentReceived
from models.events.signals import ClientErased, DeliveryOutcome, DeliveryReported, Purpose, Role
from models.policy.aftermath import judge_arrival, unacknowledged, withdraw
from models.policy.audience import own_address, reader_among, roles_for
from models.policy.budget import commit, costs, refund, unspend
from models.policy.colleagues import drop, overtaken, put_on_board, task_ended
from models.policy.delay_support import is_talk, undo
from models.policy.gate import comes_after
from models.policy.hours import heard_at
from models.policy.ladder_end import ask_again, is_decision
from models.policy.leave import Answer, Verdict, may_leave
from models.policy.left_anyway import FOR_GOOD, count_as_said, due_anew
from models.policy.named import Named, message_named, step_called, with_purpose
from models.policy.reach import has_other_way, heard, is_reaction, paid_upon
from models.policy.replies import note_reply, reply_about, reply_silence, written_about
from models.policy.turn import Turn, find_run
from models.policy.unanswered import wait_for_answer
from models.state.client import PURPOSES, ClientState, Memory, Pending, Run, journey_of
from models.state.identity import Identity, parts
from models.state.plans import instalment_anchor
from models.triggers import AnyJourney, CancelWhen, DecisionOutcome, ExamplesWithdrawn, Journey
from models.workdays import DAY_MS, moment

_ASKING: Final = (Journey.DELAY_SUPPORT, Journey.STATEMENT)
_NO_ADDRESS: Final = frozenset({DeliveryOutcome.BOUNCED_HARD, DeliveryOutcome.WRONG_CONTACT})
_BOUNCED: Final = _NO_ADDRESS | {DeliveryOutcome.BOUNCED_SOFT}
_NOT_REACHED: Final = _BOUNCED | {DeliveryOutcome.EXPIRED}
KEPT_AFTER_RETRACTION_MS: Final = 10 * DAY_MS  # a worker's "too late" is expected well within
RETRACTED_KEPT: Final = 400
"""Messages taken back, and invoices that they name, of which word is waited for: the latest, where channels are long away."""

WORD_EXPECTED_MS: Final = 30 * DAY_MS
"""How long after its expiry the word about a message is waited for: longer than a channel's worker is ever down."""


def retract_what_no_longer_holds(turn: Turn, *, known_ms: int) -> None:
    """Ask the gate about everything pending; take back what a predicate forbids, forget what has expired.

    `known_ms` is when the event that speaks now had reached us: from then on a message that leaves all the same is late.
    """
    beyond = _beyond_memory(turn.state.care.pending)
    for row in turn.state.care.pending:
        now = turn.state.now_ms
        if row.retracted:
            if now > row.expires_ms + KEPT_AFTER_RETRACTION_MS or row.trigger_id in beyond:
                turn.state = refund(turn.state, row.trigger_id)
                unacknowledged(turn, row)
            continue
        if now >= row.expires_ms:
            waits = row.advances or costs(row, turn.policy)
            if waits and now < row.expires_ms + WORD_EXPECTED_MS:
                continue  # its place stays reserved, and a later step waits (see models.policy.gate.earlier_unheard)
            # Nobody will say any more: count it as a contact rather than write too often.
            turn.state = commit(turn.state, row.trigger_id, at_ms=row.not_before_ms, policy=turn.policy)
            continue
        answer = may_leave(turn.state, row, now_ms=now, policy=turn.policy)
        if answer.because is not None:
            take_back(turn, row, answer.because, answer.reasons, known_ms=min(now, known_ms))
        elif answer.verdict is not Verdict.LEAVE:
            _tell_held(turn, row, answer)


def _beyond_memory(rows: Sequence[Pending]) -> set[str]:
    """Return what was taken back so long ago, or with so much after it, that no more word of it is waited for."""
    room, beyond = RETRACTED_KEPT, set[str]()
    for row in reversed(rows):
        if row.retracted:
            room -= 1 + len(row.invoice_ids)
            if room < 0:
                beyond.add(row.trigger_id)
    return beyond


def refuse_what_was_decided(turn: Turn, before: ClientState) -> None:
    """Ask the gate about every message decided since `before`: whoever decided it, what it forbids does not leave."""
    known = {row.trigger_id for row in before.care.pending}
    for row in turn.state.care.pending:
        if row.trigger_id in known or row.retracted:
            continue
        answer = may_leave(turn.state, row, now_ms=turn.state.now_ms, policy=turn.policy)
        if answer.because is not None:
            take_back(turn, row, answer.because, answer.reasons, known_ms=turn.state.now_ms)


def take_back(turn: Turn, row: Pending, because: CancelWhen, reasons: tuple[str, ...], *, known_ms: int) -> None:
    """Take a message back that may not have left; its step is due anew after a while, unless what it was about is over."""
    withdraw(turn, row, because, reasons, known_ms=known_ms)
    if because not in FOR_GOOD:
        _again(turn, row, ready_ms=turn.state.now_ms + turn.policy.settle_days * DAY_MS, tries=0)


def reported(turn: Turn, event: DeliveryReported) -> None:
    """Fold the outcome of one trigger; an outcome of a trigger that nobody remembers changes at most the suppressions."""
    if event.outcome is DeliveryOutcome.COMPLAINED:
        event = with_purpose(event, turn.state, turn.policy)
    row = next((known for known in turn.state.care.pending if known.trigger_id == event.trigger_id), None)
    if is_reaction(event):
        turn.state = heard_at(turn.state, event.occurred_ms, turn.policy)
    if row is None:
        task_ended(turn, event)
        _late_news(turn, event)
        return
    roles = _roles(turn, journey_of(row), row.anchor, row.step)
    turn.state = heard(turn.state, event, role=_whose(turn.state, event, roles, PURPOSES[row.purpose]), asks=bool(row.asked))
    judge_arrival(turn, row, event)
    ready = event.occurred_ms + turn.policy.settle_days * DAY_MS
    match event.outcome:
        case DeliveryOutcome.SENT | DeliveryOutcome.DELIVERED | DeliveryOutcome.AMBIGUOUS | DeliveryOutcome.REPLIED:
            _arrived(turn, row, event)
        case DeliveryOutcome.TOO_LATE | DeliveryOutcome.COMPLAINED:
            _arrived(turn, row, event)
        case DeliveryOutcome.RETRACTED:
            turn.state = refund(turn.state, row.trigger_id)
        case (
            DeliveryOutcome.FAILED
            | DeliveryOutcome.BOUNCED_HARD
            | DeliveryOutcome.BOUNCED_SOFT
            | DeliveryOutcome.WRONG_CONTACT
            | DeliveryOutcome.EXPIRED
            | DeliveryOutcome.SUPPRESSED
        ):
            turn.state = refund(turn.state, row.trigger_id)
            if not row.retracted:
                at_once = _other_way(turn, PURPOSES[row.purpose], event, roles)
                _take_back_later(turn, row)
                _tell_unsent(turn, row, event)
                _again(turn, row, ready_ms=event.occurred_ms if at_once else ready, tries=_tries(event, at_once=at_once))


def replied(turn: Turn, event: DeliveryReported) -> None:
    """Fold an answer to one of our messages: where that named a single invoice, only this one waits."""
    named = invoices_named(turn, event.trigger_id)
    reported(turn, event)
    wrote_back(turn, at_ms=event.occurred_ms, invoice_id=named[0] if len(named) == 1 else "")


def invoices_named(turn: Turn, trigger_id: str) -> tuple[str, ...]:
    """Return the invoices that a message named, none where that is not known any more."""
    state = turn.state
    row = next((known for known in state.care.pending if known.trigger_id == trigger_id), None)
    if row is not None:
        return row.invoice_ids
    named = message_named(trigger_id, state, turn.policy)
    if named is None or journey_of(named.run) is not Journey.DELAY_SUPPORT or not (named.is_current and named.is_latest):
        return ()
    return _named_by(state, named.run)


def wrote_back(turn: Turn, *, at_ms: int, invoice_id: str = "") -> None:
    """Let what asks for money wait after the client wrote to us; what was decided and has not left yet is taken back.

    With an `invoice_id`, only what names this one.
    """
    turn.state = note_reply(turn.state, at_ms, invoice_id)
    about = invoice_id or written_about(turn.state, at_ms)
    silence, now = reply_silence(turn.state, turn.policy), turn.state.now_ms
    if silence is None and about:
        silence = reply_about(turn.state, turn.policy, about)
    else:
        about = ""
    for row in turn.state.care.pending if silence else ():
        asks = journey_of(row) in _ASKING and row.advances and costs(row, turn.policy) and (not about or about in row.invoice_ids)
        if asks and not row.retracted and row.not_before_ms > now:
            take_back(turn, row, CancelWhen.CLIENT_ANSWERED, silence.reasons if silence else (), known_ms=now)


def overtake_tasks(turn: Turn) -> None:
    """Forget tasks that the facts have overtaken; a talk or a decision that is still needed is asked for anew."""
    for row in overtaken(turn):
        drop(turn, row)
        ready = turn.state.now_ms + turn.policy.settle_days * DAY_MS
        if is_decision(row, turn):
            ask_again(turn, row, ready_ms=ready)
        elif is_talk(turn, row):
            undo(turn, row, ready_ms=ready, tries=0)


def paid(turn: Turn, event: PaymentReceived) -> None:
    """Fold a payment as an answer to the message that asked for it. By card a person did it at that hour; banks book later."""
    after = paid_upon(turn.state, event)
    if after is not turn.state and event.method is PaymentMethod.CARD:
        after = heard_at(after, event.occurred_ms, turn.policy)
    turn.state = after


def erased(turn: Turn, event: ClientErased) -> None:
    """Retract what is pending and forget everything but the fact of the erasure, also what was learned under other names.

    Which facts another client has is not forgotten: a payment of what that one owes must go on reaching it.
    """
    del event  # who asked is written in the log, not in the state
    for row in turn.state.care.pending:
        if not row.retracted:
            turn.retract(row, CancelWhen.CLIENT_ERASED, ("the client asked to be forgotten",))
    state, who = turn.state, turn.state.identity
    forget_examples(turn, state.client_id, *parts(state.identity))
    turn.state = ClientState(
        state.client_id,
        now_ms=state.now_ms,
        erased_ms=max(state.now_ms, 1),
        events=state.events,
        memory=Memory(ring=state.memory.ring, evicted_ms=state.memory.evicted_ms),
        identity=Identity(elsewhere=who.elsewhere),
    )


def forget_examples(turn: Turn, *client_ids: str) -> None:
    """Take back what was learned from clients under these names."""
    at = moment(turn.state.now_ms)
    turn.outputs += [ExamplesWithdrawn(client_id=name, decided_at=at) for name in client_ids]


def _arrived(turn: Turn, row: Pending, event: DeliveryReported) -> None:
    turn.state = commit(turn.state, row.trigger_id, at_ms=event.occurred_ms, policy=turn.policy)
    wait_for_answer(turn, row, event)
    put_on_board(turn, row, event)
    task_ended(turn, event, pending=row)
    count_as_said(turn, row, at_ms=event.occurred_ms)


def _take_back_later(turn: Turn, row: Pending) -> None:
    """Take back the steps after one that was not delivered: nobody meets a firmer word than the one after the last they got.

    Also those after these: what is taken back was not delivered either.
    """
    if journey_of(row) is not Journey.DELAY_SUPPORT:
        return
    unsent = [row]
    while (found := _next_after(turn.state, unsent)) is not None:
        later, before = found
        why = (f"{before.step} before it was not delivered and goes first",)
        withdraw(turn, later, CancelWhen.EARLIER_UNSENT, why, known_ms=turn.state.now_ms)
        _again(turn, later, ready_ms=turn.state.now_ms, tries=0)
        unsent.append(later)


def _next_after(state: ClientState, unsent: Sequence[Pending]) -> tuple[Pending, Pending] | None:
    """Return a pending step that comes after one of these, and that one."""
    rows = (row for row in state.care.pending if row.advances and not row.retracted)
    return next(((row, before) for row in rows for before in unsent if comes_after(row, before)), None)


def _tell_held(turn: Turn, row: Pending, answer: Answer) -> None:
    """Explain once what holds a message that was decided; that it waits for its hour was said when it was."""
    if answer.code in {"hours", row.told}:
        return
    care = turn.state.care
    rows = tuple(replace(known, told=answer.code) if known.trigger_id == row.trigger_id else known for known in care.pending)
    turn.state = replace(turn.state, care=replace(care, pending=rows))
    run = Run(row.journey, row.anchor)
    turn.decide(DecisionOutcome.HELD, answer.reasons, run=run, step=row.step, channel=row.channel, trigger_id=row.trigger_id)


def _tell_unsent(turn: Turn, row: Pending, event: DeliveryReported) -> None:
    """Explain what a worker did not even try: the gate stopped it there, or no time was left."""
    anew = ", and its step is due anew" if row.advances else ""
    match event.outcome:
        case DeliveryOutcome.EXPIRED:
            reason = f"{row.channel} did not send it before it expired: it counts as no contact{anew}"
        case DeliveryOutcome.SUPPRESSED:
            reason = f"{row.channel} did not send it, as it looked once more ({event.reason or 'no reason given'}){anew}"
        case _:
            return
    run = Run(row.journey, row.anchor)
    turn.decide(DecisionOutcome.SUPPRESSED, (reason,), run=run, step=row.step, channel=row.channel, trigger_id=row.trigger_id)


def _other_way(turn: Turn, purpose: Purpose, event: DeliveryReported, roles: Sequence[Role]) -> bool:
    """Say whether a message that bounced can go to somebody else or through another channel at once: nobody was contacted yet."""
    if event.outcome not in _BOUNCED:
        return False
    return has_other_way(turn.state, turn.policy, channel=event.channel, purpose=purpose, at_ms=event.occurred_ms, roles=roles)


def _tries(event: DeliveryReported, *, at_once: bool) -> int:
    """Return how much an attempt counts: nothing where an address fell away for good and another is left, which ends itself."""
    return int(not (at_once and event.outcome in _NO_ADDRESS))


def _late_news(turn: Turn, event: DeliveryReported) -> None:
    """Fold what is told of a message after it was taken. One that bounced after all was no contact, and its step is due anew."""
    named = message_named(event.trigger_id, turn.state, turn.policy) if event.outcome in _NOT_REACHED else None
    if named is None or event.channel in turn.policy.internal_channels:
        turn.state = heard(turn.state, event)
        return
    run, journey = named.run, journey_of(named.run)
    roles = _roles(turn, journey, run.anchor, named.step.id)
    turn.state = heard(turn.state, event, role=_whose(turn.state, event, roles, named.step.purpose))
    if named.is_again:
        turn.state = unspend(turn.state, at_ms=run.sent_ms or event.occurred_ms)  # the step itself was said before
        return
    if not named.is_current or not named.is_latest:
        return
    if not named.step.receipt:
        turn.state = unspend(turn.state, at_ms=run.sent_ms or event.occurred_ms)
    at_once = _other_way(turn, named.step.purpose, event, roles)
    ready = event.occurred_ms if at_once else event.occurred_ms + turn.policy.settle_days * DAY_MS
    tries = _tries(event, at_once=at_once)
    due_anew(turn, _as_it_was(turn.state, event, named), ready_ms=ready, tries=tries)


def _as_it_was(state: ClientState, event: DeliveryReported, named: Named) -> Pending:
    """Return what was kept of a message of support while it was pending, as far as it tells which runs it had moved on."""
    run = named.run
    return Pending(
        trigger_id=event.trigger_id,
        journey=run.journey,
        anchor=run.anchor,
        step=named.step.id,
        channel=event.channel,
        purpose=PURPOSES.index(named.step.purpose),
        not_before_ms=run.sent_ms,
        expires_ms=event.occurred_ms,
        cancel_when=(),
        invoice_ids=_named_by(state, run),
    )


def _named_by(state: ClientState, run: Run) -> tuple[str, ...]:
    """Return the invoices that the last message of a run named."""
    # All invoices that a message named were stamped with the moment it left; an instalment names the invoice of its plan.
    same = [row.anchor for row in state.care.runs if run.sent_ms and (row.journey, row.sent_ms) == (run.journey, run.sent_ms)]
    planned = [
        plan.invoice_id
        for plan in state.ledger.plans
        if run.anchor in {instalment_anchor(plan, number) for number in range(1, len(plan.parts) + 1)}
    ]
    return tuple(planned or same or [run.anchor])


def _roles(turn: Turn, journey: AnyJourney, anchor: str, step_id: str) -> tuple[Role, ...]:
    """Return the roles a message was for, as far as its step is still part of the policy."""
    run = find_run(turn.state, journey, anchor)
    step = None if run is None else step_called(step_id, journey, turn.policy.of_run(run).journeys)
    return () if run is None or step is None else roles_for(journey, step.purpose, turn.tone(step, run))


def _whose(state: ClientState, event: DeliveryReported, roles: Sequence[Role], purpose: Purpose) -> str:
    """Return the role whose own address a message went to, empty for the profile's."""
    reader = reader_among(state, roles, purpose, event.channel)
    return reader.role if reader is not None and own_address(reader, event.channel) else ""


def _again(turn: Turn, row: Pending, *, ready_ms: int, tries: int) -> None:
    if row.advances:
        due_anew(turn, row, ready_ms=ready_ms, tries=tries)
    elif is_decision(row, turn):
        ask_again(turn, row, ready_ms=ready_ms)

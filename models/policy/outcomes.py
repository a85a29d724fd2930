"""What becomes of triggers: retraction when facts overtake them, outcomes that channel workers report, erasure."""

from typing import Final

from msgspec.structs import replace

from models.events.signals import ClientErased, DeliveryOutcome, DeliveryReported
from models.policy.aftermath import judge_arrival, taken_back, unacknowledged
from models.policy.delay_support import redo, undo
from models.policy.gate import check
from models.policy.reach import has_other_way, heard
from models.policy.relationship import reopen
from models.policy.turn import Turn
from models.state.client import JOURNEYS, PURPOSES, ClientState, Memory, Pending
from models.state.person import add_contact
from models.triggers import CancelWhen, Journey
from models.workdays import DAY_MS

_FOR_GOOD: Final = frozenset(
    {CancelWhen.PAYMENT_REVERSED, CancelWhen.CONTRACT_ENDED, CancelWhen.CONTRACT_RENEWED, CancelWhen.PATTERN_ENDED}
)
KEPT_AFTER_RETRACTION_MS: Final = 10 * DAY_MS  # a worker's "too late" is expected well within


def retract_what_no_longer_holds(turn: Turn, *, known_ms: int) -> None:
    """Ask the gate about everything pending; take back what a predicate forbids, forget what has expired.

    `known_ms` is when the event that speaks now had reached us: from then on a message that leaves all the same is late.
    """
    for row in turn.state.care.pending:
        now = turn.state.now_ms
        if row.retracted:
            if now > row.expires_ms + KEPT_AFTER_RETRACTION_MS:
                _drop(turn, row)
                unacknowledged(turn, row)
            continue
        result = check(turn.state, row, now_ms=now, policy=turn.policy)
        if result.allowed:
            continue
        if result.because is None:
            # No word from the channel until the expiry: count it as a contact rather than write too often.
            _drop(turn, row)
            if row.channel not in turn.policy.internal_channels:
                turn.state = add_contact(turn.state, row.not_before_ms)
            continue
        _mark(turn, row, result.because, known_ms=min(now, known_ms))
        turn.retract(row, result.because, result.reasons)
        if result.because not in _FOR_GOOD:
            _again(turn, row, ready_ms=now + turn.policy.settle_days * DAY_MS, tries=0)


def reported(turn: Turn, event: DeliveryReported) -> None:
    """Fold the outcome of one trigger; an outcome of a trigger that nobody remembers changes at most the suppressions."""
    turn.state = heard(turn.state, event)
    row = next((known for known in turn.state.care.pending if known.trigger_id == event.trigger_id), None)
    if row is None:
        return
    judge_arrival(turn, row, event)
    ready = event.occurred_ms + turn.policy.settle_days * DAY_MS
    match event.outcome:
        case DeliveryOutcome.SENT | DeliveryOutcome.DELIVERED | DeliveryOutcome.AMBIGUOUS | DeliveryOutcome.REPLIED:
            _arrived(turn, row, event)
        case DeliveryOutcome.TOO_LATE | DeliveryOutcome.COMPLAINED:
            _arrived(turn, row, event)
        case DeliveryOutcome.RETRACTED:
            _drop(turn, row)
        case (
            DeliveryOutcome.FAILED
            | DeliveryOutcome.BOUNCED_HARD
            | DeliveryOutcome.BOUNCED_SOFT
            | DeliveryOutcome.EXPIRED
            | DeliveryOutcome.SUPPRESSED
        ):
            _drop(turn, row)
            if not row.retracted:
                _again(turn, row, ready_ms=event.occurred_ms if _other_way(turn, row, event) else ready, tries=1)


def erased(turn: Turn, event: ClientErased) -> None:
    """Retract what is pending and forget everything but the fact of the erasure."""
    del event  # who asked is written in the log, not in the state
    for row in turn.state.care.pending:
        if not row.retracted:
            turn.retract(row, CancelWhen.CLIENT_ERASED, ("the client asked to be forgotten",))
    state = turn.state
    turn.state = ClientState(
        state.client_id,
        now_ms=state.now_ms,
        erased_ms=max(state.now_ms, 1),
        events=state.events,
        memory=Memory(ring=state.memory.ring, evicted_ms=state.memory.evicted_ms),
    )


def _arrived(turn: Turn, row: Pending, event: DeliveryReported) -> None:
    _drop(turn, row)
    if row.channel not in turn.policy.internal_channels:
        turn.state = add_contact(turn.state, event.occurred_ms)
    if row.retracted and row.advances and JOURNEYS[row.journey] is Journey.DELAY_SUPPORT:
        redo(turn, row, at_ms=event.occurred_ms)


def _other_way(turn: Turn, row: Pending, event: DeliveryReported) -> bool:
    """Say whether a message that bounced can leave through another channel at once: nobody has been contacted yet."""
    if event.outcome not in {DeliveryOutcome.BOUNCED_HARD, DeliveryOutcome.BOUNCED_SOFT}:
        return False
    purpose = PURPOSES[row.purpose]
    return has_other_way(turn.state, turn.policy, channel=row.channel, purpose=purpose, at_ms=event.occurred_ms)


def _again(turn: Turn, row: Pending, *, ready_ms: int, tries: int) -> None:
    journey = JOURNEYS[row.journey]
    if not row.advances:
        return
    if journey is Journey.DELAY_SUPPORT:
        undo(turn, row, ready_ms=ready_ms, tries=tries)
    else:
        reopen(turn, journey, row.anchor, ready_ms=ready_ms, tries=tries)


def _mark(turn: Turn, row: Pending, because: CancelWhen, *, known_ms: int) -> None:
    care = turn.state.care
    marked = taken_back(row, because, known_ms)
    rows = tuple(marked if known.trigger_id == row.trigger_id else known for known in care.pending)
    turn.state = replace(turn.state, care=replace(care, pending=rows))


def _drop(turn: Turn, row: Pending) -> None:
    care = turn.state.care
    rows = tuple(known for known in care.pending if known.trigger_id != row.trigger_id)
    turn.state = replace(turn.state, care=replace(care, pending=rows))

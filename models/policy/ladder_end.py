"""Where a ladder has no further message and money is still open, or must not go on by itself: people decide, once.

It must not where its messages cannot be delivered, where money was given back, and where an invoice was long overdue when first
seen.

A ladder whose last step is a colleague's already ends with that one. The task asks for nothing in the client's name, so it moves
no step; it is asked anew only where it was taken back, or the board never took it, or a broken promise has moved the ladder back.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from models.policy.arrears import Arrear, facts_of, small_or_retried, why_late
from models.policy.policy import Policy
from models.policy.segments import effective_segment
from models.policy.silence import Silence, client_silence
from models.policy.statement import asked_for, riding, statement_of, totals_of, words_about
from models.policy.turn import Turn, find_run
from models.state.client import ClientState, Pending, Timer, TimerKind
from models.triggers import Journey

_SUPERVISED: Final = MappingProxyType(
    {
        "closed": "messages about it could not be delivered: a person is needed",
        "refunded": "money was given back: a person decides whether it is still owed",
        "adopt": "it was long overdue when it became known: a person decides whether support in the delay starts (release)",
    }
)
"""Silences that only a person ends, and what that person is asked."""


def end_timers(found: Sequence[Arrear], state: ClientState, policy: Policy) -> list[Timer]:
    """Return when a person is asked to decide about invoices whose ladder is over; none while something stands against it."""
    waiting = [row for row in found if _is_over(row, policy)]
    if not waiting:
        return []
    first = min(waiting, key=lambda row: (row.ready_ms, row.due_ms, row.invoice.invoice_id))
    at = max(first.ready_ms, state.now_ms)
    due = _due(found, state, policy)
    silence = _silence(due, state, policy) if due else None
    if silence is not None:
        later = [row.ready_ms for row in waiting if row.ready_ms > state.now_ms]
        ends = [until for until in (silence.until_ms, *later) if until > state.now_ms]
        if not ends:
            return []  # an event ends it
        at = min(ends)
    return [Timer(policy.open_hour(state, at), TimerKind.DELAY, first.invoice.invoice_id)]


def fire_end(turn: Turn, found: Sequence[Arrear]) -> None:
    """Ask a person to decide about all invoices whose ladder is over by now, in one task."""
    state, policy = turn.state, turn.policy
    due = _due(found, state, policy)
    if not due or _silence(due, state, policy) is not None:
        return
    carrying = min(due, key=lambda row: (row.run.closed, row.due_ms, row.invoice.invoice_id))
    named = riding(due, carrying)
    step = policy.of_run(carrying.run).journeys.ladder_end
    why = why_late(named, carrying, state, policy)
    facts = facts_of(named, carrying, state, policy, why)
    turn.send(
        step,
        carrying.run,
        facts=facts,
        reasons=(
            words_about(named, carrying, facts),
            *(_SUPERVISED[code] for code in dict.fromkeys(row.silence.code for row in named if row.silence is not None)),
            *([step.why] if any(row.silence is None for row in named) else []),
            *why.words,
            f"segment {effective_segment(state, state.now_ms).value}",
        ),
        invoice_ids=tuple(row.invoice.invoice_id for row in named),
        asked=asked_for(named, carrying),
        advances=False,
        statement=statement_of(named, state, policy),
        totals=totals_of(named, carrying),
    )
    for row in named:
        run = turn.run(Journey.DELAY_SUPPORT, row.run.anchor)
        # What a person lets go on has a ladder ahead of it, and an end of its own.
        goes_on = row.silence is not None and row.silence.code != "closed"
        turn.put_run(replace(run, decide_ms=state.now_ms, epoch=run.epoch + int(goes_on)))


def ask_again(turn: Turn, row: Pending, *, ready_ms: int) -> None:
    """Make the decision due anew for the invoices of a task that was taken back, or that no board took."""
    for invoice_id in row.invoice_ids:
        run = find_run(turn.state, Journey.DELAY_SUPPORT, invoice_id)
        if run is not None and run.decide_ms:
            turn.put_run(replace(run, decide_ms=0, epoch=run.epoch + 1, ready_ms=max(run.ready_ms, ready_ms)))


def is_decision(row: Pending, turn: Turn) -> bool:
    """Say whether a task asks a person to decide at the end of a ladder."""
    run = find_run(turn.state, Journey.DELAY_SUPPORT, row.anchor)
    return run is not None and row.step == turn.policy.of_run(run).journeys.ladder_end.id


def _is_over(row: Arrear, policy: Policy) -> bool:
    if row.run.decide_ms:
        return False
    if row.silence is not None:
        return row.silence.code in _SUPERVISED
    return row.is_exhausted and row.ladder.steps[-1].channel not in policy.internal_channels


def _due(found: Sequence[Arrear], state: ClientState, policy: Policy) -> list[Arrear]:
    return [row for row in found if _is_over(row, policy) and row.ready_ms <= state.now_ms]


def _silence(due: list[Arrear], state: ClientState, policy: Policy) -> Silence | None:
    step = policy.journeys.ladder_end
    silence = client_silence(state, policy, Journey.DELAY_SUPPORT, step)
    return silence or small_or_retried(due, state, policy, by=step.channel)

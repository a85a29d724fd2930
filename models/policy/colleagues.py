"""Tasks that colleagues have and have not ended: what they hold back, and what becomes of those that nobody does.

A task leaves like a message; once a board has it, its row moves here and stays until a person says how it ended, until the facts
overtake it, or until its due time. Only the `task` channel has an end to wait for.
"""

from typing import Final

from msgspec.structs import replace

from models.events.signals import DeliveryOutcome, DeliveryReported
from models.policy.gate import check
from models.policy.journeys import Step
from models.policy.policy import TASK
from models.policy.replies import note_answered
from models.policy.requests import ANSWER_STEP
from models.policy.silence import Silence
from models.policy.tones import has_tried
from models.policy.turn import Turn, find_run
from models.state.client import ClientState, Pending, Run, Timer, TimerKind, journey_of
from models.triggers import APPROVE, DecisionOutcome, Journey
from models.workdays import moment

KEPT: Final = 8
"""Open tasks remembered of one client; of more, the oldest are."""

_ON_THE_BOARD: Final = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.AMBIGUOUS})
_ENDS: Final = frozenset({DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED})


def put_on_board(turn: Turn, row: Pending, event: DeliveryReported) -> None:
    """Remember a task that a board has taken, until it ends. What waits for approval has an end of its own."""
    if row.channel != TASK or row.retracted or row.step.startswith(APPROVE) or event.outcome not in _ON_THE_BOARD:
        return
    care = turn.state.care
    turn.state = replace(turn.state, care=replace(care, tasks=(*care.tasks, row)[-KEPT:]))


def task_ended(turn: Turn, event: DeliveryReported, *, pending: Pending | None = None) -> None:
    """Fold how a person ended a task; a report about anything else changes nothing. `pending`: no board has told of it yet.

    Reached or not: somebody has tried, and what follows a person's step, or a reply, may go on.
    """
    row = pending or next((known for known in turn.state.care.tasks if known.trigger_id == event.trigger_id), None)
    if row is None or row.channel != TASK or event.outcome not in _ENDS:
        return
    drop(turn, row)
    if row.step == ANSWER_STEP:
        turn.state = note_answered(turn.state)
    for invoice_id in row.invoice_ids if journey_of(row) is Journey.DELAY_SUPPORT else ():
        run = find_run(turn.state, Journey.DELAY_SUPPORT, invoice_id)
        if run is not None:
            turn.put_run(replace(run, tried_ms=max(run.tried_ms, event.occurred_ms)))


def drop(turn: Turn, row: Pending) -> None:
    """Forget an open task."""
    care = turn.state.care
    turn.state = replace(turn.state, care=replace(care, tasks=tuple(known for known in care.tasks if known is not row)))


def overtaken(turn: Turn) -> list[Pending]:
    """Return the open tasks that are no longer right, because of what is known now."""
    state = turn.state
    checked = ((row, check(state, row, now_ms=state.now_ms)) for row in state.care.tasks)
    return [row for row, result in checked if not result.allowed and result.because is not None]


def task_timers(state: ClientState) -> list[Timer]:
    """Return when open tasks are due."""
    return [Timer(max(row.expires_ms, state.now_ms), TimerKind.TASK, row.trigger_id) for row in state.care.tasks]


def fire_task(turn: Turn, timer: Timer) -> None:
    """Say that nobody has ended a task in time."""
    row = next((known for known in turn.state.care.tasks if known.trigger_id == timer.anchor), None)
    if row is None:
        return
    drop(turn, row)
    day = moment(row.expires_ms).date().isoformat()
    run = Run(row.journey, row.anchor)
    reason = f"nobody has ended this task by {day}: it has expired"
    turn.decide(DecisionOutcome.SUPPRESSED, (reason,), run=run, step=row.step, channel=row.channel, trigger_id=row.trigger_id)


def talk_silence(state: ClientState, run: Run, person: Step) -> Silence | None:
    """Return why the next message of a run waits for a person's talk with the client, None when it does not.

    It waits until somebody has tried, but no longer than the task is valid; then it goes on, said more gently.
    """
    if not run.human or has_tried(state, run):
        return None
    mine = (
        row
        for row in (*state.care.pending, *state.care.tasks)
        if row.step == person.id and row.channel == TASK and run.anchor in row.invoice_ids and not row.retracted
    )
    until = max((row.expires_ms for row in mine), default=0)
    if state.now_ms >= until:
        return None
    day = moment(until).date().isoformat()
    return Silence("talk", (f"a person was asked to speak with the client first: it waits for that, until {day} at most",), until)

"""Which of our messages an id names, after its outcome has been folded and nothing of it is pending any more.

Providers tell late: a mail that was taken bounces an hour later, a complaint comes after days. Ids are derived, never drawn, so
the message is found by deriving the ids of the steps that runs may have taken. Only late news pays for that; nothing is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from models.events.signals import DeliveryReported, Purpose
from models.policy.journeys import Journeys, Step
from models.policy.policy import Policy
from models.policy.turn import trigger_id_of
from models.state.client import PURPOSES, ClientState, Run, journey_of
from models.triggers import AnyJourney, Journey


@dataclass(frozen=True, slots=True)
class Named:
    """A message that left: its run as it stands and its step.

    `is_current`: the step was not made due anew since; `is_latest`: the run has taken no further step; `is_again`: it said a step
    once more, because nobody had answered the first time.
    """

    run: Run
    step: Step
    is_current: bool
    is_latest: bool
    is_again: bool = False


def message_named(trigger_id: str, state: ClientState, policy: Policy) -> Named | None:
    """Return the message called `trigger_id`, None where no run of the client can have sent it."""
    for run in state.care.runs:
        journey = journey_of(run)
        for place, step in steps_of(journey, policy.of_run(run).journeys):
            for epoch in range(run.epoch, -1, -1):
                for again in (False, True) if step.unanswered_hours else (False,):
                    if trigger_id_of(state.client_id, run, step.id, epoch, again=again) == trigger_id:
                        latest = run.stage == place + 1
                        return Named(run, step, is_current=epoch == run.epoch, is_latest=latest, is_again=again)
    return None


def with_purpose(event: DeliveryReported, state: ClientState, policy: Policy) -> DeliveryReported:
    """Return a complaint with the purpose of its message; as it is where the receipt named one, or the message is unknown."""
    purpose = event.purpose or _purpose_of(event.trigger_id, state, policy)
    return event if purpose is event.purpose else event.model_copy(update={"purpose": purpose})


def _purpose_of(trigger_id: str, state: ClientState, policy: Policy) -> Purpose | None:
    pending = next((row for row in state.care.pending if row.trigger_id == trigger_id), None)
    if pending is not None:
        return PURPOSES[pending.purpose]
    known = message_named(trigger_id, state, policy)
    return None if known is None else known.step.purpose


def step_called(step_id: str, journey: AnyJourney, journeys: Journeys) -> Step | None:
    """Return the step of a journey by its id."""
    return next((step for _, step in steps_of(journey, journeys) if step.id == step_id), None)


def steps_of(journey: AnyJourney, journeys: Journeys) -> Iterator[tuple[int, Step]]:
    """Yield the steps of a journey with their places; of support those of every ladder."""
    if journey is Journey.DELAY_SUPPORT:
        for ladder in (*journeys.delay.values(), journeys.instalment):
            yield from enumerate(ladder.steps)
    elif journey is Journey.ONBOARDING:
        yield from enumerate(journeys.onboarding)
    elif journey is Journey.RENEWAL:
        yield from enumerate(journeys.renewal)
    elif journey is Journey.STATEMENT:
        yield 0, journeys.statement.step
    else:
        for playbook in journeys.every_playbook:
            if playbook.journey == journey:
                yield from enumerate(playbook.steps)

"""Which steps a run has ahead by itself: each with its first moment and its tone, whatever may stand against it then."""

import msgspec
from msgspec.structs import replace

from models.policy.journeys import Step
from models.policy.openings import openings
from models.policy.policy import Policy
from models.policy.precedence import tone_of_step
from models.state.client import ClientState, Run, journey_of
from models.triggers import Journey
from models.workdays import DAY_MS


class Ahead(msgspec.Struct, frozen=True):
    """One step that is to come, when it may be taken at the earliest (epoch ms), and the tone in which it would be said now."""

    step: Step
    at_ms: int
    tone: str


def ahead(state: ClientState, policy: Policy, run: Run, steps: tuple[Step, ...]) -> list[Ahead]:
    """Return what is ahead of `run`, whose table is `steps`, in order; nobody knows what will be said against it until then."""
    found, at_ms = [], max(run.ready_ms, state.now_ms)
    for stage in range(run.stage, len(steps)):
        step, at = steps[stage], at_ms
        if journey_of(run) is Journey.DELAY_SUPPORT:
            at_ms = at = at if stage == run.stage else at + step.after_days * DAY_MS
        else:
            begun = _opens_ms(state, policy, replace(run, stage=stage))
            if begun is None:
                continue
            at = max(begun, state.now_ms)
        found.append(Ahead(step, policy.open_hour(state, at), tone_of_step(state, step, run, policy).value))
    return found


def _opens_ms(state: ClientState, policy: Policy, run: Run) -> int | None:
    """Return when the next step of a run may be taken; None where there is none any more."""
    runs = tuple(run if (row.journey, row.anchor) == (run.journey, run.anchor) else row for row in state.care.runs)
    probe = replace(state, care=replace(state.care, runs=runs))
    return next(
        (row.from_ms for row in openings(probe, policy) if (row.run.journey, row.run.anchor) == (run.journey, run.anchor)), None
    )

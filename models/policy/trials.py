"""Which arm of an experiment a step is taken in: drawn at the first exposure, and kept from then on.

A company is exposed when a step is due and the arms would differ for it, as everything stands: after ceilings of tone, known
addresses and refusals. Where they would not, nothing is drawn and nothing is recorded, so the groups that are compared hold only
companies for which the experiment could matter.
"""

from dataclasses import dataclass, replace
from typing import Final

from msgspec.structs import replace as with_fields

from models.events.signals import OverrideEffect, Purpose
from models.policy.audience import roles_for
from models.policy.belonging import first_of
from models.policy.experiments import Arm, Experiment, drawn, share_of
from models.policy.gate import refusal
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.reach import way_to
from models.policy.rfm import rfm
from models.policy.segments import effective_segment
from models.policy.tones import tone_for
from models.state.client import Assigned, ClientState, Run, journey_of
from models.state.person import in_force
from models.triggers import ExperimentArm

ASSIGNED_KEPT: Final = 8
_SPOKEN: Final = frozenset({OverrideEffect.CHANNEL.value, OverrideEffect.TONE.value})
_LARGE: Final = 3  # tiers of money from which a company counts as large


@dataclass(frozen=True, slots=True)
class Trial:
    """A step as the company's arm takes it."""

    experiment: Experiment
    arm: Arm
    step: Step
    assigned: Assigned
    is_fresh: bool

    @property
    def record(self) -> ExperimentArm:
        """What triggers and decisions say of it."""
        row = self.assigned
        return ExperimentArm(
            name=row.experiment, arm=row.arm, stratum=row.stratum, share=round(share_of(self.arm, self.experiment), 4)
        )

    @property
    def words(self) -> str:
        """Return what people read."""
        return f"experiment {self.experiment.name}: this company is in the arm {self.arm.name}"

    def waits(self, run: Run) -> bool:
        """Say whether the arm waits at this step of a run, and has not waited yet."""
        return self.arm.wait_days > 0 and not self.has_waited(run)

    @staticmethod
    def has_waited(run: Run) -> bool:
        """Say whether the present step of a run has waited for an arm already."""
        return run.waited == run.stage + 1


def trial_of(state: ClientState, policy: Policy, step: Step, run: Run) -> Trial | None:
    """Return the trial that a step is part of, None where there is none or its arms would not differ."""
    if not policy.experiments or step.channel in policy.internal_channels:
        return None
    journey = journey_of(run)
    for experiment in policy.experiments:
        if (experiment.journey, experiment.step) == (journey, step.id) and not policy.is_stopped(experiment.name):
            return _trial(state, policy, experiment, step, run)
    return None


def exposed(state: ClientState, trial: Trial) -> ClientState:
    """Return the state that remembers the arm."""
    if not trial.is_fresh:
        return state
    rows = (*state.care.assigned, trial.assigned)[-ASSIGNED_KEPT:]
    return with_fields(state, care=with_fields(state.care, assigned=rows))


def stratum_of(state: ClientState, policy: Policy) -> str:
    """Return segment and size of a company: within these, arms are drawn and compared."""
    tiers = rfm(state, policy)
    size = "unknown" if tiers is None else "large" if tiers.monetary >= _LARGE else "small"
    return f"{effective_segment(state, state.now_ms).value}/{size}"


def _trial(state: ClientState, policy: Policy, experiment: Experiment, step: Step, run: Run) -> Trial | None:
    if any(row.effect in _SPOKEN and in_force(row, state.now_ms) for row in state.person.overrides):
        return None  # a person has chosen for this company
    taken = {arm.name: _taken(state, policy, step, arm, run) for arm in experiment.arms}
    if len({_noticed(arm, taken[arm.name], state, run) for arm in experiment.arms}) == 1:
        return None
    known = next((row for row in state.care.assigned if (row.experiment, row.key) == (experiment.name, experiment.key)), None)
    if known is None:
        if experiment.segments and effective_segment(state, state.now_ms) not in experiment.segments:
            return None
        if experiment.audiences and first_of(state, experiment.audiences, policy) is None:
            return None
        stratum = stratum_of(state, policy)
        arm = drawn(state.client_id, experiment, stratum=stratum)
        fresh = Assigned(experiment.name, experiment.key, arm.name, stratum, state.now_ms)
        return Trial(experiment, arm, taken[arm.name], fresh, is_fresh=True)
    arms = [arm for arm in experiment.arms if arm.name == known.arm]
    return Trial(experiment, arms[0], taken[known.arm], known, is_fresh=False) if arms else None


def _taken(state: ClientState, policy: Policy, step: Step, arm: Arm, run: Run) -> Step:
    """Return the step as an arm takes it; a channel that does not reach the client, or that they refused, changes nothing."""
    channel = arm.channel if arm.channel and _reaches(state, policy, step, arm.channel, run) else step.channel
    return replace(step, tone=arm.tone or step.tone, channel=channel)


def _noticed(arm: Arm, step: Step, state: ClientState, run: Run) -> tuple[str, str, str, int]:
    """Return what the client would notice of a step in an arm."""
    segment = effective_segment(state, state.now_ms)
    tone = tone_for(step.tone, state, run, segment=segment) if step.purpose is Purpose.SERVICING else step.tone
    return tone.value, step.channel, "" if arm.words == step.id else arm.words, arm.wait_days


def _reaches(state: ClientState, policy: Policy, step: Step, channel: str, run: Run) -> bool:
    roles = roles_for(journey_of(run), step.purpose, step.tone)
    found, _ = way_to(state, policy, channel=channel, purpose=step.purpose, at_ms=state.now_ms, roles=roles)
    refused = refusal(state, step.purpose, channel) or policy.stop_of(journey_of(run), channel=channel, purpose=step.purpose)
    return found == channel and refused is None

"""By which channel a step reaches the client: who has the say about it, and where that leads now."""

from models.policy.audience import roles_for
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.precedence import Claim, Level, Precedence, precedence, tone_of_step
from models.policy.reach import way_to
from models.policy.trials import trial_of
from models.state.client import ClientState, Run, journey_of
from models.triggers import Tone


def ruling_of(state: ClientState, policy: Policy, step: Step, run: Run, invoice_ids: tuple[str, ...]) -> Precedence:
    """Return who has the say about channel and tone; colleagues are asked where the policy says."""
    if step.channel in policy.internal_channels:
        tone = tone_of_step(state, step, run, policy)
        return Precedence(Claim(Level.DEFAULT, step.channel, step.id), tone)
    return precedence(state, step, run, policy, invoice_ids)


def way_of(state: ClientState, policy: Policy, step: Step, run: Run, ruling: Precedence) -> tuple[str, tuple[str, ...]]:
    """Return the channel by which a step reaches the client, and why it is another than the one chosen."""
    wish = "" if ruling.channel.level < Level.CONTACT else None
    roles = roles_for(journey_of(run), step.purpose, Tone(ruling.tone.value))
    channel, purpose, at_ms = ruling.channel.value, step.purpose, state.now_ms
    return way_to(state, policy, channel=channel, purpose=purpose, at_ms=at_ms, roles=roles, wish=wish)


def way_now(state: ClientState, policy: Policy, step: Step, run: Run, invoice_ids: tuple[str, ...]) -> str:
    """Return the channel by which a step would leave if it were decided now, in the arm of an experiment where it has one."""
    trial = trial_of(state, policy, step, run)
    if trial is not None:
        step = trial.step
    return way_of(state, policy, step, run, ruling_of(state, policy, step, run, invoice_ids))[0]

"""The policy that a command is to use: chosen, and found sound, before anything long is read."""

from pathlib import Path

from handlers.channels.template_facts import facts_of
from handlers.commands.regime_changes import regimes_now
from models.policy.document import PolicyDocument, policy_of
from models.policy.policy import Policy
from models.regime import ActivePolicy
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.policy_file import policy_in_force


def chosen_policy(file: Path | None, templates: Path | None = None) -> Policy:
    """Return the policy in `file`, else the one a worker would start with; PolicyFileError for one that lint calls wrong."""
    return policy_in_force(settings := load_settings(), file, facts_stated=facts_of(settings, templates))


def active_policy(settings: Settings) -> ActivePolicy | None:
    """Return the policy that was activated last, of the first partition that has one; RetryError while Redis is away."""
    return next((found for regime in regimes_now(settings) if (found := regime.policy()) is not None), None)


def policy_held_against(file: Path | None, *, live: bool) -> Policy:
    """Return the policy in `file`; where none is named and the running deployment is asked, the one that is in force there."""
    settings = load_settings()
    active = active_policy(settings) if live and file is None else None
    if active is None:
        return chosen_policy(file)
    return policy_of(PolicyDocument.model_validate_json(active.document), home_zone=settings.firm_timezone)


def policy_of_history(file: Path | None, history: Path | None) -> Policy | None:
    """Return the policy that a history is lived through under, none where there is none: what was done was done under others.

    UsageError for a policy that would change nothing of what is told.
    """
    if history is not None:
        return chosen_policy(file)
    if file is not None:
        message = f"--policy {file} is for a history to live through; of the running system is told what was done: leave it out"
        raise UsageError(message)
    return None

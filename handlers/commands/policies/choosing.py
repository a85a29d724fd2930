"""The policy that a command is to use: chosen, and found sound, before anything long is read."""

from pathlib import Path

from handlers.channels.template_facts import facts_of
from models.policy.policy import Policy
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings
from streams.wire.policy_file import policy_in_force


def chosen_policy(file: Path | None, templates: Path | None = None) -> Policy:
    """Return the policy in `file`, else the one a worker would start with; PolicyFileError for one that lint calls wrong."""
    return policy_in_force(settings := load_settings(), file, facts_stated=facts_of(settings, templates))


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

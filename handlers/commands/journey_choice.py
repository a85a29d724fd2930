"""Journeys by name in commands: ours, and those of the firm's own that a policy declares."""

from collections.abc import Callable, Collection

from handlers.commands.regime_changes import regimes_now
from models.journey_names import OWN_JOURNEYS
from models.policy.document import PolicyDocument
from models.triggers import AnyJourney, Journey, OwnJourney
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings
from streams.wire.policy_file import read_policy_file


def journey_named(name: str | None, own: Callable[[], Collection[str]]) -> AnyJourney | None:
    """Return the journey called `name`, or all of the firm's own; `own` is asked for names only where it is none of ours.

    Raises UsageError where nothing is called so.
    """
    if name is None:
        return None
    ours = [journey.value for journey in Journey]
    if name in ours:
        return Journey(name)
    known = [] if name == OWN_JOURNEYS else own()
    if name != OWN_JOURNEYS and name not in known:
        message = f"there is no journey {name!r}; use one of {', '.join((*ours, *known))}, or {OWN_JOURNEYS} for all of your own"
        raise UsageError(message)
    return OwnJourney(name)


def own_names() -> list[str]:
    """Return the journeys of the firm's own: of the policies that are activated, and of the one that workers start with."""
    settings = load_settings()
    active = [row for regime in regimes_now(settings) if (row := regime.policy()) is not None]
    documents = [PolicyDocument.model_validate_json(row.document) for row in active]
    if settings.policy_file is not None:
        documents.append(read_policy_file(settings.policy_file).document)
    return sorted({row.name for document in documents for row in document.own_journeys})

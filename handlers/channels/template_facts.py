"""The words that the settings name, and which facts they state: lint holds those against what their purpose allows."""

from pathlib import Path

import structlog

from handlers.channels.library import PACKAGE, Library, read_library
from handlers.channels.own_words import refuse_wrong_words
from models.policy.policy import Policy
from models.policy.stated import FactsStated
from streams.runtime.settings import Settings
from streams.wire.policy_file import policy_in_force

_log = structlog.get_logger(__name__)

facts_stated: FactsStated = PACKAGE.facts_stated
"""Which facts the templates state that ship with the program."""


def library_of(settings: Settings, folder: Path | None = None) -> Library:
    """Return the words of `folder`, else of the setting `templates`, over the program's own."""
    return read_library(folder or settings.templates)


def facts_of(settings: Settings, folder: Path | None = None) -> FactsStated:
    """Return which facts those words state."""
    return library_of(settings, folder).facts_stated


def words_in_force(settings: Settings) -> tuple[Policy, Library]:
    """Return the policy that a channel worker starts with and the words it speaks in, both held against all checks.

    Raises PolicyFileError or WordsError, each with file, line and fix: no channel starts on words it could not say.
    """
    library = library_of(settings)
    policy = policy_in_force(settings, facts_stated=library.facts_stated)
    for row in refuse_wrong_words(library, policy):
        _log.warning("template", file=f"{row.name}:{row.line}", why=row.message, fix=row.fix)
    return policy, library

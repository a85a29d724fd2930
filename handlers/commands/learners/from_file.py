"""What the running trainer would know of a history that is told from a file, without servers."""

from pathlib import Path

from handlers.commands.book.horizon import AskedToJudge
from handlers.commands.held_history import hold_history
from handlers.commands.known_book import say_unknown
from handlers.evaluation.telling import Telling
from handlers.terminal.waiting import shown
from models.learners.cohorts import PayCohorts
from streams.runtime.settings import Settings
from streams.wire.policy_file import policy_in_force


def pay_cohorts(file: Path, *, asked: AskedToJudge, settings: Settings) -> PayCohorts:
    """Return how the invoices of a receivables CSV were paid. UsageError where it cannot say so."""
    telling = Telling(policy_in_force(settings))
    events, notes = hold_history(file, asked=asked)
    say_unknown(file, notes.unknown)
    telling.tell(shown(events, "telling the history"))
    return telling.trainer.cohorts

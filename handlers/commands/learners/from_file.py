"""What the running trainer would know of a history that is told from a file, without servers."""

from pathlib import Path

from handlers.commands.book.plan import Asked
from handlers.commands.evaluate import let_go, read_history
from handlers.evaluation.telling import Telling
from handlers.terminal.waiting import shown
from models.learners.cohorts import PayCohorts
from streams.runtime.settings import Settings
from streams.wire.policy_file import policy_in_force


def pay_cohorts(file: Path, *, asked: Asked, settings: Settings) -> PayCohorts:
    """Return how the invoices of a receivables CSV were paid. UsageError where it cannot say so."""
    telling = Telling(policy_in_force(settings))
    events, _ = read_history(file, asked=asked)
    telling.tell(shown(let_go(events), "telling the history", total=len(events)))
    return telling.trainer.cohorts

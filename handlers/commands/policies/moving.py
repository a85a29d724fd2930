"""Who would stand in another segment or audience if a policy came into force: asked of the log before it does."""

from dataclasses import replace

from handlers.commands.book.plan import Asked
from handlers.commands.export import NothingToldError, needed_history
from handlers.commands.held_history import hold_history
from handlers.commands.segments.shifts import Trial, compare_sample
from models.policy.policy import Policy


def draws(policy: Policy) -> tuple[object, ...]:
    """Return all of a policy that decides in which segment and in which audiences a client stands.

    What is too small to be written about says nothing of a client either, so its limits are among it.
    """
    rules = replace(policy.segments, review_day=0)
    return rules, policy.audiences, policy.max_age.segment_days, policy.small_share, policy.small_units


def backtested(before: Policy, after: Policy, *, sample: int | None = None) -> Trial | None:
    """Live the log of the running deployment, or so many of its clients, under both policies; None where it knows nobody yet.

    Raises RetryError while a server is away.
    """
    try:
        with needed_history(None, live=True) as path:
            return compare_sample(hold_history(path, asked=Asked())[0], before, after, clients=sample)
    except NothingToldError:
        return None

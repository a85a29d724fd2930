"""Figures among the features that follow from a client's counts and averages alone, drawn to the firm's where little is known."""

from functools import lru_cache
from math import log, log1p
from typing import Final

FEW: Final = 3
"""Outcomes or payments from which a habit begins."""

_PRIOR_LABELS: Final = 3.0  # a client needs about three outcomes before their own share outweighs the firm's


# What follows from the client alone is the same for all questions of a wake-up; a look into a cache costs a tenth of the figures.
@lru_cache(maxsize=4096)
def history(known: int, late: int, fast: float, slow: float, share: float, prior: float) -> tuple[float, ...]:  # noqa: PLR0917 - plain numbers, so that the cache finds them fast
    """Return the features about how invoices ended: shares above the firm's, and how many outcomes are known."""
    pull = _PRIOR_LABELS * share
    quick, long = min(known, 4), min(known, 12)
    return (
        logit(bounded((late + pull) / (known + _PRIOR_LABELS), 0.01, 0.99)) - prior,
        logit(bounded((fast * quick + pull) / (quick + _PRIOR_LABELS), 0.02, 0.98)) - prior,
        logit(bounded((slow * long + pull) / (long + _PRIOR_LABELS), 0.02, 0.98)) - prior,
        bounded(log1p(known) / 2 - 1, -1.0, 3.0),
        1.0 if known == 0 else 0.0,
        1.0 if known < FEW else 0.0,
    )


@lru_cache(maxsize=4096)
def passed(known: int, late: int, beyond: tuple[int, ...], share: float, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Return the logit of the share of all invoices that passed each limit; here nothing fades."""
    rows = ((known, late, share), *zip(beyond[::2], beyond[1::2], shares, strict=True))
    return tuple(
        [logit(bounded((over + _PRIOR_LABELS * prior) / (many + _PRIOR_LABELS), 0.01, 0.99)) for many, over, prior in rows]
    )


@lru_cache(maxsize=4096)
def days_late(fast: float, slow: float, spread: float, last: float, count: int, mean: float) -> tuple[float, ...]:  # noqa: PLR0917 - as above
    """Return the features about days late that need no ordering: averages, spread, and the latest."""
    return (
        bounded((fast * count + 2 * mean) / (count + 2) / 15, -2.0, 4.0),
        bounded((slow * count + 2 * mean) / (count + 2) / 15, -2.0, 4.0),
        min(spread / 10, 3.0),
        bounded(last / 15, -2.0, 4.0),
    )


def bounded(value: float, low: float, high: float) -> float:
    """Return `value`, or the bound that it is beyond."""
    # Not by min and max: this runs two dozen times a question, and a call costs more than two comparisons.
    if value < low:
        return low
    return high if value > high else value  # noqa: FURB136 - see above


def logit(share: float) -> float:
    """Return the logarithm of the odds of a share that is neither 0 nor 1."""
    return log(share / (1 - share))

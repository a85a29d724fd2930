"""Probabilities and their logits, in plain numbers: what scoring needs of the learners."""

from math import exp, log
from typing import Final

_STEEPEST: Final = 30.0  # a logit beyond this is certainty in double precision
_EDGE: Final = 0.003  # probabilities are bounded there before their logit is taken


def sigmoid(logit: float) -> float:
    """Return the probability of a logit."""
    return 1.0 / (1.0 + exp(-min(max(logit, -_STEEPEST), _STEEPEST)))


def bounded(chance: float) -> float:
    """Return a probability that no learner may exceed: nobody is that certain about a client."""
    return min(max(chance, _EDGE), 1.0 - _EDGE)


def log_loss(chance: float, *, label: bool) -> float:
    """Return the logarithmic loss of one answer, in nats."""
    return -log(bounded(chance if label else 1.0 - chance))

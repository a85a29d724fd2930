"""What somebody outside says of a client's payments, with a hard cap: it moves a score by half a logit at most, either way."""

from dataclasses import replace
from math import log
from typing import Final

from models.learners.chance import bounded, sigmoid
from models.learners.scorer import Score
from models.state.client import ClientState
from models.workdays import moment

MOST: Final = 0.5
"""Logit that a report of full weight adds or takes: at most from 50 % to 62 %, or to 38 %."""


def with_risk(score: Score | None, state: ClientState) -> Score | None:
    """Return the score with the outside report that holds now in it, and as a reason; abstaining stays abstaining."""
    risk = state.person.risk
    if score is None or risk is None or not risk.weight or state.now_ms >= risk.expires_ms:
        return score
    shift = MOST * risk.weight / 100
    before, after = bounded(score.probability), _shifted(score.probability, shift)
    direction = "raises" if risk.weight > 0 else "lowers"
    words = (
        f"{risk.reporter} {direction} it from {before:.0%} to {after:.0%} until {moment(risk.expires_ms):%Y-%m-%d}: {risk.reason}"
    )
    # What a challenger would have said in the champion's place is told, so the report moves both.
    challenger = None if score.challenger is None else _shifted(score.challenger, shift)
    return replace(score, probability=after, challenger=challenger, why=lambda: (*score.reasons, words))


def _shifted(chance: float, shift: float) -> float:
    before = bounded(chance)
    return round(sigmoid(log(before / (1 - before)) + shift), 4)

"""Small careful experiments as data: what is compared, with whom, for how long, and what would stop it.

An arm changes how a step speaks, through which channel it goes, or how long it waits; never whether it is sent, what stops it,
or which way out it offers. A company is drawn by a digest: the same in every replay, whatever order the events came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from models.ids import derive
from models.state.client import Segment
from models.triggers import AnyJourney, Tone

_DIGITS: Final = 12


class Guardrail(StrEnum):
    """What an arm must not make worse: the share of its companies of which it was heard within the experiment's days."""

    OPT_OUTS = "opt_outs"
    COMPLAINTS = "complaints"
    DISPUTES = "disputes"
    OVERRIDES = "overrides"
    SENT_AFTER_PAID = "sent_after_paid"


@dataclass(frozen=True, slots=True)
class Arm:
    """What one group gets: the step as it stands, but for what is named. `words`: said in the words of another step."""

    name: str
    weight: int = 1
    words: str = ""
    tone: Tone | None = None
    channel: str = ""
    wait_days: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms of one step, of which the first is what the others are held against. Everything is fixed before it begins.

    `least_days` is the smallest difference in days to pay that would matter, `planned` the companies it is planned for,
    `horizon_days` how long after a first exposure its outcome is known. `limits`: how much larger a guardrail's share may be than
    in the first arm, once the difference is no chance any more.
    """

    name: str
    hypothesis: str
    journey: AnyJourney
    step: str
    arms: tuple[Arm, ...]
    segments: tuple[Segment, ...] = ()
    key: str = "1"
    horizon_days: int = 30
    least_days: float = 2.0
    planned: int = 200
    limits: Mapping[Guardrail, float] = field(default_factory=lambda: MappingProxyType(dict.fromkeys(Guardrail, 0.0)))
    audiences: tuple[str, ...] = ()


def place_of(client_id: str, experiment: Experiment, *, stratum: str) -> float:
    """Return a company's place in [0, 1) in the draw of its stratum: even over companies, independent of every other draw."""
    return int(derive("experiment", experiment.key, experiment.name, stratum, client_id)[:_DIGITS], 16) / 16**_DIGITS


def drawn(client_id: str, experiment: Experiment, *, stratum: str) -> Arm:
    """Return the arm of a company, by the weights of the arms."""
    place = place_of(client_id, experiment, stratum=stratum) * sum(arm.weight for arm in experiment.arms)
    for arm in experiment.arms:
        place -= arm.weight
        if place < 0:
            return arm
    return experiment.arms[-1]


def share_of(arm: Arm, experiment: Experiment) -> float:
    """Return the chance with which a company is drawn into an arm."""
    return arm.weight / sum(row.weight for row in experiment.arms)

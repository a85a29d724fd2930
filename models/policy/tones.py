"""How firmly a message may speak: a ceiling per segment that no policy raises, and everything that makes a message softer."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from models.events.signals import Industry, Style
from models.state.client import ClientState, Run, Segment
from models.triggers import Tone
from models.workdays import DAY_MS

FIRMNESS: Final[Mapping[Tone, int]] = MappingProxyType({Tone.EDUCATIONAL: 0, Tone.GENTLE: 0, Tone.STRUCTURED: 1, Tone.FIRM: 2})
"""Educational differs from gentle in what it says, not in how hard it presses."""

CEILINGS: Final[Mapping[Segment, Tone]] = MappingProxyType(
    {Segment.NEW: Tone.GENTLE, Segment.RELIABLE: Tone.GENTLE, Segment.SLOW: Tone.STRUCTURED, Segment.PROBLEM: Tone.FIRM}
)
"""The firmest tone a segment may meet while its money is late."""

RELATIONSHIP_CEILING: Final = Tone.GENTLE
"""The firmest tone of messages that are not about late money."""


def is_above(tone: Tone, ceiling: Tone) -> bool:
    """Say whether `tone` is firmer than `ceiling`."""
    return FIRMNESS[tone] > FIRMNESS[ceiling]


def softer_than(tone: Tone) -> tuple[Tone, ...]:
    """Return the tones in which a message meant in `tone` may be said instead, the firmest first."""
    return tuple(other for other in (Tone.STRUCTURED, Tone.GENTLE) if FIRMNESS[other] < FIRMNESS[tone])


def nearest(wanted: Tone, said: Collection[Tone]) -> Tone:
    """Return the tone of `said` that comes nearest to `wanted` and is no firmer; the softest where all are firmer."""
    if wanted in said:
        return wanted
    known = sorted(said, key=lambda tone: (FIRMNESS[tone], tone.value))
    return next((tone for tone in reversed(known) if not is_above(tone, wanted)), known[0])


class Relationship(StrEnum):
    """How long the client has been with the firm."""

    YOUNG = "young"
    SETTLED = "settled"
    LONG = "long"


_SETTLED_MS: Final = 365 * DAY_MS
_LONG_MS: Final = 5 * 365 * DAY_MS


def has_tried(state: ClientState, run: Run) -> bool:
    """Say whether a person has tried to speak with the client: since they were asked to, or at all where nobody was asked."""
    since = run.started_ms if run.human else 0
    return bool(run.tried_ms) or state.care.last_human_ms > since


def tone_of(
    wanted: Tone,
    *,
    segment: Segment,
    asked: bool,
    relationship: Relationship,
    industry: Industry,
    style: Style,
    unheeded: bool = False,
) -> Tone:
    """Return the tone of a message about late money: the policy's, or a softer one, never a firmer.

    Nobody meets more than their segment's ceiling. Firm is only for clients whom a person has tried to ask (`asked`), never for
    those of many years, nor for bodies that pay by approvals: to be firm with them changes nothing but the relationship. Who
    asked for gentle messages gets them. Where a person should have asked and nobody did (`unheeded`), the ceiling is one lower.
    """
    limits = [CEILINGS[segment]]
    if not asked or relationship is Relationship.LONG or industry is Industry.SLOW_PROCESS:
        limits.append(Tone.STRUCTURED)
    if style is Style.GENTLE:
        limits.append(Tone.GENTLE)
    if unheeded:
        limits.append(next(iter(softer_than(CEILINGS[segment])), CEILINGS[segment]))
    softest = min(limits, key=FIRMNESS.__getitem__)
    return softest if is_above(wanted, softest) else wanted


def tone_for(wanted: Tone, state: ClientState, run: Run, *, segment: Segment) -> Tone:
    """Return the tone of a message of `run` as all that is known of the client suggests."""
    person, tried = state.person, has_tried(state, run)
    return tone_of(
        wanted,
        segment=segment,
        asked=tried,
        unheeded=run.human and not tried,
        relationship=relationship_of(state),
        industry=Industry(person.industry.value or Industry.ORDINARY),
        style=Style(person.style.value or Style.STANDARD),
    )


def relationship_of(state: ClientState) -> Relationship:
    """Return how long the client is known, counted from the first event about them."""
    known_ms = state.now_ms - state.first_seen_ms if state.first_seen_ms else 0
    if known_ms >= _LONG_MS:
        return Relationship.LONG
    return Relationship.SETTLED if known_ms >= _SETTLED_MS else Relationship.YOUNG

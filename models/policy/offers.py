"""Which ways out a message about late money may offer by itself, and how far they go: a table by segment, narrowed by the cause.

What a client asks for beyond it is no refusal: it stands, and a person decides how it goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from models.money import Money, exponent
from models.policy.causes import Cause
from models.state.client import Segment


class Way(StrEnum):
    """A way out: instalments, a later day, a part now and the rest later, another way of paying, another contact."""

    PLAN = "plan"
    DEFERRAL = "deferral"
    SPLIT = "split"
    METHOD = "method"
    CONTACT = "contact"


EVERY_WAY: Final = frozenset(Way)
IN_PARTS: Final = frozenset({Way.PLAN, Way.SPLIT})
"""Ways that make several payments of one, for which an amount may be too small."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is offered to a segment: at most so many instalments and days later; in parts only from `least_units` on."""

    ways: frozenset[Way] = EVERY_WAY
    most_instalments: int = 6
    most_days: int = 60
    least_units: int = 0


@dataclass(frozen=True, slots=True)
class Offers:
    """The table: terms per segment, and the ways that fit a cause where the table names it."""

    segments: Mapping[Segment, Terms] = field(default_factory=lambda: MappingProxyType({segment: Terms() for segment in Segment}))
    causes: Mapping[Cause, frozenset[Way]] = field(default_factory=lambda: MappingProxyType({}))

    def ways(self, segment: Segment, cause: Cause | None, asked: Money) -> frozenset[Way]:
        """Return what may be offered for an amount; never nothing, as the checks of the table see to."""
        terms = self.segments[segment]
        ways = terms.ways & self.causes.get(cause, EVERY_WAY) if cause else terms.ways
        is_small = asked.minor < terms.least_units * 10 ** exponent(asked.currency)
        return ways - IN_PARTS if is_small else ways

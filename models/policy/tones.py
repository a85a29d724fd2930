"""How firmly a message may speak, at most: a ceiling per segment that no policy raises."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.state.client import Segment
from models.triggers import Tone

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

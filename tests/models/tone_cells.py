"""The tone matrix as a table for people. Write it anew: python -m tests.models.tone_cells."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

from models.events.signals import Industry, Style
from models.policy.journeys import Journeys
from models.policy.tones import Relationship, tone_of
from models.state.client import Segment

GOLDEN: Final = Path(__file__).parent / "golden" / "tones.txt"
HEAD: Final = f"{'segment':<9} {'asked':<6} {'relation':<8} {'industry':<13} {'prefers':<9} step: tone"


def cells() -> Iterator[str]:
    """Yield one line per cell: everything the tone depends on, and the tone of each step of the segment's ladder."""
    yield HEAD
    for segment, asked, relation, industry, style in product(Segment, (True, False), Relationship, Industry, Style):
        said = ", ".join(
            f"{step.id}: "
            + tone_of(step.tone, segment=segment, asked=asked, relationship=relation, industry=industry, style=style).value
            for step in Journeys().delay[segment].steps
        )
        before = "yes" if asked else "no"
        yield f"{segment.value:<9} {before:<6} {relation.value:<8} {industry.value:<13} {style.value:<9} {said}"


def main() -> None:
    """Write the table."""
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("\n".join(cells()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

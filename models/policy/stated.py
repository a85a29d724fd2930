"""What the policy's checks ask about templates, which live elsewhere."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from models.triggers import AnyJourney, Tone


@dataclass(frozen=True, slots=True)
class Stated:
    """What the template of a step states, in all languages together, and the languages that lack it.

    `own` are the facts of its own words, without the help that comes first for some readers only.
    """

    facts: Collection[str]
    untranslated: Collection[str] = ()
    own: Collection[str] = ()


FactsStated: TypeAlias = Callable[[AnyJourney, str, Tone], Stated | None]
"""What the template of a step in a tone states; None where there is no template."""

"""What lint has to say: where, what is wrong, the fix, and how much it matters."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from models.policy.journeys import Step
from models.state.client import Segment
from models.triggers import AnyJourney, CancelWhen, Tone

Path: TypeAlias = tuple[str | int, ...]


class Severity(StrEnum):
    """An error keeps a policy from being used; a warning is worth a second look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, where in the document, and what to do."""

    path: Path
    message: str
    fix: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class StepPlace:
    """A step as it will be, where it is written, and the firmest tone its reader may meet."""

    path: Path
    journey: AnyJourney
    step: Step
    ceiling: Tone
    reader: str
    required: frozenset[CancelWhen]
    is_person: bool = False
    segment: Segment | None = None


def repeated(path: Path, names: list[str], taken: set[str]) -> list[Finding]:
    """Object to names of steps that are there twice, or `taken` already."""
    found, seen = [], set(taken)
    for index, name in enumerate(names):
        if name in seen:
            found.append(
                Finding((*path, index, "id"), f"{name} is there twice: the second could not be told from it", "rename it")
            )
        seen.add(name)
    return found

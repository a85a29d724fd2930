"""Which companies are left without care for a while, so that its effect can be seen: by a digest of the company, never by chance.

The same company stays in or out as long as the key stays, in every replay. Servicing is never withheld: support in a delay, with
its plans and other ways out, reaches everybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from models.events.signals import Purpose
from models.ids import derive
from models.triggers import Journey

EVERY: Final = "every journey"
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Holdout:
    """Per cent of companies left out: of all care that is not servicing, and of single journeys. Another `key` draws others."""

    percent: float = 0.0
    journeys: Mapping[Journey, float] = field(default_factory=lambda: MappingProxyType({}))
    key: str = "2026"


def place_of(client_id: str, *, key: str, name: str) -> float:
    """Return a company's place between 0 and 100 in the draw `name`: even over companies, independent of other draws."""
    return int(derive("holdout", key, name, client_id)[:_DIGITS], 16) / 16**_DIGITS * 100


def held_out(client_id: str, journey: Journey, *, purpose: Purpose, holdout: Holdout) -> str | None:
    """Return why the company is left without this contact, None when it is not."""
    if purpose is Purpose.SERVICING:
        return None
    draws = ((EVERY, holdout.percent), (journey.value, holdout.journeys.get(journey, 0.0)))
    for name, percent in draws:
        if percent and place_of(client_id, key=holdout.key, name=name) < percent:
            return f"this company is among the {percent:g} % without {name}, so that the effect of care can be measured"
    return None

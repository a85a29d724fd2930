"""Which companies are left without care for a while, so that its effect can be seen: by a digest of the company, never by chance.

The same company stays in or out as long as the key stays, in every replay; where the policy rotates, until its months are over,
so that nobody is left out for good. Servicing is never withheld: support in a delay, with its plans and other ways out, reaches
everybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from models.events.signals import Purpose
from models.ids import derive
from models.triggers import AnyJourney, ExperimentArm
from models.workdays import moment

EVERY: Final = "every journey"
LEFT_OUT: Final = "left_out"
CARED_FOR: Final = "cared_for"
_DIGITS: Final = 12
_LEAST_SHARE: Final = 0.0001  # what a record can say


@dataclass(frozen=True, slots=True)
class Holdout:
    """Per cent of companies left out: of all care that is not servicing, and of single journeys. Another `key` draws others.

    `rotate_months`: others are drawn by themselves after so many months of the calendar (UTC); 0: never.
    """

    percent: float = 0.0
    journeys: Mapping[AnyJourney, float] = field(default_factory=lambda: MappingProxyType({}))
    key: str = "2026"
    rotate_months: int = 0

    def key_at(self, at_ms: int) -> str:
        """Return what companies are drawn by at a moment (epoch ms)."""
        if not self.rotate_months:
            return self.key
        day = moment(at_ms)
        return f"{self.key}@{(day.year * 12 + day.month - 1) // self.rotate_months}"


def place_of(client_id: str, *, key: str, name: str) -> float:
    """Return a company's place between 0 and 100 in the draw `name`: even over companies, independent of other draws."""
    return int(derive("holdout", key, name, client_id)[:_DIGITS], 16) / 16**_DIGITS * 100


def held_out(client_id: str, journey: AnyJourney, *, purpose: Purpose, holdout: Holdout, at_ms: int) -> str | None:
    """Return why the company is left without this contact at a moment (epoch ms), None when it is not."""
    if purpose is Purpose.SERVICING:
        return None
    draws = ((EVERY, holdout.percent), (journey.value, holdout.journeys.get(journey, 0.0)))
    for name, percent in draws:
        if percent and place_of(client_id, key=holdout.key_at(at_ms), name=name) < percent:
            return f"this company is among the {percent:g} % without {name}, so that the effect of care can be measured"
    return None


def draws_of(
    client_id: str, journey: AnyJourney, *, purpose: Purpose, holdout: Holdout, stratum: str, at_ms: int, out: bool
) -> tuple[ExperimentArm, ...]:
    """Return the draws a contact stands under, for the record: its journey's, and that of all care where there is one.

    `out`: the company is left out, see `held_out`, by either draw; `share` is the chance of the arm it is in.
    """
    own = holdout.journeys.get(journey, 0.0)
    if purpose is Purpose.SERVICING or not (own or holdout.percent):
        return ()
    found = [_record(journey.value, stratum, out=out, chance=1 - (1 - holdout.percent / 100) * (1 - own / 100))]
    if holdout.percent:
        of_all = out and (not own or place_of(client_id, key=holdout.key_at(at_ms), name=EVERY) < holdout.percent)
        found.append(_record(EVERY, stratum, out=of_all, chance=holdout.percent / 100))
    return tuple(found)


def _record(name: str, stratum: str, *, out: bool, chance: float) -> ExperimentArm:
    share = max(round(chance if out else 1 - chance, 4), _LEAST_SHARE)
    return ExperimentArm(name=name, arm=LEFT_OUT if out else CARED_FOR, stratum=stratum, share=share)

"""Hours of a week and the zones in which they are meant, as people write them."""

from datetime import time
from typing import Annotated, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from models.policy.document_parts import Section
from models.workdays import Window

_W: Final = Window()
Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"{name!r} is not an IANA zone such as Europe/Berlin"
        raise ValueError(message) from error
    return name


Zone: TypeAlias = Annotated[str, AfterValidator(_known_zone)]


class Hours(Section):
    """When contact is welcome, in the client's own time."""

    opens: time = _W.opens
    closes: time = _W.closes
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = tuple(
        name for index, name in enumerate(WEEKDAYS) if index in _W.weekdays
    )

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.opens >= self.closes:
            message = f"opens ({self.opens:%H:%M}) must be before closes ({self.closes:%H:%M})"
            raise ValueError(message)
        return self

    def window(self) -> Window:
        """Return these hours as the policy keeps them."""
        return Window(self.opens, self.closes, frozenset(WEEKDAYS.index(name) for name in self.weekdays))

    @classmethod
    def of(cls, window: Window) -> Self:
        """Return the hours of a policy as a document states them."""
        return cls(opens=window.opens, closes=window.closes, weekdays=_weekday_names(window))


def _weekday_names(window: Window) -> tuple[Weekday, ...]:
    return tuple(name for index, name in enumerate(WEEKDAYS) if index in window.weekdays)

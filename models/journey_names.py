"""The journeys a client may be on: ours, known by their place, and those that a firm has declared itself, known by their name."""

from enum import StrEnum
from typing import Annotated, Final, Protocol, TypeAlias

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Journey(StrEnum):
    """The journeys a client may be on. States and runs know them by their place in this list: new ones go to the end."""

    ONBOARDING = "post_payment_onboarding"
    RENEWAL = "pre_renewal"
    DELAY_SUPPORT = "delayed_payment_support"
    RENEWAL_CLIFF = "renewal_cliff"
    SEASON_CLEANUP = "season_cleanup"
    BANK_DEBIT = "bank_debit"
    BURST_CHECKIN = "burst_checkin"
    GAP_CHECKIN = "gap_checkin"
    STATEMENT = "monthly_statement"


PLACES: Final = {journey: place for place, journey in enumerate(Journey)}
"""Each of them with its place."""

RENEWALS: Final = (Journey.RENEWAL, Journey.RENEWAL_CLIFF)
"""Those that go before a renewal."""


class OwnJourney(str):
    """The name of a journey that a firm has declared itself; it stands wherever the name of one of ours does."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """The name, as of a member of `Journey`."""
        return str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take a name on the wire."""
        del source, handler
        names = core_schema.str_schema(pattern=OWN_NAME, max_length=MOST_LETTERS)
        return core_schema.no_info_after_validator_function(cls, names)


OWN_NAME: Final = r"^[a-z][a-z0-9_]*$"
MOST_LETTERS: Final = 40
OWN_JOURNEYS: Final = "own_journeys"
"""In a hold or a stop: every journey of the firm's own."""

AnyJourney: TypeAlias = Annotated[Journey | OwnJourney, Field(union_mode="left_to_right")]
"""One of ours, or one of the firm's own, by its name."""


def names_of(journey: AnyJourney) -> tuple[str, ...]:
    """Return the names under which people may hold or stop a journey: who stops support stops statements, both ask for money."""
    if journey is Journey.STATEMENT:
        return (journey.value, Journey.DELAY_SUPPORT.value)
    return (journey.value,) if isinstance(journey, Journey) else (journey.value, OWN_JOURNEYS)


class Placed(Protocol):
    """What keeps a journey by its place, and an anchor."""

    @property
    def journey(self) -> int:
        """The place of the journey, or OWN."""

    @property
    def anchor(self) -> str:
        """What it is about; the name of a journey of the firm's own goes before it."""

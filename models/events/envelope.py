"""What every event carries: identity, sender and the four clocks."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.money import Money


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        message = "a moment at the very edge of the calendar has no UTC equivalent"
        raise ValueError(message) from error


def _positive(value: Money) -> Money:
    if value.minor <= 0:
        message = f"amount must be above zero, got {value}; refunds and credits have event kinds of their own"
        raise ValueError(message)
    return value


Instant: TypeAlias = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment with a zone; kept in UTC. A date without a zone is refused, never guessed."""

Identifier: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
"""A name given by the sender or derived by us; never empty, at most 200 characters."""

PositiveMoney: TypeAlias = Annotated[Money, AfterValidator(_positive)]
"""An amount above zero. The direction is in the event kind, never in the sign."""


# An event's own moments are asked for some ten times while it is folded; equal aware datetimes are the same moment.
@lru_cache(maxsize=4096)
def epoch_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970-01-01 UTC, the unit in which states keep time."""
    return round(moment.timestamp() * 1000)


class Envelope(BaseModel):
    """Common part of every event. Frozen; unknown fields are refused so that a typo is noticed, not dropped.

    `event_id` identifies the delivery (the same fact sent twice has the same id); the fact itself is identified by the ids
    of its family (`payment_id`, `invoice_id`, ...).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="iso8601")

    schema_version: Literal[1] = 1
    event_id: Identifier
    source: Identifier = Field(description="Sender: stripe, gocardless, an importer's name, ...")
    occurred_at: Instant = Field(description="When it happened, by the sender's clock.")
    effective_at: Instant | None = Field(
        default=None, description="When it counts (due, value or settlement date); default occurred_at."
    )
    received_at: Instant | None = Field(default=None, description="When it reached us; stamped once, at the edge.")

    @property
    def occurred_ms(self) -> int:
        """`occurred_at` in epoch milliseconds."""
        return epoch_ms(self.occurred_at)

    @property
    def effective_ms(self) -> int:
        """`effective_at`, or `occurred_at` where the sender named none, in epoch milliseconds."""
        return epoch_ms(self.effective_at or self.occurred_at)

    @property
    def received_ms(self) -> int:
        """`received_at`, or `occurred_at` while it is not stamped yet, in epoch milliseconds."""
        return epoch_ms(self.received_at or self.occurred_at)


class PassedOn(BaseModel):
    """How an event that named another client came here: by those merged into this one, the first one named first.

    `children` are those who passed it on to where their facts are, such as to who pays for them; `path` tells of merges since.
    `number` counts what the last of them has ever passed on: so what arrives twice is known, for ever, by one number. `first` is
    the number with which it began to pass on to this client.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: tuple[Identifier, ...] = ()
    children: tuple[Identifier, ...] = ()
    number: Annotated[int, Field(ge=1)]
    first: Annotated[int, Field(ge=1)]

    @property
    def sender(self) -> str:
        """Who passed it on last."""
        return (*self.children, *self.path)[-1]

    @model_validator(mode="after")
    def _came_from_somebody(self) -> "PassedOn":
        if not self.path and not self.children:
            message = "an event that was passed on names who passed it on, in `path` or in `children`"
            raise ValueError(message)
        return self


class ClientEvent(Envelope):
    """An event about one client of the firm."""

    client_id: Identifier = Field(description="The firm's client; the key of the log.")
    passed_on: PassedOn | None = Field(
        default=None, description="Written by Rapport alone: whose event it was before it was passed on."
    )

"""What a decision read of something learnt: the value, as of when, how old that was, and how good. Part of its record."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.events.envelope import Identifier, Instant


class LearntKind(StrEnum):
    """What was learnt: the chance that an invoice is late, by when it is paid, that a contract is renewed, how a client pays."""

    SCORE = "score"
    PAY_DATE = "pay_date"
    RENEWAL = "renewal"
    SEGMENT = "segment"


class Quality(StrEnum):
    """`fair`: the learners were trusted less when it was said. `stale`: older than the policy allows, so rules decided."""

    GOOD = "good"
    FAIR = "fair"
    STALE = "stale"


class Learnt(BaseModel):
    """One learnt value as a decision saw it. A stale one is told and not used.

    `age_days` counts from `as_of`: when the features were read, or when the newest invoice behind a segment ended. `value` is a
    probability, of a pay date the days after due, of a segment how sure the filter is. `features` are base64 of half-precision
    floats in the order of the feature table whose hash is `table`: what the learner saw; none where it was none that spoke.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: LearntKind
    about: Identifier | None = Field(default=None, description="The invoice or the contract that was asked about.")
    value: float
    as_of: Instant
    age_days: Annotated[float, Field(ge=0)]
    quality: Quality
    most_days: int | None = Field(default=None, description="How old it may be by the policy; none: as old as it is.")
    trained_at: Instant | None = Field(default=None, description="What became known later its learner did not know.")
    version: str = ""
    table: str | None = None
    features: str | None = None

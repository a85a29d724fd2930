"""A snapshot as it stands on the topic `learner.snapshots`: the bytes, what they were learned from, and how good they were."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.events.envelope import Identifier, Instant
from models.learners.judging import Judge, Series


class Record(BaseModel):
    """How one who answers did on the latest answers: log loss (nats), AUC (none while all answers are alike), calibration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: int
    log_loss: float
    auc: float | None = None
    calibration_error: float


class LearnerSnapshot(BaseModel):
    """One version of a learner, kept so that a person can go back to it: `rapport learners list`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["learner.snapshot"] = "learner.snapshot"
    schema_version: Literal[1] = 1
    learner: Identifier
    version: Identifier
    table: str = Field(description="Hash of the feature table it was made from.")
    trained_at: Instant = Field(description="It knows nothing that became known later.")
    learned: int = Field(description="Examples it has learned.")
    trust: float = Field(description="Weight against the rules, 1 unless clients lately pay differently than before.")
    drifts: int = Field(description="Times a drift was noticed so far.")
    candidate: Record
    rules: Record
    live: Record
    range_held: float | None = Field(
        default=None, description="Share of invoices that were paid within the 90 % range given for them; open past it is not."
    )
    snapshot: Annotated[str, StringConstraints(max_length=90_000)] = Field(description="The bytes, in base64.")


def record_of(series: Series) -> Record:
    """Return what a series came to, rounded for people."""
    auc = series.auc()
    return Record(
        answers=series.answers,
        log_loss=round(series.loss, 4),
        auc=None if auc is None else round(auc, 4),
        calibration_error=round(series.error(), 4),
    )


def range_held(judge: Judge) -> float | None:
    """Return the share of invoices that were paid within their 90 % range, none before the first."""
    return round(judge.held, 4) if judge.ranges else None

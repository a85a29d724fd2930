"""Delays, disputes and promises to pay. Public topic: `delays`."""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.events.envelope import ClientEvent, Identifier, Instant, PositiveMoney


class DelayReported(ClientEvent):
    """An accounting system or a person says that an invoice is or will be paid late."""

    kind: Literal["delay.reported"] = "delay.reported"
    invoice_id: Identifier
    expected_at: Instant | None = None
    cause: Annotated[str, Field(max_length=200)] | None = None


class DisputeReason(StrEnum):
    """What a dispute is about, so that the right person answers it."""

    AMOUNT = "amount"
    WORK = "work"
    NOT_ORDERED = "not_ordered"
    PAID = "paid"
    DETAILS = "details"
    OTHER = "other"


class DisputeOpened(ClientEvent):
    """The client contests an invoice, or everything where no invoice is named."""

    kind: Literal["dispute.opened"] = "dispute.opened"
    dispute_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney | None = Field(default=None, description="The contested part; default all of the invoice.")
    cause: Annotated[str, Field(max_length=200)] | None = None
    reason: DisputeReason | None = Field(
        default=None,
        description="amount: rate, hours or sum; work: what was delivered; not_ordered; paid: already, or billed twice; details:"
        " address, tax or order number.",
    )


class DisputeOutcome(StrEnum):
    """How a dispute ended, seen from the firm."""

    WON = "won"
    LOST = "lost"
    WITHDRAWN = "withdrawn"


class DisputeClosed(ClientEvent):
    """A dispute ended; collection restarts with fresh grace."""

    kind: Literal["dispute.closed"] = "dispute.closed"
    dispute_id: Identifier
    outcome: DisputeOutcome = DisputeOutcome.WITHDRAWN


class PromiseMade(ClientEvent):
    """The client promised to pay by `promised_at`; it holds what it covers until then."""

    kind: Literal["promise.made"] = "promise.made"
    promise_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney | None = Field(default=None, description="What is promised; default all that is open.")
    promised_at: Instant


class PromiseWithdrawn(ClientEvent):
    """A promise to pay was taken back."""

    kind: Literal["promise.withdrawn"] = "promise.withdrawn"
    promise_id: Identifier


class Instalment(BaseModel):
    """One part of a plan, and by when it is to be paid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    due_at: Instant
    amount: PositiveMoney


class PlanAgreed(ClientEvent):
    """An invoice is paid in instalments, or, with one, later. It is not asked for while they are paid; each has its own day."""

    kind: Literal["plan.agreed"] = "plan.agreed"
    plan_id: Identifier
    invoice_id: Identifier
    instalments: Annotated[tuple[Instalment, ...], Field(min_length=1, max_length=36)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days = [row.due_at for row in self.instalments]
        if any(later <= earlier for earlier, later in pairwise(days)):
            message = "instalments stand in the order of their days, each later than the one before"
            raise ValueError(message)
        if len({row.amount.currency for row in self.instalments}) > 1:
            message = "all instalments of a plan are in one currency"
            raise ValueError(message)
        return self


class PlanCancelled(ClientEvent):
    """A plan holds no more, as if it had never been agreed: the whole invoice is owed by its own due date again."""

    kind: Literal["plan.cancelled"] = "plan.cancelled"
    plan_id: Identifier

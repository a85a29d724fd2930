"""Delays, disputes and promises to pay. Public topic: `delays`."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from models.events.envelope import ClientEvent, Identifier, Instant, PositiveMoney


class DelayReported(ClientEvent):
    """An accounting system or a person says that an invoice is or will be paid late."""

    kind: Literal["delay.reported"] = "delay.reported"
    invoice_id: Identifier
    expected_at: Instant | None = None
    cause: Annotated[str, Field(max_length=200)] | None = None


class DisputeOpened(ClientEvent):
    """The client contests an invoice, or everything where no invoice is named."""

    kind: Literal["dispute.opened"] = "dispute.opened"
    dispute_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney | None = Field(default=None, description="The contested part; default all of the invoice.")
    cause: Annotated[str, Field(max_length=200)] | None = None


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

"""Invoices, credit notes and contracts. Public topic: `invoices`."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.events.envelope import ClientEvent, Identifier, Instant, PositiveMoney


class InvoiceIssued(ClientEvent):
    """The firm asked for money. `effective_at` is the issue date."""

    kind: Literal["invoice.issued"] = "invoice.issued"
    invoice_id: Identifier
    amount: PositiveMoney
    due_at: Instant
    lines: Annotated[int, Field(ge=1, le=100_000)] = 1
    service_line: Annotated[str, Field(max_length=100)] | None = None
    contract_id: Identifier | None = None


class InvoiceAmended(ClientEvent):
    """Amount or due date changed; the latest by `occurred_at` holds."""

    kind: Literal["invoice.amended"] = "invoice.amended"
    invoice_id: Identifier
    amount: PositiveMoney | None = None
    due_at: Instant | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.amount is None and self.due_at is None:
            message = "an amendment names a new amount, a new due_at or both"
            raise ValueError(message)
        return self


class InvoiceVoided(ClientEvent):
    """The invoice was withdrawn: it was never owed."""

    kind: Literal["invoice.voided"] = "invoice.voided"
    invoice_id: Identifier


class InvoiceWrittenOff(ClientEvent):
    """The firm gave up on what is still open."""

    kind: Literal["invoice.written_off"] = "invoice.written_off"
    invoice_id: Identifier


class InvoiceReinstated(ClientEvent):
    """A write-off was taken back: what is open is owed again, as if the firm had never given it up.

    It holds against a write-off of the same moment or before, in either order of arrival. Five weeks after an invoice was last
    heard of only its name and the sums are kept (sooner with more than 16 closed ones): then a person is asked what is owed.
    """

    kind: Literal["invoice.reinstated"] = "invoice.reinstated"
    invoice_id: Identifier


class CreditNoteIssued(ClientEvent):
    """The firm owes less: against one invoice, or on account without `invoice_id`."""

    kind: Literal["credit_note.issued"] = "credit_note.issued"
    credit_note_id: Identifier
    invoice_id: Identifier | None = None
    amount: PositiveMoney


class CreditNoteVoided(ClientEvent):
    """A credit note was withdrawn."""

    kind: Literal["credit_note.voided"] = "credit_note.voided"
    credit_note_id: Identifier


class ContractStatus(StrEnum):
    """Where a contract (retainer, subscription, engagement) stands."""

    ACTIVE = "active"
    TRIAL = "trial"
    PAUSED = "paused"
    PAST_DUE = "past_due"
    ENDED = "ended"


class ContractRecorded(ClientEvent):
    """What is agreed with the client now; the latest by `occurred_at` holds."""

    kind: Literal["contract.recorded"] = "contract.recorded"
    contract_id: Identifier
    status: ContractStatus = ContractStatus.ACTIVE
    contract_type: Annotated[str, Field(max_length=100)] = "retainer"
    service_line: Annotated[str, Field(max_length=100)] | None = None
    started_at: Instant | None = None
    renews_at: Instant | None = Field(default=None, description="Next renewal or billing; none once ending.")
    amount: PositiveMoney | None = Field(default=None, description="Price of one period.")
    acquisition_cost: PositiveMoney | None = Field(
        default=None,
        description="What winning the client cost, told with the contract that won them, in the currency of its price.",
    )

    @model_validator(mode="after")
    def _cost_in_the_currency_of_the_price(self) -> Self:
        if self.amount and self.acquisition_cost and self.amount.currency != self.acquisition_cost.currency:
            message = (
                f"acquisition_cost is in {self.acquisition_cost.currency}, amount in {self.amount.currency}: convert it first"
            )
            raise ValueError(message)
        return self

"""What the core asks the channels to do: triggers, their retractions, and a decision record for every send and silence."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from models.events.envelope import Identifier, Instant
from models.events.signals import Purpose, Role
from models.events.union import AnyClientEvent
from models.journey_names import AnyJourney, Journey, OwnJourney
from models.learnt import Learnt
from models.money import Money

__all__ = ["AnyJourney", "Journey", "OwnJourney"]

_LONGEST_ANCHOR: Final = 260
"""An `Identifier`, the name of a journey of the firm's own before it and the day of a renewal after it."""


class Tone(StrEnum):
    """How a message speaks; a segment sets the ceiling."""

    EDUCATIONAL = "educational"
    GENTLE = "gentle"
    STRUCTURED = "structured"
    FIRM = "firm"


class CancelWhen(StrEnum):
    """A predicate on the client's state; when it holds, the trigger must not be delivered any more. New ones go to the end."""

    INVOICES_SETTLED = "invoices_settled"
    INVOICES_DISPUTED = "invoices_disputed"
    INVOICES_PROMISED = "invoices_promised"
    PAYMENT_REVERSED = "payment_reversed"
    CONTRACT_ENDED = "contract_ended"
    CONTRACT_RENEWED = "contract_renewed"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ON_HOLD = "on_hold"
    CLIENT_ERASED = "client_erased"
    PATTERN_ENDED = "pattern_ended"
    CLIENT_ANSWERED = "client_answered"
    EARLIER_UNSENT = "earlier_unsent"
    CLIENT_MERGED = "client_merged"
    DECIDED_ANEW = "decided_anew"


class _Output(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    client_id: Identifier
    decided_at: Instant


APPROVE: Final = "approve_"
"""Begins the names of tasks in which a person approves a step before it leaves."""

MOST_ITEMS: Final = 12
"""Invoices listed in one statement at most; a message about more says how many there are."""


class StatementItem(BaseModel):
    """One line of a statement: what is open on an invoice before credit is taken off, and when it was due."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    invoice_id: Identifier
    open: Money
    due_on: date
    instalment: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Of an invoice that is paid in instalments: which one this line is about, from 1 on."
    )


class ExperimentArm(BaseModel):
    """The arm of an experiment in which a step is taken: drawn once per company, with chance `share`, within its stratum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Identifier
    arm: Identifier
    stratum: Identifier
    share: Annotated[float, Field(gt=0, le=1)]


class StatementTotal(BaseModel):
    """What a statement comes to in one currency: `open` is what is asked for, after `credit` has been taken off.

    `credit` are credit notes and money on account; `invoices` counts those of the currency, listed or not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    open: Money
    credit: Money
    invoices: Annotated[int, Field(ge=1)]


class Ruled(BaseModel):
    """Who had the say in one matter of a message: invoice, override, contact, segment or default, and in whose name.

    `instead` is what would have held had nobody overruled anything: for urgency 0 days, for a segment that of the rules.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    matter: str
    value: str
    level: str
    who: str
    instead: str | None = None


class Trigger(_Output):
    """Contact a client: one step of one journey on one channel.

    `trigger_id` is derived from client, journey, anchor, step and run, so a replay gives the same id and a provider can use
    it as idempotency key. Deliver not before `not_before`, never at or after `expires_at`, and only while no predicate of
    `cancel_when` holds. Templates may use `facts` only; they were chosen by `purpose`.
    """

    kind: Literal["trigger"] = "trigger"
    trigger_id: Identifier
    journey: AnyJourney = Field(description="One of these, or a journey that the firm has declared itself, by its name.")
    anchor: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_ANCHOR, strip_whitespace=True)] = Field(
        description="What the run is about: an invoice, a payment, a contract with its period, or a client; after its name and a"
        " colon in a journey of the firm's own."
    )
    lineage: Identifier | None = Field(
        default=None,
        description="Shared by all contacts of a run: a step tried anew on another channel, and the call that follows a mail.",
    )
    step: Identifier
    channel: Identifier
    purpose: Purpose
    legal_basis: Literal["contract", "legitimate_interest", "consent"]
    tone: Tone
    not_before: Instant
    expires_at: Instant
    cancel_when: tuple[CancelWhen, ...]
    invoice_ids: tuple[Identifier, ...] = ()
    contract_id: Identifier | None = None
    payment_id: Identifier | None = None
    facts: dict[str, str | int | bool | Money] = Field(default_factory=dict)
    statement: Annotated[tuple[StatementItem, ...], Field(max_length=MOST_ITEMS)] = Field(
        default=(), description="The open invoices of a message about several, the oldest first; of servicing messages only."
    )
    totals: tuple[StatementTotal, ...] = Field(
        default=(),
        description="What a statement comes to per currency, never added; `amount_open` is the first of them.",
    )
    audience: Role | None = Field(default=None, description="Whom at the client it is for; none: the profile's address.")
    reasons: Annotated[tuple[str, ...], Field(min_length=1)]
    segment: str
    score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="P(late) when decided; none: too little history, or older than the policy allows."
    )
    policy_version: str
    learner_version: str
    words: Identifier | None = Field(default=None, description="The step in whose words it is said; none: its own.")
    experiment: ExperimentArm | None = Field(default=None, description="Only where the arms differ for this client.")


class Retraction(_Output):
    """A trigger must not be delivered any more. Workers acknowledge it with a delivery outcome."""

    kind: Literal["retraction"] = "retraction"
    trigger_id: Identifier
    channel: Identifier
    because: CancelWhen
    reasons: tuple[str, ...] = ()


class DecisionOutcome(StrEnum):
    """What was decided about one step or where a client stands, or found out about a message afterwards.

    `cancelled_yet_delivered`: it left although it had been taken back. `sent_after_paid`: it left after the payment had reached
    us; the aim is none. `unacknowledged`: it was taken back, and no worker has said whether it left. `migrated`: a run under way
    goes on by another policy from now on.
    """

    TRIGGERED = "triggered"
    SUPPRESSED = "suppressed"
    HELD = "held"
    RETRACTED = "retracted"
    SEGMENT_CHANGED = "segment_changed"
    CANCELLED_YET_DELIVERED = "cancelled_yet_delivered"
    SENT_AFTER_PAID = "sent_after_paid"
    UNACKNOWLEDGED = "unacknowledged"
    AUDIENCE_CHANGED = "audience_changed"
    MIGRATED = "migrated"


class SegmentChange(BaseModel):
    """A client moved: from where, to where, what made the rules say so, how sure the filter is, and the money involved.

    `held_days` is how long the rules had said the same, `certainty` the probability that the move goes the right way. `open` is
    what may be collected per currency, `received` what came in within 13 months in the currency of most of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str
    cause: str
    held_days: Annotated[int, Field(ge=0)] = 0
    certainty: Annotated[float, Field(ge=0, le=1)] | None = None
    open: tuple[Money, ...] = ()
    received: Money | None = None


class Decision(_Output):
    """Why something was sent, held or not sent: the record behind `rapport inspect`."""

    kind: Literal["decision"] = "decision"
    decision_id: Identifier
    outcome: DecisionOutcome
    journey: AnyJourney | None = None
    anchor: str | None = None
    step: str | None = None
    channel: str | None = None
    trigger_id: str | None = None
    late_seconds: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Seconds between what had become known and the message that left all the same."
    )
    reasons: Annotated[tuple[str, ...], Field(min_length=1)]
    segment: str
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    policy_version: str
    learner_version: str
    challenger_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="P(late) as a challenger beside the learner says it; it decided nothing."
    )
    challenger_version: str | None = None
    change: SegmentChange | None = Field(default=None, description="Of outcomes segment_changed and audience_changed: the move.")
    experiment: ExperimentArm | None = Field(
        default=None, description="The exposure: the arms of this experiment differ here, and this is the client's."
    )
    holdouts: tuple[ExperimentArm, ...] | None = Field(
        default=None, description="The draws of holdouts this contact stands under, at the moment it would leave or is left out."
    )
    rulings: tuple[Ruled, ...] | None = Field(
        default=None, description="Who won in channel, tone, urgency or segment, where anybody spoke above the default."
    )
    learnt: tuple[Learnt, ...] | None = Field(
        default=None, description="What was read of what learners said: the score with its features, and what else it rests on."
    )


class Cohort(BaseModel):
    """Which clients and work an answer belongs to, for curves by onboarding month, service line and contract type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    onboarded: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")] = Field(description="Month of the client's first event.")
    service_line: str = ""
    contract_type: str = ""


class Question(BaseModel):
    """A question about one invoice as it was put, with the prediction given for it.

    `features` are base64 of half-precision floats in the order of the feature table whose hash the example names; `chances` are
    P(more than 5, 15, 30 days late), -1 where it was decided already; `days` the days after due at the levels .05, .5, .9, .95.
    `shadow` are the chances that a challenger gives from the same features; it decided nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    landmark: int
    asked_ms: int
    features: str
    chances: tuple[float, ...] = ()
    days: tuple[float, ...] = ()
    version: str = ""
    shadow: tuple[float, ...] | None = None
    shadow_version: str | None = None


class Example(_Output):
    """Questions whose answer became known at `decided_at`: what the trainers learn from.

    `over_days` 5, 15 or 30: was the invoice still open when so many days after due had passed? `over_days` 0: it was settled
    `days_late` days after due. An invoice that is still open has no `days_late` yet (censored).
    """

    kind: Literal["example"] = "example"
    invoice_id: Identifier
    over_days: int
    late: bool
    days_late: int | None = None
    due_day: int
    log_amount: float
    table: str = Field(description="Hash of the feature table.")
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]
    cohort: Cohort | None = Field(default=None, description="With `over_days` 30, which every invoice has once: whose it is.")


class ExamplesWithdrawn(_Output):
    """The client has been erased: its examples are to be forgotten, and no trainer learns from them any more."""

    kind: Literal["examples.withdrawn"] = "examples.withdrawn"


class RenewalQuestion(BaseModel):
    """A question about one renewal as it was put: `chances` are P(renewed), P(renewed for more), P(client leaves).

    `features` are base64 of half-precision floats in the order of the renewal table; -1 is a chance that was not given.
    `shadow` are the chances that a challenger gives from the same features; it decided nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    landmark: int
    asked_ms: int
    features: str
    chances: tuple[float, ...] = ()
    version: str = ""
    shadow: tuple[float, ...] | None = None
    shadow_version: str | None = None


class RenewalExample(_Output):
    """One period of a contract and how it ended, known at `decided_at`: what the renewal learners learn from.

    Answered for every contract at the same time after its renewal date, whether the word came early, late or never. `age` counts
    the renewals before, `minor` is the price of the period, `after` that of the next one (0: none), `earned` what the contract's
    periods up to this one's end were worth. A period that ended before a question was due has no questions, but still counts.
    """

    kind: Literal["renewal_example"] = "renewal_example"
    contract_id: Identifier
    contract_type: str
    segment: str
    renewed: bool
    raised: bool = Field(description="Renewed for at least a tenth more.")
    left: bool = Field(description="No running contract and no new invoice remained.")
    age: int
    began_day: int
    renews_day: int
    tenure_days: int = Field(description="From the start of the contract to the beginning of this period.")
    minor: int
    after: int
    earned: int
    cost: int = Field(default=0, description="What winning the client cost, where it was told with this contract; 0: it was not.")
    currency: str
    table: str = Field(description="Hash of the renewal table.")
    questions: tuple[RenewalQuestion, ...] = ()
    cohort: Cohort | None = None


B = TypeVar("B", bound=BaseModel)


def built(contract: type[B], fields: dict[str, Any]) -> B:
    """Return a `contract` holding `fields`, which must name all of its fields in values that are valid already.

    For the core alone, whose outputs are made of what contracts have let in before; a law holds them against the contract.
    Checking each again would cost more than making it. `fields` belongs to the result afterwards.
    """
    made = contract.__new__(contract)
    _set_content(made, fields)
    _set_names(made, _NAMES[contract])
    _set_extra(made, None)
    _set_private(made, None)
    return made


# The contracts are frozen: their slots are set as pydantic itself sets them, past the frozen attributes.
_set_content, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[slot].__set__
    for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)

_NAMES: dict[type[BaseModel], set[str]] = {
    contract: set(contract.model_fields)
    for contract in (Trigger, Retraction, Decision, Question, Cohort, Example, StatementItem, StatementTotal)
}

ChannelRecord: TypeAlias = Trigger | Retraction
Output: TypeAlias = Trigger | Retraction | Decision | Example | RenewalExample | ExamplesWithdrawn
AnyOutput: TypeAlias = Output | AnyClientEvent
"""Outputs, and events that go back on the log because they are another client's now."""

CHANNEL_RECORD_ADAPTER: TypeAdapter[ChannelRecord] = TypeAdapter(Annotated[ChannelRecord, Field(discriminator="kind")])
"""Reads one record of a `triggers.<channel>` topic."""

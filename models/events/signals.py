"""What people and channel workers tell us: consent, profile, overrides, outcomes. Public topic: `signals`."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from models.addresses import ADDRESS_DIGEST
from models.events.envelope import ClientEvent, Identifier, Instant

ANY_HOUR: Final = "any"
"""The client has no wish about hours, or none any more."""

_CLOCK: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS: Final = rf"^({ANY_HOUR}|{_CLOCK}-{_CLOCK})$"


def _long_enough(hours: str) -> str:
    if hours != ANY_HOUR:
        begins, ends = (60 * int(clock[:2]) + int(clock[3:]) for clock in hours.split("-"))
        if ends < begins + 60:
            message = f"hours last an hour at least and end on the day they begin, got {hours}"
            raise ValueError(message)
    return hours


class Purpose(StrEnum):
    """Why a client is contacted; each has its own lawful basis and its own allowed facts."""

    SERVICING = "servicing"
    RELATIONSHIP = "relationship"
    PROMOTION = "promotion"


class Role(StrEnum):
    """What a person at the client does with our messages."""

    FINANCE_LEAD = "finance_lead"
    ACCOUNTS_PAYABLE = "accounts_payable"
    PROJECT_MANAGER = "project_manager"
    PARTNER = "partner"


class Style(StrEnum):
    """How a client wants to be spoken to: it can only make a message softer."""

    STANDARD = "standard"
    GENTLE = "gentle"


class Industry(StrEnum):
    """What a client's industry means for how its payments are asked for.

    `slow_process`: the public sector, universities and grant-funded bodies, which pay by approvals and not by persuasion.
    """

    ORDINARY = "ordinary"
    SLOW_PROCESS = "slow_process"


class Colleague(BaseModel):
    """A person at the client: their role, and how to reach and address them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    name: Annotated[str, Field(max_length=200)] | None = None
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None
    locale: Annotated[str, Field(max_length=20)] | None = None


class ClientProfiled(ClientEvent):
    """How to reach and address the client; fields left out keep their value, the latest by `occurred_at` holds."""

    kind: Literal["client.profiled"] = "client.profiled"
    name: Annotated[str, Field(max_length=200)] | None = None
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="IANA name, e.g. Europe/Berlin.")
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    locale: Annotated[str, Field(max_length=20)] | None = None
    style: Style | None = None
    industry: Industry | None = None
    channel: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z][a-z0-9_]*$")] | None = Field(
        default=None,
        description="How the client wants to be reached, e.g. sms; used where the firm's policy allows that channel.",
    )
    hours: Annotated[str, StringConstraints(pattern=_HOURS), AfterValidator(_long_enough)] | None = Field(
        default=None,
        description="The hours of their own day in which the client wants to be written to, e.g. 09:00-12:00, an hour at"
        " least; any: they have no wish any more. Quiet hours stay quiet: what lies in them is not met.",
    )
    statements: Literal["yes", "no"] | None = Field(
        default=None, description="Whether the client wants monthly statements of small open invoices, where the firm sends them."
    )
    most_per_month: Annotated[int, Field(ge=1, le=31)] | None = Field(
        default=None, description="The client's own wish: at most so many messages within 30 days, never more than the policy's."
    )
    colleagues: Annotated[tuple[Colleague, ...], Field(max_length=8)] | None = Field(
        default=None, description="People by role, one each; given, it replaces those known before."
    )


class ConsentChanged(ClientEvent):
    """The client allows or refuses contact for a purpose, on one channel or on all."""

    kind: Literal["consent.changed"] = "consent.changed"
    purpose: Purpose
    channel: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="None: every channel.")
    granted: bool
    address: Annotated[str, StringConstraints(pattern=ADDRESS_DIGEST)] | None = Field(
        default=None,
        description="Digest of the address that it was said from, where the client is known by that alone: the word counts for"
        " one who has it when this is read.",
    )


class OverrideEffect(StrEnum):
    """What a relationship manager may decide over the head of the policy."""

    HOLD = "hold"
    SEGMENT = "segment"
    RELEASE = "release"
    CHANNEL = "channel"
    TONE = "tone"
    URGENCY = "urgency"
    WINDOW = "window"
    LEGAL_HOLD = "legal_hold"


class OverrideSet(ClientEvent):
    """A relationship manager overrides the policy, with a reason and an expiry."""

    kind: Literal["override.set"] = "override.set"
    override_id: Identifier
    effect: OverrideEffect
    value: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="The segment, channel or tone of that effect; for urgency the days by which support comes later (-5: sooner);"
        " for window the days of every year in which the client can decide about money (07-01..09-15; several with commas)",
    )
    journey: Annotated[str, Field(max_length=60)] | None = Field(default=None, description="None: every journey.")
    invoice_id: Identifier | None = Field(
        default=None,
        description="Of channel and urgency: messages about this invoice only; of a hold: it is in none. None: every message.",
    )
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    author: Identifier
    expires_at: Instant


class OverrideCleared(ClientEvent):
    """An override ended before its expiry."""

    kind: Literal["override.cleared"] = "override.cleared"
    override_id: Identifier
    author: Identifier
    reason: Annotated[str, Field(min_length=3, max_length=500)] | None = Field(
        default=None, description="Why; a legal hold is not lifted without."
    )


class RiskReported(ClientEvent):
    """Somebody outside says how the client's payments will go: a credit bureau, an insurer, news of a struggling industry.

    It moves the probability of a late payment by a bounded amount until it expires, up or down; rules and segments stay.
    """

    kind: Literal["risk.reported"] = "risk.reported"
    reporter: Identifier = Field(description="Who says so. The latest report by `occurred_at` holds, of whomever.")
    weight: Annotated[float, Field(ge=-1, le=1)] = Field(
        description="-1: much less likely late than it seems, 0: nothing to say, 1: much more likely."
    )
    reason: Annotated[str, Field(min_length=3, max_length=200)]
    expires_at: Instant


class DeliveryOutcome(StrEnum):
    """What became of a trigger; `retracted` acknowledges a retraction that came in time, `too_late` one that did not.

    `wrong_contact`: who reads at that address is not the one to write to, as they or a colleague said.
    """

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED_HARD = "bounced_hard"
    BOUNCED_SOFT = "bounced_soft"
    COMPLAINED = "complained"
    REPLIED = "replied"
    AMBIGUOUS = "ambiguous"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    RETRACTED = "retracted"
    TOO_LATE = "too_late"
    WRONG_CONTACT = "wrong_contact"


class DeliveryReported(ClientEvent):
    """A channel worker reports the outcome of one trigger."""

    kind: Literal["delivery.reported"] = "delivery.reported"
    trigger_id: Identifier
    channel: Annotated[str, Field(max_length=40)]
    outcome: DeliveryOutcome
    purpose: Purpose | None = Field(
        default=None, description="What kind of message it was; of a complaint without one: every message on the channel."
    )
    reason: Annotated[str, Field(max_length=500)] | None = None
    address: Annotated[str, StringConstraints(pattern=ADDRESS_DIGEST)] | None = Field(
        default=None, description="Digest of the address that the message went to, where its channel has addresses."
    )
    role: Role | None = Field(
        default=None, description="Of a wrong contact: for whom the message was, as it said itself; none: the profile's address."
    )


class AddressRefused(ClientEvent):
    """What a message to another client met at an address that this one has too: it is not there, or who reads there complained.

    It counts for the address alone, and only while the client has it: as its own, or as that of one of its people.
    """

    kind: Literal["address.refused"] = "address.refused"
    channel: Annotated[str, Field(max_length=40)]
    address: Annotated[str, StringConstraints(pattern=ADDRESS_DIGEST)] = Field(description="Digest of the address.")
    because: Literal[DeliveryOutcome.BOUNCED_HARD, DeliveryOutcome.COMPLAINED]
    purpose: Purpose | None = Field(default=None, description="What kind of message a complaint is about; none: every one.")


class Request(StrEnum):
    """What a client may ask of a person. States know them by their place in this list: new ones go to the end."""

    PLAN = "plan"
    CONTACT = "contact"
    MESSAGE = "message"
    LATER = "later"
    RENEW = "renew"
    DEFER = "defer"


class ClientAsked(ClientEvent):
    """The client asks for something that a person answers: it becomes a task with a due time."""

    kind: Literal["client.asked"] = "client.asked"
    request: Request
    channel: Annotated[str, Field(max_length=40)]
    words: Annotated[str, Field(max_length=1000)] | None = None
    invoice_id: Identifier | None = Field(
        default=None,
        description="The one open invoice it is about: until a person has answered, this one waits. None: all waits.",
    )


class Verdict(StrEnum):
    """What a person says about a message that was put before them."""

    APPROVE = "approve"
    HOLD = "hold"


class ApprovalAnswered(ClientEvent):
    """A person approves a message before it leaves, as it stands or softened, or holds it back for a while."""

    kind: Literal["approval.answered"] = "approval.answered"
    trigger_id: Identifier = Field(description="The task in which it was asked.")
    verdict: Verdict
    author: Identifier
    note: Annotated[str, Field(max_length=120)] | None = None
    tone: Literal["educational", "gentle", "structured", "firm"] | None = Field(
        default=None, description="Say it in this tone; a firmer one than the message's changes nothing."
    )
    channel: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="Send it through this channel.")
    until: Instant | None = Field(default=None, description="Of a hold: ask again then; none: a week later.")


class ContactLogged(ClientEvent):
    """Staff contacted the client by hand; it counts for the gap between contacts."""

    kind: Literal["contact.logged"] = "contact.logged"
    channel: Annotated[str, Field(max_length=40)]
    author: Identifier
    note: Annotated[str, Field(max_length=1000)] | None = None


class ClientMerged(ClientEvent):
    """The client and another one are the same company: what is known moves to that one, and what still comes is passed on.

    A client that was merged before stays where it went; merging in a circle leaves one of them standing.
    """

    kind: Literal["client.merged"] = "client.merged"
    into: Identifier = Field(description="The client that remains.")
    author: Identifier
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class ClientAbsorbed(ClientEvent):
    """What was known of a client that was merged into this one. Written by Rapport alone."""

    kind: Literal["client.absorbed"] = "client.absorbed"
    state: Annotated[str, StringConstraints(max_length=700_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")] = Field(
        description="Its state, as stored, in base64."
    )


class ClientSplit(ClientEvent):
    """The client is no part of the one that it was merged into: from now on what comes in its name is its own again.

    What was told before stays there, and what names it goes there.
    """

    kind: Literal["client.split"] = "client.split"
    author: Identifier
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class ClientParted(ClientEvent):
    """Clients that were part of this one are no more. Written by Rapport alone."""

    kind: Literal["client.parted"] = "client.parted"
    names: Annotated[tuple[Identifier, ...], Field(min_length=1)] = Field(
        description="The one that was split off, and those that are part of it."
    )


class ClientDelegated(ClientEvent):
    """From now on another client pays for this one: a parent for its child. What is about money goes to the one that pays.

    The latest by `occurred_at` holds. Ended, what comes anew is the client's own; what the payer has stays there.
    """

    kind: Literal["client.delegated"] = "client.delegated"
    payer: Identifier | None = Field(default=None, description="The client that pays; none: it pays for itself again.")
    author: Identifier
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class ClientEntrusted(ClientEvent):
    """What a client owes and has paid moves to who pays for it. Written by Rapport alone."""

    kind: Literal["client.entrusted"] = "client.entrusted"
    state: Annotated[str, StringConstraints(max_length=700_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")] | None = Field(
        default=None, description="What of its state is about money, as stored, in base64; none: it pays for itself again."
    )


class ClientErased(ClientEvent):
    """Everything known of the client is to be forgotten; what is pending is retracted."""

    kind: Literal["client.erased"] = "client.erased"
    requested_by: Identifier

"""The last look before sending: whether a trigger is still right for the client as we know them now."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from handlers.channels.contract import Recipient
from models.events.signals import Purpose, Role
from models.policy.audience import reader_of
from models.policy.budget import costs
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.policy import Policy
from models.state.client import PURPOSES, ClientState, Pending, Person
from models.state.codec import decode
from models.triggers import Trigger
from streams.engine.program import ClientProgram

_BEATS_ANY_CLOCK: Final = frozenset({"stop", "feed", "unheard"})
"""Holds that stand however fast the clock runs; hours and distances would let nothing leave then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """Whether the trigger may go out; if not, a short `code` (a metric label) and the reasons in words.

    `not_before_ms` later than now means: right, but not at this hour; with `is_stopped`, not while something outside holds it: a
    stop, a late source, or a step before it of which nothing is known yet. `takes_place`: it counts for who reads it (see
    handlers.channels.readers).
    """

    allowed: bool
    code: str = ""
    reasons: tuple[str, ...] = ()
    recipient: Recipient = field(default_factory=Recipient)
    not_before_ms: int = 0
    is_stopped: bool = False
    takes_place: bool = False


Look: TypeAlias = Callable[[bytes, Trigger, int, bytes], LastLook]
"""From the client's encoded state, the trigger, the present moment in epoch ms and the encoded regime. Pure."""


def gate_look(policy: Policy) -> Look:
    """Return the look that asks the gate under the policy in force, the same gate that the message was decided by.

    `policy` holds where none was activated through the log. What is held for as long as nobody can say is looked at again every
    minute, and leaves when that ends before the message expires.
    """
    program = ClientProgram(policy=policy)

    def look(raw: bytes, trigger: Trigger, now_ms: int, regime: bytes) -> LastLook:
        state, current = decode(raw), program.under(regime).policy
        known = known_as(state, trigger)
        answer = may_leave(state, known, now_ms=now_ms, policy=current)
        match answer.verdict:
            case Verdict.WITHDRAW:
                return LastLook(allowed=False, code=answer.code, reasons=answer.reasons)
            case Verdict.HOLD:
                return LastLook(
                    allowed=True,
                    code=answer.code,
                    reasons=answer.reasons,
                    recipient=recipient_of(state, trigger),
                    not_before_ms=answer.until_ms,
                    is_stopped=answer.code in _BEATS_ANY_CLOCK,
                )
            case Verdict.LEAVE:
                return LastLook(
                    allowed=True,
                    recipient=recipient_of(state, trigger),
                    not_before_ms=now_ms,
                    takes_place=takes_place(known, current),
                )

    return look


def takes_place(row: Pending, policy: Policy) -> bool:
    """Say whether a message takes a place at its reader's address: care does, open work and receipts do not."""
    return PURPOSES[row.purpose] is not Purpose.SERVICING and costs(row, policy)


def at_any_hour(look: Look) -> Look:
    """Return `look` without hours, gap and budget: for a clock so fast that a day passes between two looks."""

    def hasty(raw: bytes, trigger: Trigger, now_ms: int, regime: bytes) -> LastLook:
        seen = look(raw, trigger, now_ms, regime)
        if seen.is_stopped or not seen.allowed:
            return seen
        return LastLook(allowed=True, recipient=seen.recipient)

    return hasty


def recipient_of(state: ClientState, trigger: Trigger) -> Recipient:
    """Return how the client can be reached: the person in the role the message is for, else as the profile says."""
    person, reader = state.person, reader_of(state, trigger.journey, trigger.purpose, trigger.tone, channel=trigger.channel)
    if reader is None:
        return _profile(person)
    return replace(
        _profile(person),
        role=Role(reader.role),
        **{name: value for name in ("name", "email", "phone", "locale") if (value := getattr(reader, name))},
    )


def _profile(person: Person) -> Recipient:
    return Recipient(
        name=person.name.value or None,
        email=person.email.value or None,
        phone=person.phone.value or None,
        country=person.country.value or None,
        locale=person.locale.value or None,
        timezone=person.timezone.value or None,
    )

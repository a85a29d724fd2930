"""Through which channel a client can be reached: addresses that fail, channels that rest, and what the client reacts to.

A refusal by the client is no failure: whoever does not want mails is not written to by text message instead. Only an address that
does not exist, that is not known, or that takes nothing for the moment leads to another channel.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from models.events.payments import PaymentReceived
from models.events.signals import AddressRefused, DeliveryOutcome, DeliveryReported, Purpose, Role
from models.policy.audience import own_address, reader_among
from models.policy.gate import refusal
from models.policy.policy import Policy
from models.state.client import PURPOSES, ClientState, Person, Reaction, Rest, Suppression, journey_of
from models.state.person import COMPLAINT, HARD, OF_ADDRESS, READER, WRONG, holders, is_lifted
from models.triggers import Journey
from models.workdays import DAY_MS

SUPPRESSIONS_KEPT: Final = 8
SOFT_BOUNCES: Final = 5
"""So many in a row, without one message between them that was taken, count as an address that does not exist."""

PAID_WITHIN_DAYS: Final = 3
"""A payment within so many days of the message that asked for it answers it; later, it may have come by itself."""

_TRIED: Final = 6  # messages on a channel before it is held against another
_CLEARLY: Final = 0.3  # of the share reacted to
_LONGEST_REST_MS: Final = 7 * DAY_MS
_REMEMBERED: Final = 64  # messages per channel; then both counts are halved, so that the latest weigh most
_ADDRESS: Final = {"email": "e-mail address", "sms": "phone number"}
_MET: Final = {
    HARD: "does not exist",
    WRONG: "reaches somebody else",
    READER: "reaches somebody who has complained of mails like these",
}
_TAKEN: Final = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.DELIVERED, DeliveryOutcome.REPLIED})
_READERS: Final = frozenset({"portal"})
"""Channels whose `delivered` says that a person has read it; elsewhere a machine says so."""


def way_to(
    state: ClientState,
    policy: Policy,
    *,
    channel: str,
    purpose: Purpose,
    at_ms: int,
    roles: Sequence[Role] = (),
    wish: str | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Return the channel to use for what should go by `channel`, and why it is another one where it is.

    What the client has said beats what was learnt: the channel they asked for goes first, where the policy has it and it is open.
    A message is for the first of `roles` whose address works, then for the profile's own; another channel is used only when this
    one reaches nobody, or the client clearly reacts to the other more and has not said anything about it. Of several others that
    is taken which the client reacts to most. Without any, a person is asked.
    `wish` is that channel where it is not the profile's: empty where somebody with more say has chosen.
    """
    if channel in policy.internal_channels:
        return channel, ()
    others = _others(state, policy, channel, purpose=purpose, at_ms=at_ms, roles=roles)
    stated = state.person.channel.value if wish is None else wish
    if stated in others:
        return stated, (f"the client asked to be reached by {stated}",)
    why = _obstacle(state, channel, purpose, at_ms, roles)
    if why is None:
        learnt = "" if stated or wish is not None else _learnt(state, channel, others)
        return (learnt, (f"they react to {learnt} clearly more than to {channel}",)) if learnt else (channel, ())
    if others:
        best = _best(state, others)
        return best, (f"{why}, so {best} is used",)
    return (channel, ()) if rest_of(state, channel, at_ms) else (policy.person_channel, (f"{why}, so a person is asked",))


def way_after_silence(
    state: ClientState, policy: Policy, *, channel: str, purpose: Purpose, at_ms: int, roles: Sequence[Role]
) -> str | None:
    """Return by which channel a message that got no answer on `channel` may be said once more, None where by none.

    Whoever asked to be reached by `channel` is not written to elsewhere because they are silent.
    """
    stated = state.person.channel.value
    others = _others(state, policy, channel, purpose=purpose, at_ms=at_ms, roles=roles)
    if stated == channel or not others:
        return None
    return stated if stated in others else _best(state, others)


def has_other_way(
    state: ClientState, policy: Policy, *, channel: str, purpose: Purpose, at_ms: int, roles: Sequence[Role] = ()
) -> bool:
    """Say whether a message that failed on `channel` could leave now to another address, or through another channel."""
    found, _ = way_to(state, policy, channel=channel, purpose=purpose, at_ms=at_ms, roles=roles)
    return found not in policy.internal_channels and _obstacle(state, found, purpose, at_ms, roles) is None


def rest_of(state: ClientState, channel: str, at_ms: int) -> int:
    """Return until when a channel rests after soft bounces (epoch ms), 0 where it does not."""
    return next((row.until_ms for row in state.person.rests if row.channel == channel and at_ms < row.until_ms), 0)


def reaction_rate(state: ClientState, channel: str) -> float:
    """Return the share of messages on a channel that the client answered, read or paid upon, drawn to a half while few are."""
    known = next((row for row in state.person.reactions if row.channel == channel), Reaction(channel))
    return (known.reacted + 1) / (known.sent + 2)


def paid_upon(state: ClientState, event: PaymentReceived) -> ClientState:
    """Fold a payment as a reaction to the message that asked for it, where one left on a channel within `PAID_WITHIN_DAYS`.

    A message counts once, and only a payment of an invoice it named, or of none that is named, can be the answer to it.
    """
    since, at = event.occurred_ms - PAID_WITHIN_DAYS * DAY_MS, event.occurred_ms
    runs = [row for row in state.care.runs if row.sent_ms and event.invoice_id in {None, row.anchor}]
    asked = {row.sent_ms for row in runs if journey_of(row) is Journey.DELAY_SUPPORT}
    row = next((known for known in state.person.reactions if since <= known.asked_ms <= at and known.asked_ms in asked), None)
    if row is None:
        return state
    return replace(state, person=_counted(state.person, replace(row, asked_ms=0), sent=0, reacted=1))


def heard(state: ClientState, event: DeliveryReported, *, role: str = "", asks: bool = False) -> ClientState:
    """Fold what an outcome says about the channel: an address that fails, a complaint, a rest, a reaction.

    `role` is whose own address it was, empty for the profile's; `asks` says that the message asks for money.
    """
    person = state.person
    if event.outcome is DeliveryOutcome.BOUNCED_SOFT:
        person = _rested(person, event)
    elif event.outcome is DeliveryOutcome.BOUNCED_HARD:
        person = _gone(person, event, role)
    elif event.outcome is DeliveryOutcome.WRONG_CONTACT:
        person = _wrong(person, event)
    elif event.outcome is DeliveryOutcome.COMPLAINED:
        person = _suppressed(person, event, COMPLAINT)
    elif event.outcome in _TAKEN and any(row.channel == event.channel for row in person.rests):
        person = replace(person, rests=tuple(row for row in person.rests if row.channel != event.channel))
    person = _reacted(person, event, asks=asks)
    return state if person is state.person else replace(state, person=person)


def _obstacle(state: ClientState, channel: str, purpose: Purpose, at_ms: int, roles: Sequence[Role]) -> str | None:
    address = _ADDRESS.get(channel)
    resting = f"{channel} takes nothing at the moment" if rest_of(state, channel, at_ms) else None
    if own_address(reader_among(state, roles, purpose, channel), channel):
        return resting
    if address is not None:
        known = state.person.email if channel == "email" else state.person.phone
        if not known.value:
            return f"no {address} is known"
    person, index = state.person, PURPOSES.index(purpose)
    dead = (row for row in person.suppressions if row.channel == channel and row.cause in OF_ADDRESS and not row.role)
    found = next((row for row in dead if row.purpose in {-1, index} and not is_lifted(person, row, purpose=index)), None)
    return resting if found is None else f"the {address or channel} {_MET[found.cause]}"


def _others(
    state: ClientState, policy: Policy, channel: str, *, purpose: Purpose, at_ms: int, roles: Sequence[Role]
) -> list[str]:
    return [other for other in policy.fallback_channels if other != channel and _open(state, other, purpose, at_ms, roles)]


def _best(state: ClientState, channels: Sequence[str]) -> str:
    return max(channels, key=lambda channel: reaction_rate(state, channel))


def is_reaction(event: DeliveryReported) -> bool:
    """Say whether an outcome tells that a person has read or answered, not that a machine has taken something."""
    reads = event.outcome is DeliveryOutcome.DELIVERED and event.channel in _READERS
    return reads or event.outcome is DeliveryOutcome.REPLIED


def _learnt(state: ClientState, channel: str, others: Sequence[str]) -> str:
    """Return the channel that the client clearly reacts to more, empty where there is none: both must have been tried enough."""
    tried = {row.channel for row in state.person.reactions if row.sent >= _TRIED}
    best = max((other for other in others if other in tried), key=lambda other: reaction_rate(state, other), default="")
    clear = best and channel in tried and reaction_rate(state, best) >= reaction_rate(state, channel) + _CLEARLY
    return best if clear else ""


def _open(state: ClientState, channel: str, purpose: Purpose, at_ms: int, roles: Sequence[Role]) -> bool:
    if channel == "sms" and purpose is not Purpose.SERVICING:
        return False  # a phone buzzes: only what concerns open work may make it
    reader = reader_among(state, roles, purpose, channel)
    unwanted = refusal(state, purpose, channel, reader=reader.role if reader else "")
    return unwanted is None and _obstacle(state, channel, purpose, at_ms, roles) is None


def _wrong(person: Person, event: DeliveryReported) -> Person:
    """Suppress the address that a message had for who it was for; nobody's where that person is not known any more."""
    reader = next((row for row in person.colleagues if event.role and row.role == event.role.value), None)
    if event.role and reader is None:
        return person
    return _suppressed(person, event, WRONG, event.role.value if event.role and own_address(reader, event.channel) else "")


def _suppressed(person: Person, event: DeliveryReported | AddressRefused, cause: str, role: str = "") -> Person:
    purpose = PURPOSES.index(event.purpose) if cause in {COMPLAINT, READER} and event.purpose else -1
    identity = (event.channel, cause, purpose, role)
    known = next((row for row in person.suppressions if (row.channel, row.cause, row.purpose, row.role) == identity), None)
    if known is not None and known.at >= event.occurred_ms:
        return person
    row = Suppression(event.channel, cause, event.occurred_ms, purpose, role)
    others = (other for other in person.suppressions if other is not known)
    return replace(person, suppressions=(*others, row)[-SUPPRESSIONS_KEPT:])


def _gone(person: Person, event: DeliveryReported, role: str) -> Person:
    """Suppress an address that does not exist: where it is named, for all at the client who have it, else that of `role`."""
    for whose in [role] if event.address is None else holders(person, event.address):
        person = _suppressed(person, event, HARD, whose)
    return person


def refused(person: Person, event: AddressRefused) -> Person:
    """Fold what a message to another client met at an address, for everybody at this one who has it."""
    cause = HARD if event.because is DeliveryOutcome.BOUNCED_HARD else READER
    for role in holders(person, event.address):
        person = _suppressed(person, event, cause, role)
    return person


def _rested(person: Person, event: DeliveryReported) -> Person:
    known = next((row for row in person.rests if row.channel == event.channel), Rest(event.channel))
    times = known.times + 1
    if times >= SOFT_BOUNCES:
        return _suppressed(person, event, HARD)
    until = event.occurred_ms + min(_LONGEST_REST_MS, DAY_MS << (times - 1))
    others = (row for row in person.rests if row.channel != event.channel)
    return replace(person, rests=(*others, Rest(event.channel, max(until, known.until_ms), times)))


def _reacted(person: Person, event: DeliveryReported, *, asks: bool) -> Person:
    reacted, sent = int(is_reaction(event)), int(event.outcome is DeliveryOutcome.SENT)
    if not reacted and not sent:
        return person
    known = next((row for row in person.reactions if row.channel == event.channel), Reaction(event.channel))
    asked_ms = max(known.asked_ms, event.occurred_ms) if sent and asks else 0 if reacted else known.asked_ms
    return _counted(person, replace(known, asked_ms=asked_ms), sent=sent, reacted=reacted)


def _counted(person: Person, row: Reaction, *, sent: int, reacted: int) -> Person:
    total, answered = row.sent + sent, min(row.sent + sent, row.reacted + reacted)
    if total > _REMEMBERED:
        total, answered = total // 2, answered // 2
    others = (known for known in person.reactions if known.channel != row.channel)
    return replace(person, reactions=(*others, replace(row, sent=total, reacted=answered)))

"""What the commands about overrides read and write: the word of a manager on `signals`, and what the states make of it."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from handlers.channels.kafka_producer import KafkaSender
from handlers.commands.regime_changes import worded
from models.events.envelope import epoch_ms
from models.events.signals import OverrideCleared, OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent, public_topic
from models.ids import derive
from models.journey_names import OWN_JOURNEYS
from models.state.client import ClientState, Override
from models.state.codec import decode
from models.state.person import in_force
from models.triggers import AnyJourney, Journey
from models.workdays import moment
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.state.merged import read_standing
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.codec import encode_event

SOURCE: Final = "rapport overrides"


SAID_BY: Final = MappingProxyType(
    {
        OverrideEffect.SEGMENT: "--segment",
        OverrideEffect.CHANNEL: "--channel",
        OverrideEffect.TONE: "--tone",
        OverrideEffect.URGENCY: "--days",
        OverrideEffect.WINDOW: "--window",
    }
)
"""The option that says what an effect is to be."""

ABOUT_INVOICES: Final = frozenset({OverrideEffect.HOLD, OverrideEffect.CHANNEL, OverrideEffect.URGENCY})


@worded()
def word(
    client_id: str,
    effect: OverrideEffect,
    *,
    value: str | None,
    journey: AnyJourney | None,
    reason: str,
    author: str,
    until: datetime,
    now: datetime,
    invoice_id: str | None = None,
) -> OverrideSet:
    """Return the event of one word. The same author's next word on the same scope and effect takes its place."""
    if until <= now:
        message = f"{until:%Y-%m-%d} is over: an override holds until a day that is still to come"
        raise UsageError(message)
    if (effect in SAID_BY) != (value is not None):
        needs = ", ".join(f"--effect {known.value} needs {option}" for known, option in SAID_BY.items())
        message = f"{needs}, and no other effect takes one"
        raise UsageError(message)
    if (effect in SAID_BY or effect is OverrideEffect.LEGAL_HOLD) and journey is not None:
        message = f"a {effect.value} holds for the client as a whole: leave --journey out"
        raise UsageError(message)
    if invoice_id is not None and effect not in ABOUT_INVOICES:
        message = "an invoice may have a hold, a channel and an urgency of its own, nothing else: leave --invoice out"
        raise UsageError(message)
    if invoice_id is not None and journey is not None:
        message = "a hold on one invoice keeps it out of every message that asks for it: leave --journey out"
        raise UsageError(message)
    scope = journey.value if journey else invoice_id or ""
    if invoice_id is not None and effect is OverrideEffect.HOLD:
        journey = Journey.DELAY_SUPPORT  # who knows no holds on invoices holds what asks for money, and nothing else
    return OverrideSet(
        event_id=derive("override.set", client_id, effect.value, scope, author, epoch_ms(now)),
        source=SOURCE,
        occurred_at=now,
        received_at=now,
        client_id=client_id,
        override_id=derive("override", client_id, effect.value, scope, author),
        effect=effect,
        value=value,
        journey=journey.value if journey else None,
        invoice_id=invoice_id,
        reason=reason,
        author=author,
        expires_at=until,
    )


@worded()
def end(row: Override, client_id: str, *, author: str, now: datetime, reason: str | None = None) -> OverrideCleared:
    """Return the event that ends an override before its expiry; raises UsageError for a legal hold without a reason."""
    if row.effect == OverrideEffect.LEGAL_HOLD and not (reason and reason.strip()):
        message = (
            f'a legal hold is lifted with a reason: rapport overrides lift {client_id} {row.override_id[:12]} --reason "..."'
        )
        raise UsageError(message)
    return OverrideCleared(
        event_id=derive("override.cleared", client_id, row.override_id, epoch_ms(now)),
        source=SOURCE,
        occurred_at=now,
        received_at=now,
        client_id=client_id,
        override_id=row.override_id,
        author=author,
        reason=reason,
    )


def standing(state: ClientState, at_ms: int) -> list[Override]:
    """Return the overrides of a client that hold, the one that ends first first."""
    return sorted([row for row in state.person.overrides if in_force(row, at_ms)], key=lambda row: row.expires_ms)


def conflicts(state: ClientState, told: OverrideSet, at_ms: int) -> Iterator[str]:
    """Say in words which overrides in force say something else about the same scope, and which of the two holds."""
    for row in standing(state, at_ms):
        if row.override_id == told.override_id:
            continue
        said = f"{row.author} until {moment(row.expires_ms):%Y-%m-%d} ({row.reason})"
        meets = _meets(row.journey, told.journey or "")
        match (row.effect, told.effect):
            case ("segment", OverrideEffect.SEGMENT) if row.value != told.value:
                yield f"segment {row.value} by {said}: the latest word holds, which is yours"
            case ("hold", OverrideEffect.RELEASE) if meets:
                yield f"hold by {said}: a hold beats a release as long as it lasts"
            case ("release", OverrideEffect.HOLD) if meets:
                yield f"release by {said}: your hold beats it as long as it lasts"
            case _:
                pass


def _meets(one: str, two: str) -> bool:
    """Say whether two words are about a journey in common: empty is every one, and some are about all of the firm's own."""
    of_all_own = OWN_JOURNEYS in {one, two} and {one, two}.isdisjoint(Journey)
    return not one or not two or one == two or of_all_own


def chosen(rows: list[Override], name: str | None, client_id: str) -> Override:
    """Return the override so named or so begun, or the only one; raises UsageError with those there are."""
    found = [row for row in rows if name is None or row.override_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{row.override_id[:12]} {row.effect} by {row.author}" for row in rows) or "none"
    message = f"name one override of {client_id}, in force are: {known}"
    raise UsageError(message)


def row_as_json(client_id: str, row: Override) -> dict[str, Any]:
    """Return an override in force for programs."""
    return {
        "client_id": client_id,
        "override_id": row.override_id,
        "effect": row.effect,
        "value": row.value or None,
        "journey": row.journey or None,
        "invoice_id": row.invoice_id or None,
        "reason": row.reason,
        "author": row.author,
        "since": moment(row.set_at).astimezone(UTC).isoformat(),
        "expires_at": moment(row.expires_ms).astimezone(UTC).isoformat(),
    }


async def publish(settings: Settings, event: AnyClientEvent) -> None:
    """Send one event about a client and return when the broker has it; raises RetryError."""
    sender = KafkaSender(settings)
    try:
        await sender.send_all(public_topic(event), [(event.client_id.encode(), encode_event(event))])
    finally:
        await sender.close()


async def read_state(settings: Settings, client_id: str) -> ClientState | None:
    """Return the committed state of a client, of one that was merged that of who remains; None for one not known.

    Raises RetryError.
    """
    redis = connect_redis(settings)
    try:
        return await read_standing(RedisStateStore(redis, settings), client_id)
    finally:
        await redis.aclose()


async def known_state(settings: Settings, client_id: str) -> ClientState:
    """Return what `read_state` does; raises UsageError for a client not known."""
    state = await read_state(settings, client_id)
    if state is None:
        message = f"no client {client_id!r} is known; rapport inspect client ID shows one"
        raise UsageError(message)
    return state


async def read_name(settings: Settings, client_id: str) -> ClientState | None:
    """Return the committed state that goes by a name, also of one that was merged; None for one not known. Raises RetryError."""
    redis = connect_redis(settings)
    try:
        blob = await RedisStateStore(redis, settings).read(client_id)
    finally:
        await redis.aclose()
    return None if blob is None else decode(blob)


async def read_all(settings: Settings) -> AsyncIterator[ClientState]:
    """Yield the committed states of all clients but those merged into others, a few hundred at a time; raises RetryError."""
    redis = connect_redis(settings)
    try:
        async for blob in RedisStateStore(redis, settings).every():
            state = decode(blob)
            if not state.identity.into:
                yield state
    finally:
        await redis.aclose()

"""What commands that change the regime share: tell every partition, then wait until each one has it in force."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from typing import Final

from pydantic import ValidationError

from models.events.union import AnyControlEvent
from models.regime import Regime, decode_regime
from streams.runtime.clock import monotonic
from streams.runtime.errors import RapportError, UsageError
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.control import tell_every_partition
from streams.wire.events import explain

PATIENCE_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.1


class NotInForceError(RapportError):
    """A change was written to the log but some partition has not folded it yet."""


def author_named(given: str | None) -> str:
    """Return who decides: the name given, else the account this runs under."""
    if given:
        return given
    try:
        return getuser()
    except (OSError, KeyError):
        return "operator"


@contextmanager
def worded() -> Iterator[None]:
    """Tell, as UsageError, what is wrong with what a person said where an event is made of it: too long, empty, no text."""
    try:
        yield
    except ValidationError as error:
        message = f"this cannot be said: {explain(error)}"
        raise UsageError(message) from error


def put_in_force(settings: Settings, *events: AnyControlEvent) -> int:
    """Do as `tell_and_wait` from a command."""
    return asyncio.run(tell_and_wait(settings, *events))


async def tell_and_wait(settings: Settings, *events: AnyControlEvent) -> int:
    """Write `events` to every partition and return their number once each one has heard all of them.

    Raises RetryError when Kafka or Redis is away; NotInForceError when partitions have not followed in time: the change is in the
    log then, and holds as soon as their worker goes on.
    """
    for event in events:
        await tell_every_partition(settings, event)
    told = {event.event_id for event in events}
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        behind = [place for place, regime in enumerate(await read_regimes(settings)) if not told <= set(regime.heard)]
        if not behind:
            return settings.partitions
        if monotonic() > deadline:
            names = ", ".join(map(str, behind))
            message = (
                f"{events[0].kind} is in the log, but partitions {names} have not followed within {PATIENCE_SECONDS:.0f} s: it"
                " holds there as soon as their worker goes on; check it with: rapport lag"
            )
            raise NotInForceError(message)
        await asyncio.sleep(_PAUSE_SECONDS)


def regimes_now(settings: Settings) -> list[Regime]:
    """Return the regime of each partition; raises RetryError when Redis is away."""
    return asyncio.run(read_regimes(settings))


async def read_regimes(settings: Settings) -> list[Regime]:
    """Do as `regimes_now` where a loop runs already."""
    redis = connect_redis(settings)
    try:
        return [decode_regime(blob) for blob in await RedisStateStore(redis, settings).regimes()]
    finally:
        await redis.aclose()

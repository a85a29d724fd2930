"""How long a site folds nothing: the longest time between two moves of any of its partitions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from streams.engine.fence import Slot
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS
from tests.chaos.site import Site
from tests.waiting import pause


@asynccontextmanager
async def longest_pause_told(site: Site) -> AsyncIterator[None]:
    """While the body runs, measure for how long the client log is not folded at all; note the longest such time at `site`."""
    measuring = asyncio.create_task(_measure(site))
    try:
        yield
    finally:
        measuring.cancel()
        with suppress(asyncio.CancelledError):
            await measuring


async def _measure(site: Site) -> None:
    redis = connect_redis(site.settings)
    fence, slots = RedisFence(redis, site.settings), [Slot(CLIENT_EVENTS.name, at) for at in range(site.settings.partitions)]
    before: list[int | None] = []
    moved = monotonic()
    try:
        while True:
            with suppress(RetryError):
                found = [await fence.position(slot) for slot in slots]
                if found != before:
                    before, moved = found, monotonic()
            site.longest_pause = max(site.longest_pause, monotonic() - moved)
            await pause(0.1)
    finally:
        await redis.aclose()

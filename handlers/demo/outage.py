"""The outage in the demo: for some days the processor delivers nothing. A watch notices, and reminders wait for its news."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from handlers.demo.crew import Crew, DemoError
from handlers.demo.firm import Webhook
from models.events.envelope import epoch_ms
from models.feeds import Arrivals
from models.regime import decode_regime
from streams.runtime.clock import monotonic
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis

FEED: Final = "stripe"
_WATCH: Final = "feeds"
_HELD: Final = timedelta(days=3)
"""How long the silence lasts after it was noticed, so that something comes due in it."""

_LONGEST: Final = timedelta(days=14)
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(slots=True, kw_only=True)
class Outage:
    """Keeps back what the processor would deliver from `begins` on, until a while after the watch has called it late.

    The watch runs only then: where a day passes in a moment it would judge by the clock of one day what it heard on another.
    """

    begins: datetime
    settings: Settings
    crew: Crew
    say: Callable[[str], None]
    silent: datetime | None = None
    noticed: datetime | None = None
    ended: datetime | None = None
    _kept: list[Webhook] = field(default_factory=list)
    _arrivals: Arrivals | None = None

    async def passing(self, webhooks: Sequence[Webhook], *, now: datetime, is_last: bool) -> list[Webhook]:
        """Return what the processor delivers at `now`: all, nothing, or in the end also all that it has kept."""
        if self.ended is not None or now < self.begins or self._arrivals is None:
            self._hear(webhooks, now)
            return list(webhooks)
        if self.silent is None:
            self.silent = now
            self.say(f"{now:%d %b %Y}: {FEED} falls silent; what it has to tell waits there")
        self._kept += webhooks
        if self.noticed is None and self._arrivals.is_late(epoch_ms(now)):
            await self._notice(now)
        if not (is_last or now - (self.noticed or now) >= _HELD or now - self.silent >= _LONGEST):
            return []
        self.ended = now
        return self._kept

    async def over(self) -> None:
        """After what was kept has been delivered: wait until the watch has heard it, and stop the watch."""
        if self.ended is None or self.noticed is None or _WATCH not in self.crew.alive():
            return
        await self._until(is_late=False)
        await asyncio.to_thread(self.crew.finish, _WATCH)
        self.say(
            f"{self.ended:%d %b %Y}: {FEED} delivers again, {len(self._kept)} webhooks at once; what had waited is decided anew"
        )

    def _hear(self, webhooks: Sequence[Webhook], now: datetime) -> None:
        if webhooks and self._arrivals is None:
            self._arrivals = Arrivals(epoch_ms(now))
        elif webhooks and self._arrivals is not None:
            self._arrivals.heard(epoch_ms(now))

    async def _notice(self, now: datetime) -> None:
        self.crew.start(_WATCH, "feeds", "watch", "--every", "1")
        await self._until(is_late=True)
        self.noticed = now
        self.say(
            f"{now:%d %b %Y}: rapport feeds watch calls {FEED} late; nobody is reminded of what may have been paid through it"
        )

    async def _until(self, *, is_late: bool) -> None:
        """Wait until all partitions have heard that the source is late, or that it delivers again."""
        redis, deadline = connect_redis(self.settings), monotonic() + _PATIENCE_SECONDS
        store = RedisStateStore(redis, self.settings)
        try:
            while not all((decode_regime(each).late_feed(FEED) is not None) is is_late for each in await store.regimes()):
                self.crew.raise_if_dead()
                if monotonic() > deadline:
                    word = "late" if is_late else "on time"
                    message = f"the watch of feeds did not call {FEED} {word} in {_PATIENCE_SECONDS:.0f} s"
                    raise DemoError(message)
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await redis.aclose()

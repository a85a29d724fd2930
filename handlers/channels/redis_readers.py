"""Places of readers in Redis or Valkey: a sorted set for each address, which the server itself forgets."""

from importlib.resources import files

from redis.asyncio import Redis

from handlers.channels.readers import Places
from streams.state.redis_store import answer_of


class RedisReaders:
    """See `Readers`; shared by all workers of one channel."""

    def __init__(self, redis: Redis, *, prefix: str, places: Places) -> None:
        """Keep them in `redis` at `{<prefix>}:...`; nothing is sent yet."""
        self._redis = redis
        self._base = f"{{{prefix}}}:"
        self._places = places
        self._spans = [number for row in places.spans for number in row]
        script = files("handlers.channels").joinpath("scripts", "reserve.lua").read_text(encoding="utf-8")
        self._script = redis.register_script(script)

    async def reserve(self, address: str, trigger_id: str, *, now_ms: int) -> int:
        """See `Readers.reserve`."""
        if not self._spans:
            return 0
        reply = await answer_of(self._script(keys=[self._base + address], args=[trigger_id, now_ms, *self._spans]))
        return int(reply or 0)

    async def next_place(self, address: str, trigger_id: str, *, now_ms: int) -> int:
        """See `Readers.next_place`."""
        if not self._spans:
            return 0
        rows = await answer_of(self._redis.zrange(self._base + address, 0, -1, withscores=True))
        return self._places.next_for(trigger_id, {name.decode(): int(at) for name, at in rows}, now_ms=now_ms)

    async def refund(self, address: str, trigger_id: str) -> None:
        """See `Readers.refund`."""
        if self._spans:
            await answer_of(self._redis.zrem(self._base + address, trigger_id))

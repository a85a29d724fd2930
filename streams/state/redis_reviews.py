"""Reviews in Redis: one record per quarter, published once, and what a person has said of it. Beside what the trainer keeps."""

from redis.asyncio import Redis

from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import answer_of
from streams.wire.topics import EXAMPLES


class RedisReviews:
    """Records by the name of their quarter. They name no client, so that nothing in them has to be forgotten."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        """Keep them in `redis` under the keys of `settings`; nothing is sent yet."""
        self._redis = redis
        self._key = PartitionKeys.of(settings, EXAMPLES.name, 0).fence.removesuffix("f") + "rv"

    async def publish(self, quarter: str, record: bytes) -> bool:
        """Keep the record of a quarter unless there is one; say whether it was kept. Raises RetryError while Redis is away."""
        return bool(await answer_of(self._redis.hsetnx(self._key, quarter, record)))

    async def close(self, quarter: str, record: bytes) -> None:
        """Put the record that a person has ended in the place of the open one."""
        await answer_of(self._redis.hset(self._key, quarter, record))

    async def every(self) -> dict[str, bytes]:
        """Return all records by quarter, the oldest first."""
        found = await answer_of(self._redis.hgetall(self._key))
        return {name.decode(): value for name, value in sorted(found.items())}

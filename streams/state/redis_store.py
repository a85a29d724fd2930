"""Redis behind the state store: one client object per process, and reads of committed states."""

from typing import cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.wire.partitioning import partition_of
from streams.wire.topics import CLIENT_EVENTS

CALL_SECONDS = 5.0
"""Longest wait for one reply; a call that takes longer is repeated, which our scripts make harmless."""


def connect_redis(settings: Settings) -> Redis:
    """Return a client of the server at `settings.redis_url`; connects on first use.

    The client does not repeat calls by itself: whoever calls knows whether he still owns the partition, the client does not.
    """
    client: Redis = Redis.from_url(
        settings.redis_url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=CALL_SECONDS,
        socket_connect_timeout=CALL_SECONDS,
        health_check_interval=30,
    )
    return client


class RedisStateStore:
    """The committed states in Redis."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        """Read from `redis` with the key layout of `settings`."""
        self._redis = redis
        self._settings = settings

    async def read(self, client_id: str) -> bytes | None:
        """Return the encoded state of the client, or none; raises RetryError while Redis is away."""
        return await self._field(self._keys(client_id).states, client_id)

    async def regime(self, client_id: str) -> bytes:
        """Return the encoded regime of the client's partition; raises RetryError while Redis is away."""
        return await self._field(self._keys(client_id).fence, "rg") or b""

    def _keys(self, client_id: str) -> PartitionKeys:
        return PartitionKeys.of(self._settings, CLIENT_EVENTS.name, partition_of(client_id, self._settings.partitions))

    async def _field(self, key: str, name: str) -> bytes | None:
        try:
            return cast("bytes | None", await self._redis.hget(key, name))
        except RedisError as error:
            message = f"Redis does not answer ({error}); check REDIS_URL and `rapport doctor`"
            raise RetryError(message) from error

"""Redis behind the state store: one client object per process, and reads of committed states."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streams.runtime.errors import RetryError, UsageError
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.wire.partitioning import partition_of
from streams.wire.topics import CLIENT_EVENTS

SENTINEL_SCHEME: Final = "redis+sentinel://"
"""Scheme of a REDIS_URL that names sentinels: `redis+sentinel://[user:password@]host:port,host:port/name-of-the-primary/0`."""

_AT_ONCE: Final = 500  # states read in one call when all are read

CALL_SECONDS = 5.0
"""Longest wait for one reply; a call that takes longer is repeated, which our scripts make harmless."""


def connect_redis(settings: Settings, kind: type[Redis] = Redis) -> Redis:
    """Return a client of the server at `settings.redis_url`, of the `kind` given; connects on first use.

    The client does not repeat calls by itself: whoever calls knows whether he still owns the partition, the client does not.
    """
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": CALL_SECONDS,
        "socket_connect_timeout": CALL_SECONDS,
        "health_check_interval": 30,
    }
    if settings.redis_url.startswith(SENTINEL_SCHEME):
        return _behind_sentinels(settings.redis_url, options, kind)
    client: Redis = kind.from_url(settings.redis_url, **options)
    return client


def _behind_sentinels(url: str, options: dict[str, Any], kind: type[Redis]) -> Redis:
    """Return a client of the primary that the sentinels of `url` name; it asks them again for each new connection."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.strip("/").partition("/")
    try:
        places = [(host, int(port)) for host, _, port in (each.rpartition(":") for each in hosts.split(","))]
        number = int(database or 0)
    except ValueError:
        places, name, number = [], "", 0
    if not name or not all(host for host, _ in places):
        message = (
            f"REDIS_URL={parts.scheme}://... names no sentinel; fix: {SENTINEL_SCHEME}HOST:PORT,HOST:PORT/NAME-OF-THE-PRIMARY/0"
        )
        raise UsageError(message)
    user, _, password = login.partition(":")
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py's own
        places,
        sentinel_kwargs={name: value for name, value in options.items() if name != "health_check_interval"},
        db=number,
        username=unquote(user) or None,
        password=unquote(password) or None,
        **options,
    )
    client: Redis = sentinel.master_for(name, redis_class=kind)
    return client


def redis_away(error: RedisError) -> RetryError:
    """Return what to raise from `error`: the cause and the fix, in the same words wherever Redis does not answer."""
    return RetryError(f"Redis does not answer ({error}); check REDIS_URL and `rapport doctor`")


async def answer_of(reply: Any) -> Any:  # noqa: ANN401 - the client's types cover both its kinds, waiting and not
    """Wait for a reply of Redis; raises RetryError while it does not answer."""
    try:
        return await reply
    except RedisError as error:
        raise redis_away(error) from error


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

    async def regimes(self) -> list[bytes]:
        """Return the encoded regime of every partition; raises RetryError while Redis is away."""
        partitions = range(self._settings.partitions)
        return [
            await self._field(PartitionKeys.of(self._settings, CLIENT_EVENTS.name, at).fence, "rg") or b"" for at in partitions
        ]

    async def kept(self, topic: str, partition: int, names: Sequence[str]) -> list[bytes | None]:
        """Return what a partition of `topic` (bare name) keeps under `names`; raises RetryError while Redis is away."""
        states = PartitionKeys.of(self._settings, topic, partition).states
        return cast("list[bytes | None]", await answer_of(self._redis.hmget(states, list(names))))

    async def every(self) -> AsyncIterator[bytes]:
        """Yield the encoded state of every client, some hundred at a time; raises RetryError while Redis is away.

        One that is written meanwhile may come in either form, and rarely twice.
        """
        for partition in range(self._settings.partitions):
            states = PartitionKeys.of(self._settings, CLIENT_EVENTS.name, partition).states
            try:
                async for _, blob in self._redis.hscan_iter(states, count=_AT_ONCE):
                    yield cast("bytes", blob)
            except RedisError as error:
                raise redis_away(error) from error

    def _keys(self, client_id: str) -> PartitionKeys:
        return PartitionKeys.of(self._settings, CLIENT_EVENTS.name, partition_of(client_id, self._settings.partitions))

    async def _field(self, key: str, name: str) -> bytes | None:
        return cast("bytes | None", await answer_of(self._redis.hget(key, name)))

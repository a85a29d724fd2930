"""When servers are ready: Kafka answers a metadata request with all its brokers, Valkey answers a ping."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from handlers.stack.errors import StackError
from streams.runtime.clock import monotonic
from streams.runtime.settings import Settings
from streams.wire.kafka import kafka_options

_PAUSE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 60.0


async def wait_for_kafka(bootstrap: str, *, brokers: int = 1, give_up: Callable[[], None] = lambda: None) -> None:
    """Return when `brokers` brokers are in the metadata. `give_up` is asked meanwhile and raises if waiting is in vain."""
    # aiokafka reports each refused connection as an error; while a broker starts, that is what is expected.
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        await _until(lambda: _count_brokers(bootstrap), enough=brokers, what=f"Kafka at {bootstrap}", give_up=give_up)
    finally:
        logger.setLevel(level)


async def wait_for_valkey(url: str, *, patience: float = _PATIENCE_SECONDS, give_up: Callable[[], None] = lambda: None) -> None:
    """Return when the server at `url` answers; it may still have been loading its append-only file.

    StackError after `patience` seconds.
    """
    await _until(lambda: _ping(url), enough=1, what=f"Valkey at {url}", give_up=give_up, patience=patience)


async def _until(
    ask: Callable[[], Awaitable[int]], *, enough: int, what: str, give_up: Callable[[], None], patience: float = _PATIENCE_SECONDS
) -> None:
    deadline = monotonic() + patience
    while await ask() < enough:
        give_up()
        if monotonic() > deadline:
            message = f"{what} did not answer within {patience:.0f} s"
            raise StackError(message)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _count_brokers(bootstrap: str) -> int:
    plain = Settings.model_validate({"kafka_bootstrap": bootstrap})  # as the local stack listens, whatever the environment says
    client = AIOKafkaAdminClient(**kafka_options(plain), request_timeout_ms=5000)
    try:
        await client.start()
        return len((await client.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return 0
    finally:
        await client.close()


async def _ping(url: str) -> int:
    async with Redis.from_url(url, socket_connect_timeout=1) as client:
        try:
            return int(bool(await client.ping()))
        except (RedisError, OSError):
            return 0

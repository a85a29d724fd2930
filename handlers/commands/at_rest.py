"""Is a deployment at rest? What takes it apart or reads all of it must not be overtaken by those who work on it."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from streams.engine.fence import Slot
from streams.engine.lag import PartitionLag, read_lag
from streams.engine.log_view import LogView
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import SystemClock
from streams.runtime.errors import RetryError, UsageError
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.admin import admin_client
from streams.wire.topics import CLIENT_EVENTS

_MEMBERS = 5  # place of the members in a group's description


async def at_rest(settings: Settings, *, groups: Sequence[str], topics: Collection[str]) -> int:
    """Return how long the client log is. UsageError while a group has members, or anything on `topics` (bare names) waits."""
    async with admin_client(settings) as client, _answering(settings):
        # One at a time: aiokafka 0.14 misreads an answer about several groups, for it expects one field less in each.
        answers = [(await client.describe_consumer_groups([group]))[0] for group in groups]
    busy = [group for group, answer in zip(groups, answers, strict=True) if answer.groups[0][_MEMBERS]]
    if busy:
        message = f"still at work: {', '.join(busy)}; stop workers and channel workers, and wait until Kafka has seen them leave"
        raise UsageError(message)
    lags, unpublished = await _left(settings, topics)
    waiting = sum(lag.records for lag in lags)
    if waiting or unpublished:
        message = f"{waiting} records are not folded and {unpublished} outboxes not empty: let workers run until rapport lag is 0"
        raise UsageError(message)
    return sum(lag.end for lag in lags if lag.slot.topic == CLIENT_EVENTS.name)


@asynccontextmanager
async def _answering(settings: Settings) -> AsyncIterator[None]:
    try:
        yield
    except KafkaError as error:
        message = (
            f"Kafka at {settings.kafka_bootstrap} cannot say who is at work ({error}); where nothing ever ran, nothing is to be"
            " done, else run it again in a minute"
        )
        raise RetryError(message) from error


async def _left(settings: Settings, topics: Collection[str]) -> tuple[list[PartitionLag], int]:
    redis, view = connect_redis(settings), LogView(settings)
    try:
        fence = RedisFence(redis, settings)
        lags = [lag for lag in await read_lag(settings, fence, clock=SystemClock(), view=view) if lag.slot.topic in topics]
        slots = [Slot(topic, partition) for topic in topics for partition in range(settings.partitions)]
        return lags, len([slot for slot in slots if await fence.read_outbox(slot, limit=1)])
    finally:
        await view.close()
        await redis.aclose()

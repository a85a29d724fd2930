"""What the running system still has to do: one question to the broker and one to Redis."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from handlers.demo.crew import DemoError
from streams.runtime.clock import monotonic
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire.kafka import kafka_options
from streams.wire.topics import CLIENT_EVENTS, SIGNALS, TRIGGERS, WEBHOOKS

# The demo speaks through webhooks only (a replay does, too); the other public topics stay empty.
_FOLDED: Final = (WEBHOOKS, SIGNALS, CLIENT_EVENTS)


SERVED_CHANNELS: Final = ("email", "task")
"""The channels that have a worker in the demo; others would need a provider."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is left to do.

    By the workers: records not folded, outputs not published, timers due. By the channels: triggers not taken over, deliveries
    under way, outcomes that are not with their client yet.
    """

    lag: int
    outbox: int
    timers: int
    untaken: int
    deliveries: int
    outcomes: int

    @property
    def total(self) -> int:
        """Everything; zero means that nothing will happen until the clock moves or something arrives."""
        return self.lag + self.outbox + self.timers + self.delivering

    @property
    def delivering(self) -> int:
        """What the channels still have to do, the way back of their outcomes included."""
        return self.untaken + self.deliveries + self.outcomes


def _nothing(left: Backlog) -> bool:
    return not left.total


class Backlogs:
    """Looks at the backlog of one deployment; use as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        """Look at the deployment of `settings`."""
        self._settings = settings
        self._redis: Redis = connect_redis(settings)
        self._consumer = AIOKafkaConsumer(**kafka_options(settings), enable_auto_commit=False)
        partitions = range(settings.partitions)
        self._folded = [(topic.name, partition) for topic in _FOLDED for partition in partitions]
        self._channels = [(TRIGGERS[channel].name, partition) for channel in SERVED_CHANNELS for partition in partitions]
        self._parts = [TopicPartition(settings.topic(name), p) for name, p in (*self._folded, *self._channels)]

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._redis.aclose()

    async def look(self, *, now_ms: int) -> Backlog:
        """Return what is left to do at `now_ms` of the shared clock.

        The ends are read before the positions, so work that is passed on in between is seen in one place at least.
        """
        ends = await self._consumer.end_offsets(self._parts)
        answers = iter(await self._ask(now_ms).execute())
        lag = outbox = timers = untaken = deliveries = outcomes = 0
        for name, partition in self._folded:
            behind = max(ends[TopicPartition(self._settings.topic(name), partition)] - int(next(answers) or 0), 0)
            if name == SIGNALS.name:
                outcomes += behind
            else:
                lag += behind
            if name == CLIENT_EVENTS.name:
                outbox += next(answers)
                timers += next(answers)
        for name, partition in self._channels:
            untaken += max(ends[TopicPartition(self._settings.topic(name), partition)] - int(next(answers) or 0), 0)
            deliveries += next(answers) + next(answers) + next(answers)
        return Backlog(lag, outbox, timers, untaken, deliveries, outcomes)

    async def settle(self, *, now_ms: int, enough: Callable[[Backlog], bool] = _nothing, patience_seconds: float) -> Backlog:
        """Return as soon as the backlog is `enough` settled at `now_ms`, by default when nothing at all is left.

        Raises DemoError when that takes longer than `patience_seconds`.
        """
        pause, deadline = 0.015, monotonic() + patience_seconds
        while True:
            left = await self.look(now_ms=now_ms)
            if enough(left):
                return left
            if monotonic() > deadline:
                message = f"work is left after {patience_seconds:.0f} s: {left}"
                raise DemoError(message)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.06)

    def _ask(self, now_ms: int) -> Pipeline:
        asked = self._redis.pipeline(transaction=False)
        for name, partition in self._folded:
            keys = PartitionKeys.of(self._settings, name, partition)
            asked.hget(keys.fence, "next")
            if name == CLIENT_EVENTS.name:
                asked.xlen(keys.outbox)
                asked.zcount(keys.timers, "-inf", now_ms)
        for name, partition in self._channels:
            # The ledger's keys as handlers/channels/redis_ledger.py lays them out.
            tag = f"{{{self._settings.namespace}:{self._settings.topic(name)}:{partition}}}"
            asked.hget(f"{tag}:f", "next")
            asked.zcount(f"{tag}:due", "-inf", now_ms)
            asked.zcard(f"{tag}:ls")
            asked.xlen(f"{tag}:ob")
        return asked

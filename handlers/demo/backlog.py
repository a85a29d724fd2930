"""What the running system still has to do: one question to the broker and one to Redis."""

import asyncio
from dataclasses import dataclass
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from handlers.demo.crew import DemoError
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS, INTAKE_TOPICS, TRIGGERS

_FOLDED: Final = (*INTAKE_TOPICS, CLIENT_EVENTS)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records not folded, outputs not published, timers due, triggers not taken over, deliveries and outcomes under way."""

    lag: int
    outbox: int
    timers: int
    untaken: int
    deliveries: int

    @property
    def total(self) -> int:
        """Everything; zero means that nothing will happen until the clock moves or something arrives."""
        return self.lag + self.outbox + self.timers + self.untaken + self.deliveries


class Backlogs:
    """Looks at the backlog of one deployment; use as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        """Look at the deployment of `settings`."""
        self._settings = settings
        self._redis: Redis = connect_redis(settings)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
        partitions = range(settings.partitions)
        self._folded = [(topic.name, partition) for topic in _FOLDED for partition in partitions]
        self._channels = [(topic.name, partition) for topic in TRIGGERS.values() for partition in partitions]
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
        asked = self._ask(now_ms)
        answers = await asked.execute()
        folded, channels = answers[: 3 * len(self._folded)], answers[3 * len(self._folded) :]
        lag = outbox = timers = untaken = deliveries = 0
        for (name, partition), at in zip(self._folded, range(0, len(folded), 3), strict=True):
            end = ends[TopicPartition(self._settings.topic(name), partition)]
            lag += max(end - int(folded[at] or 0), 0)
            outbox += folded[at + 1]
            timers += folded[at + 2]
        for (name, partition), at in zip(self._channels, range(0, len(channels), 4), strict=True):
            end = ends[TopicPartition(self._settings.topic(name), partition)]
            untaken += max(end - int(channels[at] or 0), 0)
            deliveries += sum(channels[at + 1 : at + 4])
        return Backlog(lag=lag, outbox=outbox, timers=timers, untaken=untaken, deliveries=deliveries)

    async def settle(self, *, now_ms: int, patience_seconds: float) -> None:
        """Return when nothing is left to do at `now_ms`; raise DemoError when that takes longer than `patience_seconds`."""
        pause = 0.004
        try:
            async with asyncio.timeout(patience_seconds):
                while (await self.look(now_ms=now_ms)).total:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, 0.05)
        except TimeoutError as error:
            left = await self.look(now_ms=now_ms)
            message = f"work is left after {patience_seconds:.0f} s: {left}"
            raise DemoError(message) from error

    def _ask(self, now_ms: int) -> Pipeline:
        asked = self._redis.pipeline(transaction=False)
        for name, partition in self._folded:
            keys = PartitionKeys.of(self._settings, name, partition)
            asked.hget(keys.fence, "next")
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

"""The lag as figures for those on call, told by a process of its own: also while no worker lives to tell anything."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from models.events.envelope import epoch_ms
from streams.engine.lag import WATCHED_TOPICS, PartitionLag, read_lag
from streams.engine.lag_status import Status, Watched
from streams.engine.log_view import LogView
from streams.engine.open_letters import OpenLetters, read_on
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import Clock, SystemClock, make_clock
from streams.runtime.errors import RetryError
from streams.runtime.metrics import (
    CONSUMER_LAG,
    CONSUMER_LAG_SECONDS,
    CONSUMER_STATUS,
    DLQ_DEPTH,
    DLQ_OLDEST_AGE,
    FENCE_NEXT,
    LAG_READ,
    REDIS_EVICTED,
    REDIS_MEMORY,
    REDIS_MEMORY_LIMIT,
    REDIS_SAVES,
    RETENTION_HEADROOM,
    TIMERS_DUE_BACKLOG,
    TIMERS_OVERDUE,
    TOPIC_PARTITIONS,
    Meter,
)
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import answer_of, connect_redis
from streams.wire.admin import TopicFacts, read_topics
from streams.wire.topics import CLIENT_EVENTS, Topic

log = structlog.get_logger(__name__)

_OF_SERVER: Final = (REDIS_MEMORY, REDIS_MEMORY_LIMIT, REDIS_EVICTED, REDIS_SAVES)
_BY_PARTITION: Final = (CONSUMER_LAG, CONSUMER_LAG_SECONDS, FENCE_NEXT, RETENTION_HEADROOM)


@dataclass(frozen=True, slots=True)
class OverdueTimers:
    """Timers of one partition that are due and have not fired: how many clients', and for how long the earliest is."""

    clients: int
    late_seconds: float


def headroom_seconds(lag: PartitionLag, *, retention_ms: int) -> float | None:
    """Return how long until retention deletes the oldest record that waits, 0 when it has begun to; none: nothing can be lost.

    Brokers delete whole segments, so a record lives at least so long, mostly longer.
    """
    if retention_ms < 0:
        return None
    if lag.next_offset is not None and lag.start > lag.next_offset:
        return 0.0
    return max(retention_ms / 1000 - lag.seconds, 0.0) if lag.records else None


class LagExport:
    """Reads the lag of a deployment and shows it in a meter; what cannot be read now is not shown, rather than as it was."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        """Read what `settings` name; connects on first use."""
        self._settings = settings
        self._meter = meter
        self._redis = connect_redis(settings)
        self._fence = RedisFence(self._redis, settings)
        self._view = LogView(settings)
        self._letters = OpenLetters(0)
        self._watched = Watched()
        self._machine: Clock = SystemClock()  # brokers stamp records by it, also where a clock file drives timers
        self._clock = make_clock(settings.clock_file)
        self.flaw = "the lag was not read yet"
        """Why the last reading failed, in words; empty when it did not."""

    async def read(self) -> None:
        """Read everything once and show it; never raises for a server that is away."""
        await self._read_letters()
        try:
            lags = await read_lag(self._settings, self._fence, clock=self._machine, view=self._view)
            facts = await read_topics(self._settings, topics=WATCHED_TOPICS)
            timers = await self._timers()
            server = await answer_of(self._redis.info())
        except RetryError as error:
            self.flaw = str(error)
            self._forget()
            log.warning("the lag cannot be read", reason=self.flaw)
            return
        show_lag(self._meter, lags, retention={topic.name: self._retention(topic, facts) for topic in WATCHED_TOPICS})
        show_status(self._meter, lags, self._watched)
        for partition, overdue in timers.items():
            self._meter.set(TIMERS_DUE_BACKLOG, overdue.late_seconds, partition=str(partition))
            self._meter.set(TIMERS_OVERDUE, overdue.clients, partition=str(partition))
        show_server(self._meter, server)
        self._meter.set(LAG_READ, self._machine.now().timestamp())
        self.flaw = ""

    async def _read_letters(self) -> None:
        """Show what waits among the dead letters; not a number until all of them were read, and while they cannot be."""
        try:
            whole = await read_on(self._letters, self._settings, view=self._view)
        except RetryError as error:
            log.warning("the dead letters cannot be read", reason=str(error))
            whole = False
        oldest_ms = self._letters.oldest_ms()
        age = 0.0 if oldest_ms is None else max(self._machine.now().timestamp() - oldest_ms / 1000, 0.0)
        self._meter.set(DLQ_DEPTH, self._letters.depth if whole else float("nan"))
        self._meter.set(DLQ_OLDEST_AGE, age if whole else float("nan"))

    def _retention(self, topic: Topic, facts: Mapping[str, TopicFacts]) -> int:
        """Return how long the broker keeps records of the topic, in ms; as our table says where it does not tell."""
        found = facts.get(self._settings.topic(topic.name))
        return int(found.config.get("retention.ms", topic.retention_ms)) if found else topic.retention_ms

    async def _timers(self) -> dict[int, OverdueTimers]:
        now_ms = epoch_ms(self._clock.now())
        partitions = range(self._settings.partitions)
        return dict(zip(partitions, await asyncio.gather(*(self._overdue(at, now_ms) for at in partitions)), strict=True))

    async def _overdue(self, partition: int, now_ms: int) -> OverdueTimers:
        key = PartitionKeys.of(self._settings, CLIENT_EVENTS.name, partition).timers
        count = int(await answer_of(self._redis.zcount(key, "-inf", now_ms)))
        earliest = await answer_of(self._redis.zrange(key, 0, 0, withscores=True))
        return OverdueTimers(count, max(now_ms - earliest[0][1], 0.0) / 1000 if earliest else 0.0)

    def _forget(self) -> None:
        self._watched.forget()
        for topic in WATCHED_TOPICS:
            for partition in range(self._settings.partitions):
                for metric in _BY_PARTITION:
                    self._meter.forget(metric, topic=topic.name, partition=str(partition))
                for status in Status:
                    self._meter.forget(CONSUMER_STATUS, topic=topic.name, partition=str(partition), status=status.value)
        for partition in range(self._settings.partitions):
            for metric in (TIMERS_DUE_BACKLOG, TIMERS_OVERDUE):
                self._meter.forget(metric, partition=str(partition))
        for metric in _OF_SERVER:
            self._meter.set(metric, float("nan"))  # without labels a series cannot be taken away; this one compares with nothing

    async def run(self, stopped: asyncio.Event, *, every_seconds: float) -> None:
        """Read every so often until `stopped`, then disconnect."""
        try:
            while not stopped.is_set():
                await self.read()
                try:
                    await asyncio.wait_for(stopped.wait(), every_seconds)
                except TimeoutError:
                    continue
        finally:
            await self.close()

    async def close(self) -> None:
        """Disconnect."""
        await self._view.close()
        await self._redis.aclose()


def show_lag(meter: Meter, lags: Iterable[PartitionLag], *, retention: Mapping[str, int]) -> None:
    """Set the gauges of each partition in `lags`; `retention` says by topic how long the broker keeps it: ms, -1: for ever."""
    partitions = Counter[str]()
    for lag in lags:
        slot = lag.slot
        partitions[slot.topic] += 1
        labels = {"topic": slot.topic, "partition": str(slot.partition)}
        meter.set(CONSUMER_LAG, lag.records, **labels)
        meter.set(CONSUMER_LAG_SECONDS, lag.seconds, **labels)
        meter.set(FENCE_NEXT, lag.start if lag.next_offset is None else lag.next_offset, **labels)
        headroom = headroom_seconds(lag, retention_ms=retention[slot.topic])
        if headroom is None:
            meter.forget(RETENTION_HEADROOM, **labels)
        else:
            meter.set(RETENTION_HEADROOM, headroom, **labels)
    for topic, count in partitions.items():
        meter.set(TOPIC_PARTITIONS, count, topic=topic)


def show_status(meter: Meter, lags: Iterable[PartitionLag], watched: Watched) -> None:
    """Take the reading of each partition into `watched`, and set the gauge of how it fares to 1 and the others to 0."""
    for lag in lags:
        found = watched.see(lag)
        for status in Status:
            place = {"topic": lag.slot.topic, "partition": str(lag.slot.partition)}
            meter.set(CONSUMER_STATUS, float(status is found), **place, status=status.value)


def show_server(meter: Meter, said: Mapping[str, object]) -> None:
    """Set the gauges of the server from what it says of itself (INFO)."""
    limit = int(str(said.get("maxmemory", 0))) or int(str(said.get("total_system_memory", 0)))
    meter.set(REDIS_MEMORY, int(str(said.get("used_memory", 0))))
    meter.set(REDIS_MEMORY_LIMIT, limit)
    meter.set(REDIS_EVICTED, int(str(said.get("evicted_keys", 0))))
    meter.set(REDIS_SAVES, float(said.get("aof_enabled") == 1 and said.get("aof_last_write_status") == "ok"))

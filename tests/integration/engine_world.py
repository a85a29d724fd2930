"""What the engine's tests do to real servers: feed logs, run and kill workers, and hold everything against the oracle."""

import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.events.envelope import epoch_ms
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from streams.engine.fence import Slot
from streams.engine.fold import Program
from streams.engine.lag import WATCHED_TOPICS
from streams.engine.log_view import LogView
from streams.engine.oracle import fold_partition
from streams.engine.producer import KafkaProducer, Outgoing
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import make_clock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire import reading
from streams.wire.codec import encode_event
from streams.wire.headers import Position, read_origin
from streams.wire.partitioning import partition_of
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, DECISIONS, EXAMPLES, TRIGGERS, Partitioning, Topic
from tests.commands import environment_of
from tests.conftest import REPOSITORY
from tests.waiting import until, until_async

LOOK_SECONDS = 0.1
"""A look at all positions asks both servers several times, and takes from the workers the cores that it waits for."""
LONGEST_SESSION_SECONDS = 6.0
"""How long a killed worker keeps its partitions in tests, where the settings say no less: brokers refuse less by default."""

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
OUTPUTS = (*TRIGGERS.values(), DECISIONS, EXAMPLES, DEAD_LETTERS)


def payment(number: int, *, clients: int = 40, event_id: str | None = None, source: str = "test") -> PaymentReceived:
    moment = START + timedelta(seconds=number)
    return PaymentReceived(
        event_id=event_id or f"event-{number}",
        source=source,
        occurred_at=moment,
        received_at=moment,
        client_id=f"client-{number % clients}",
        payment_id=f"payment-{number}",
        amount=Money(minor=100 + number, currency="EUR"),
    )


def on_the_log(events: Iterable[AnyClientEvent], settings: Settings) -> list[Outgoing]:
    return [
        Outgoing(
            topic=CLIENT_EVENTS.name,
            partition=partition_of(event.client_id, settings.partitions),
            key=event.client_id.encode(),
            value=encode_event(event),
            headers=(),
        )
        for event in events
    ]


def to_topic(topic: Topic, value: bytes, *, key: bytes = b"k") -> Outgoing:
    return Outgoing(topic=topic.name, partition=None, key=key, value=value, headers=())


async def feed(settings: Settings, records: Sequence[Outgoing]) -> None:
    producer = KafkaProducer(settings, Meter())
    try:
        for first in range(0, len(records), 500):
            await producer.send_all(records[first : first + 500])
    finally:
        await producer.close()


def environment(settings: Settings, **more: str) -> dict[str, str]:
    session = min(settings.session_seconds, LONGEST_SESSION_SECONDS)
    return environment_of(settings, **{"RAPPORT_SESSION_SECONDS": str(session), "RAPPORT_BATCH_RECORDS": "50", **more})


class Worker:
    """A real worker process, by default with the counting program; `module` may carry arguments after a space."""

    def __init__(self, settings: Settings, log: Path, *, module: str = "tests.streams.counting_worker", **more: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module.split()],
                cwd=REPOSITORY,
                env=environment(settings, **more),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def said(self, words: str) -> bool:
        return words in self.log.read_text(errors="replace")

    def until_working(self) -> "Worker":
        until(lambda: self.said("partitions assigned"), timeout=120, what=f"an assignment in {self.log}")
        return self

    def until_dead(self) -> int:
        until(lambda: self.process.poll() is not None, timeout=90, what=f"the end of the worker; see {self.log}")
        return self.process.wait()

    def kill(self) -> int:
        self.process.kill()
        return self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.until_dead()


class Crew:
    """Workers of one test; whoever still lives at its end is killed."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self.folder = folder
        self.workers: list[Worker] = []

    def start(self, *, module: str = "tests.streams.counting_worker", **more: str) -> Worker:
        worker = Worker(self._settings, self.folder / f"worker-{len(self.workers)}.log", module=module, **more)
        self.workers.append(worker)
        return worker


@contextmanager
def crew_of(settings: Settings, folder: Path) -> Iterator[Crew]:
    crew = Crew(settings, folder)
    try:
        yield crew
    finally:
        for worker in crew.workers:
            worker.kill()


async def until_caught_up(settings: Settings, *, timeout: float = 60.0) -> None:  # noqa: ASYNC109 - as in tests.waiting
    """Wait until all is at rest: every position at the end of its log, every outbox empty, and no timer due.

    A due timer means that a tick is about to be written, and what is read while one log feeds another may be old already. So
    nothing counts as at rest unless the logs end after the look where they ended before it.
    """
    redis = connect_redis(settings)
    fence, view, clock = RedisFence(redis, settings), LogView(settings), make_clock(settings.clock_file)
    slots = [Slot(topic.name, partition) for topic in WATCHED_TOPICS for partition in range(settings.partitions)]

    async def timers_due() -> int:
        now_ms = epoch_ms(clock.now())
        keys = [PartitionKeys.of(settings, CLIENT_EVENTS.name, partition).timers for partition in range(settings.partitions)]
        return sum([int(await redis.zcount(key, "-inf", now_ms)) for key in keys])

    async def at_rest() -> bool:
        before = await view.read(slots)
        for slot in slots:
            if await fence.position(slot) != before[slot].end or await fence.read_outbox(slot, limit=1):
                return False
        return not await timers_due() and await view.read(slots) == before

    try:
        condition: Callable[[], Awaitable[bool]] = at_rest
        what = "every position at the end of its log and no timer due"
        await until_async(condition, timeout=timeout, what=what, every=LOOK_SECONDS)
    finally:
        await view.close()
        await redis.aclose()


async def read_topic(settings: Settings, topic: Topic) -> dict[int, list[Record]]:
    """Return all records of `topic` by partition."""
    count = 1 if topic.partitioning is Partitioning.SINGLE else settings.partitions
    return await reading.read_topic(settings, topic.name, partitions=list(range(count)))


async def stored_states(settings: Settings, partition: int) -> dict[str, bytes]:
    redis = connect_redis(settings)
    try:
        stored: Any = await redis.hgetall(PartitionKeys.of(settings, CLIENT_EVENTS.name, partition).states)
    finally:
        await redis.aclose()
    return {client.decode(): blob for client, blob in stored.items()}


def accepted(records: Iterable[Record]) -> list[tuple[Position, bytes | None, bytes | None]]:
    """Return what a reader keeps that follows the high-water rule: nothing at or below the furthest position it has seen."""
    furthest = Position(-1, -1)
    kept = []
    for record in records:
        position = read_origin(record.headers).position
        if position > furthest:
            furthest = position
            kept.append((position, record.key, record.value))
    return kept


async def assert_equals_oracle(
    settings: Settings, program: Program[Any], *, log: Mapping[int, Sequence[Record]] | None = None
) -> None:
    """States stored and outputs accepted are those of a single-threaded fold of the log, once and in order.

    `log` is given where more was folded than the broker still has.
    """
    log = log or await read_topic(settings, CLIENT_EVENTS)
    outputs = {topic.name: await read_topic(settings, topic) for topic in OUTPUTS}
    for partition in range(settings.partitions):
        truth = fold_partition(program, log.get(partition, ()), partitions=settings.partitions)
        assert await stored_states(settings, partition) == truth.states
        for topic in OUTPUTS:
            shared = topic.partitioning is Partitioning.SINGLE
            records = outputs[topic.name][0 if shared else partition]
            own = [record for record in records if _came_from(record, partition)]
            expected = [(told.position, told.key, told.value) for told in truth.outputs if told.topic == topic.name]
            assert accepted(own) == expected, topic.name


def _came_from(record: Record, partition: int) -> bool:
    origin = read_origin(record.headers)
    return (origin.src_topic, origin.src_partition) == (CLIENT_EVENTS.name, partition)

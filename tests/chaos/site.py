"""The place where chaos happens: servers, proxies before them, workers behind them, and a steady load of events."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from handlers.stack.local import LocalStack
from streams.engine.producer import KafkaProducer, Outgoing
from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.topics import PAYMENTS
from tests.chaos.proxy import Proxy
from tests.integration.engine_world import Crew, Worker, crew_of, payment, to_topic, until_caught_up
from tests.waiting import pause, until_async

_CHUNK = 50
_GAP_SECONDS = 0.1
_POISON = (b"", b"{", b'{"kind":"payment.received"}', b"\xff", b"[" * 2_000)


@dataclass(slots=True)
class Load:
    """Payments sent so far; a tenth of them twice, and one record in a hundred unreadable."""

    dice: Random
    sent: dict[str, None] = field(default_factory=dict)
    poison: int = 0

    def chunk(self) -> list[Outgoing]:
        """Return the next records."""
        records = []
        for _ in range(_CHUNK):
            event = payment(len(self.sent))
            self.sent[event.event_id] = None
            record = to_topic(PAYMENTS, encode_event(event), key=event.client_id.encode())
            records += [record] * (2 if self.dice.random() < 0.1 else 1)
            if self.dice.random() < 0.01:
                self.poison += 1
                records.append(to_topic(PAYMENTS, self.dice.choice(_POISON)))
        return records


@dataclass(slots=True)
class Site:
    """All that a fault may reach for."""

    settings: Settings
    crew: Crew
    redis: Proxy
    kafka: Proxy
    dice: Random
    load: Load
    stack: LocalStack | None

    def start(self, **more: str) -> Worker:
        """Start a worker behind the proxies; as a supervisor would, with a short patience."""
        behind = {
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka.port}",
            "REDIS_URL": f"redis://127.0.0.1:{self.redis.port}/0",
            "RAPPORT_STALL_SECONDS": "30",
            "RAPPORT_EXIT_SECONDS": "10",
        }
        return self.crew.start(module="tests.chaos.worker", **{**behind, **more})

    def living(self) -> list[Worker]:
        """Return the workers that live."""
        return [worker for worker in self.crew.workers if worker.process.poll() is None]

    def mind(self, *, at_least: int = 2) -> None:
        """Start workers until there are `at_least`, as a supervisor does with those that exited."""
        while len(self.living()) < at_least:
            self.start()

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """Send payments steadily for as long as the body runs."""
        over = asyncio.Event()
        sending = asyncio.create_task(self._send(over))
        try:
            yield
        finally:
            over.set()
            await sending

    async def _send(self, over: asyncio.Event) -> None:
        producer = KafkaProducer(self.settings, Meter())
        try:
            while not over.is_set():
                records = self.load.chunk()
                while not await _sent(producer, records):
                    await pause(_GAP_SECONDS)
                await pause(_GAP_SECONDS)
        finally:
            await producer.close()

    async def recover(self) -> float:
        """Wait until all is folded and published; returns the seconds it took."""
        started = monotonic()

        async def minded() -> bool:
            self.mind()
            try:
                await until_caught_up(self.settings, timeout=5)
            except (AssertionError, RetryError, OSError):
                return False
            return True

        await until_async(minded, timeout=150, what="recovery")
        return monotonic() - started


async def _sent(producer: KafkaProducer, records: list[Outgoing]) -> bool:
    try:
        await producer.send_all(records)
    except RetryError:
        return False
    return True


@contextmanager
def site_of(settings: Settings, *, folder: Path, seed: int, stack: LocalStack | None = None) -> Iterator[Site]:
    """Build a site with two workers around `settings`; logs and all go to `folder`."""
    dice = Random(seed)
    redis_port = urlsplit(settings.redis_url).port or 6379
    kafka_port = int(settings.kafka_bootstrap.rsplit(":", 1)[1])
    folder.mkdir(parents=True, exist_ok=True)
    with Proxy(redis_port) as redis, Proxy(kafka_port, kafka=True) as kafka, crew_of(settings, folder) as crew:
        site = Site(settings, crew, redis, kafka, dice, Load(dice), stack)
        for worker in [site.start(), site.start()]:
            worker.until_working()
        yield site

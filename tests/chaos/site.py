"""The place where chaos happens: servers, proxies before them, workers behind them, and a steady load of events."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from handlers.stack.local import LocalStack
from streams.engine.producer import KafkaProducer, Outgoing
from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.redis_store import SENTINEL_SCHEME
from tests.chaos.given_up import GivenUp
from tests.chaos.load import USUAL, Load, Mix
from tests.chaos.proxy import Proxy
from tests.integration.engine_world import Crew, Worker, crew_of, until_caught_up
from tests.waiting import pause, until_async

_GAP_SECONDS = 0.1


if TYPE_CHECKING:
    from tests.chaos.sentinels import Trio


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
    worker_environment: Mapping[str, str]
    trio: "Trio | None" = None
    given_up: GivenUp = field(default_factory=GivenUp)
    longest_pause: float = 0.0  # seconds in which nothing was folded, where a fault measures that
    sign: str = ""  # what workers log of the fault, as a regular expression; empty: nothing is waited for

    def behind_proxies(self) -> dict[str, str]:
        """Return the addresses that a process of ours gets. Sentinels tell of servers that no proxy stands before."""
        first, *others = self.settings.kafka_bootstrap.split(",")
        proxied = first.rsplit(":", 1)[0] + f":{self.kafka.port}"
        sentinels = self.settings.redis_url.startswith(SENTINEL_SCHEME)
        return {
            "KAFKA_BOOTSTRAP": ",".join((proxied, *others)),
            "REDIS_URL": self.settings.redis_url if sentinels else f"redis://127.0.0.1:{self.redis.port}/0",
        }

    def start(self, **more: str) -> Worker:
        """Start a worker behind the proxies; as a supervisor would, with a short patience."""
        patience = {"RAPPORT_STALL_SECONDS": "30", "RAPPORT_EXIT_SECONDS": "10"}
        told = {**self.behind_proxies(), **patience, **self.worker_environment, **more}
        return self.crew.start(module="tests.chaos.worker", **told)

    def living(self) -> list[Worker]:
        """Return the workers that live."""
        return [worker for worker in self.crew.workers if worker.process.poll() is None]

    def signs(self) -> int:
        """Return how often the workers' logs hold the sign."""
        return count_signs(self.sign, self.crew.folder) if self.sign else 0

    async def noticed(self, *, within: float = 120) -> None:
        """Wait until a worker has logged the fault: how soon one does depends on what it was about to ask."""
        if self.sign:
            await until_async(self.signs, timeout=within, what=f"a worker to log {self.sign!r}", every=1)

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

    async def recover(self, *, within: float = 150) -> float:
        """Wait until all is folded and published, `within` so many seconds; returns the seconds it took."""
        started = monotonic()

        async def minded() -> bool:
            self.mind()
            try:
                await until_caught_up(self.settings, timeout=5)
            except (AssertionError, RetryError, OSError):
                return False
            return True

        await until_async(minded, timeout=within, what="recovery")
        return monotonic() - started


def count_signs(sign: str, folder: Path) -> int:
    """Return how often the workers' logs in `folder` hold `sign`."""
    return sum(len(re.findall(sign, log.read_text(errors="replace"))) for log in folder.glob("worker-*.log"))


async def _sent(producer: KafkaProducer, records: list[Outgoing]) -> bool:
    try:
        await producer.send_all(records)
    except RetryError:
        return False
    return True


@contextmanager
def site_of(
    settings: Settings,
    *,
    folder: Path,
    seed: int,
    stack: LocalStack | None = None,
    mix: Mix = USUAL,
    environment: Mapping[str, str] = MappingProxyType({}),
    trio: "Trio | None" = None,
) -> Iterator[Site]:
    """Build a site with two workers around `settings`, with `environment` theirs; logs and all go to `folder`."""
    dice = Random(seed)
    redis_port = urlsplit(settings.redis_url).port or 6379
    kafka_port = int(settings.kafka_bootstrap.split(",")[0].rsplit(":", 1)[1])
    folder.mkdir(parents=True, exist_ok=True)
    with Proxy(redis_port) as redis, Proxy(kafka_port, kafka=True) as kafka, crew_of(settings, folder) as crew:
        site = Site(settings, crew, redis, kafka, dice, Load(dice, mix), stack, environment, trio)
        for worker in [site.start(), site.start()]:
            worker.until_working()
        yield site

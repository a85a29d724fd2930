"""Sends recorded deliveries into a running system, through the public topic of raw webhooks, one client's always in order."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from handlers.commands.history import BadLine, Delivery
from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError, UsageError
from streams.runtime.settings import Settings
from streams.wire.kafka import begun, kafka_options, why_away
from streams.wire.topics import WEBHOOKS

_IN_FLIGHT: Final = 2_000  # deliveries awaiting the broker's word; enough to fill batches, little to lose on Ctrl-C
_REPORT_SECONDS: Final = 1.0


@dataclass(slots=True)
class Sent:
    """What has been read and acknowledged so far."""

    read: int = 0
    acknowledged: int = 0
    skipped: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    clients: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None
    bad: list[BadLine] = field(default_factory=list)
    bad_count: int = 0

    def note(self, found: Delivery | BadLine) -> bool:
        """Count one line; say whether it can be sent."""
        if isinstance(found, BadLine):
            self.bad_count += found.alike
            if len(self.bad) < 3:  # noqa: PLR2004 (examples for the screen)
                self.bad.append(found)
            return False
        self.read += 1
        self.kinds.update(found.kinds or ("nothing about a client",))
        self.clients.add(found.client_id)
        self.first = min(self.first or found.received_at, found.received_at)
        self.last = max(self.last or found.received_at, found.received_at)
        return True


Report = Callable[[Sent], None]


async def send(
    history: Iterable[Delivery | BadLine],
    *,
    settings: Settings,
    sent: Sent,
    rate: float | None = None,
    skip: int = 0,
    report: Report,
) -> None:
    """Publish `history` and return when the broker has acknowledged all of it; `sent` tells how far it came, also on error.

    The records look as if the gateway had received them when they say they were received, and carry the ids of the first
    time: sending twice changes nothing. `rate` limits deliveries per second; the first `skip` are left out.
    Raises RetryError while Kafka is away and UsageError when the topic does not exist.
    """
    producer = AIOKafkaProducer(
        **kafka_options(settings),
        enable_idempotence=True,
        acks="all",
        linger_ms=20,
        max_batch_size=262_144,
    )
    topic = settings.topic(WEBHOOKS.name)
    try:
        await begun(producer, settings)
        if not await producer.client.add_topic(topic) or not producer.client.cluster.partitions_for_topic(topic):
            message = f"topic {topic} does not exist at {settings.kafka_bootstrap}; start the system first: rapport stack up"
            raise UsageError(message)
        await _publish(history, producer=producer, topic=topic, sent=sent, rate=rate, skip=skip, report=report)
    except (KafkaError, OSError) as error:
        raise RetryError(await why_away(settings, error)) from error
    finally:
        await producer.stop()


async def _publish(
    history: Iterable[Delivery | BadLine],
    *,
    producer: AIOKafkaProducer,
    topic: str,
    sent: Sent,
    rate: float | None,
    skip: int,
    report: Report,
) -> None:
    started = reported = monotonic()
    flying: list[asyncio.Future[object]] = []
    for found in history:
        if not sent.note(found) or isinstance(found, BadLine):
            continue
        if sent.read <= skip:
            sent.skipped += 1
            continue
        flying.append(await producer.send(topic, value=found.body, key=found.client_id.encode(), headers=found.headers()))
        if len(flying) >= _IN_FLIGHT:
            await _landed(flying, sent)
        if rate is not None and (ahead := (sent.read - skip) / rate - (monotonic() - started)) > 0:
            await asyncio.sleep(ahead)
        if monotonic() - reported > _REPORT_SECONDS:
            report(sent)
            reported = monotonic()
    await _landed(flying, sent)


async def _landed(flying: list[asyncio.Future[object]], sent: Sent) -> None:
    await asyncio.gather(*flying)
    sent.acknowledged += len(flying)
    flying.clear()

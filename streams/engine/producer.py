"""Records out to Kafka: idempotent, acknowledged by all replicas, and made anew after any error."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.engine.writes import OutboxEntry
from streams.runtime import metrics
from streams.runtime.errors import RetryError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.topics import COMPACTED

log = structlog.get_logger(__name__)

_LARGEST_REQUEST: Final = 3 * 1_048_576  # a dead letter of 2 MiB with room for its neighbours' headers
_REQUEST_MS: Final = 15_000
_STOP_SECONDS: Final = 5.0


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A record to produce. `topic` is the bare name of the topic table; `partition` none leaves it to the key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def outgoing(entry: OutboxEntry) -> Outgoing:
    """Return the record that publishes `entry`; nothing, on a compacted topic, takes the record of the same key away."""
    value = None if not entry.value and entry.topic in COMPACTED else entry.value
    return Outgoing(topic=entry.topic, partition=entry.partition, key=entry.key, value=value, headers=entry.headers)


class Producer(Protocol):
    """Writes records to topics."""

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        """Write `records` in order and return their offsets once all are safe; raises RetryError when one may not be."""
        ...


class KafkaProducer:
    """One connection to Kafka for all lanes of a process.

    After an error the state of an idempotent producer cannot be trusted (a lost sequence number breaks it until it is made
    anew), so it is closed and the next call makes another; every caller then sends its whole batch again.
    """

    def __init__(self, settings: Settings, meter: Meter) -> None:
        """Connect to the brokers of `settings` on first use."""
        self._settings = settings
        self._meter = meter
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()

    async def _running(self) -> AIOKafkaProducer:
        async with self._making:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.kafka_bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=_LARGEST_REQUEST,
                    request_timeout_ms=_REQUEST_MS,
                )
                try:
                    await producer.start()
                except (KafkaError, OSError) as error:
                    await _stop(producer)
                    raise RetryError(self._away(error)) from error
                self._producer = producer
            return self._producer

    def _away(self, error: BaseException) -> str:
        return f"Kafka at {self._settings.kafka_bootstrap} does not take records ({error!r}); check it with `rapport doctor`"

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        """Write `records` in order and return their offsets once all are safe; raises RetryError when one may not be."""
        producer = await self._running()
        pending: list[asyncio.Future[Any]] = []
        failure: BaseException | None = None
        for record in records:
            try:
                pending.append(await self._send(producer, record))
            except (KafkaError, OSError) as error:
                failure = error
                break
        written = await asyncio.gather(*pending, return_exceptions=True)
        offsets = [result.offset for result in written if not isinstance(result, BaseException)]
        if len(offsets) == len(records):
            return offsets
        failure = failure or next(result for result in written if isinstance(result, BaseException))
        await self._discard(producer, failure)
        raise RetryError(self._away(failure)) from failure

    async def _send(self, producer: AIOKafkaProducer, record: Outgoing) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = await producer.send(
            self._settings.topic(record.topic),
            value=record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
        )
        return sent

    async def _discard(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        if self._producer is producer:
            self._producer = None
            self._meter.count(metrics.PRODUCER_RESTARTS)
            log.warning("producer failed, making another", error=repr(error))
            await _stop(producer)

    async def close(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop `producer`, but do not wait for a broker that is gone."""
    stopping = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait([stopping], timeout=_STOP_SECONDS)
    if not done:
        stopping.cancel()
    elif stopping.exception() is not None:
        log.warning("producer did not stop cleanly", error=repr(stopping.exception()))

"""Records out to Kafka: idempotent, acknowledged by all replicas, and made anew after any error."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from streams.engine.writes import OutboxEntry
from streams.runtime import metrics
from streams.runtime.errors import RetryError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.headers import Headers
from streams.wire.kafka import begun, kafka_options
from streams.wire.topics import COMPACTED

log = structlog.get_logger(__name__)

_LARGEST_REQUEST: Final = 3 * 1_048_576  # a dead letter of 2 MiB with room for its neighbours' headers
_BATCH_BYTES: Final = 512 * 1024  # topics take 1 MiB at once; a batch is one round trip, and its partition waits for it
_PARTITIONER: Final = DefaultPartitioner()
_REQUEST_MS: Final = 15_000
_STOP_SECONDS: Final = 5.0


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record to produce. `topic` is the bare name of the topic table; `partition` none leaves it to the key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


def outgoing(entry: OutboxEntry, more: Headers = ()) -> Outgoing:
    """Return the record that publishes `entry` with `more` headers after its own.

    Nothing, on a compacted topic, takes the record of the same key away.
    """
    value = None if not entry.value and entry.topic in COMPACTED else entry.value
    headers = (*entry.headers, *more) if more else entry.headers
    return Outgoing(topic=entry.topic, partition=entry.partition, key=entry.key, value=value, headers=headers)


class Producer(Protocol):
    """Writes records to topics."""

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        """Write `records` in order and return their offsets once all are safe; raises RetryError when one may not be."""
        ...


class _Parcel:
    """Records of one partition on their way as one batch, and their places in the call that sends them."""

    __slots__ = ("at", "builder", "indices")

    def __init__(self, at: tuple[str, int], builder: Any) -> None:  # noqa: ANN401 - the client library's batch builder
        self.at = at
        self.builder = builder
        self.indices: list[int] = []

    def add(self, index: int, record: Outgoing) -> bool:
        """Pack a record; returns false when the batch is full."""
        if self.builder.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers)) is None:
            return False
        self.indices.append(index)
        return True


async def _home(producer: AIOKafkaProducer, topic: str, key: bytes | None) -> int:
    """Return the partition that any standard producer would choose."""
    partitions = sorted(await producer.partitions_for(topic))
    chosen: int = _PARTITIONER(key, partitions, partitions)
    return chosen


class KafkaProducer:
    """One connection to Kafka for all lanes of a process.

    Records go out as whole batches packed here: the library's call for single records costs many times what it takes to pack one.
    The library numbers batches for the broker (idempotence) when it takes them off its queue, packed by us or by itself.

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
                    **kafka_options(self._settings),
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=_LARGEST_REQUEST,
                    max_batch_size=_BATCH_BYTES,
                    request_timeout_ms=_REQUEST_MS,
                )
                try:
                    await begun(producer, self._settings)
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
        pending: list[Awaitable[Any]] = []
        parcels: list[_Parcel] = []
        failure: BaseException | None = None
        try:
            for parcel in await self._parcels(producer, records):
                topic, partition = parcel.at
                pending.append(await producer.send_batch(parcel.builder, topic, partition=partition))
                parcels.append(parcel)
        except (KafkaError, OSError) as error:
            failure = error
        written = await asyncio.gather(*pending, return_exceptions=True)
        offsets = [0] * len(records)
        for parcel, result in zip(parcels, written, strict=True):
            if isinstance(result, BaseException):
                failure = failure or result
                continue
            for place, index in enumerate(parcel.indices):
                offsets[index] = result.offset + place
        if failure is None:
            return offsets
        await self._discard(producer, failure)
        raise RetryError(self._away(failure)) from failure

    async def _parcels(self, producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> list["_Parcel"]:
        """Pack `records` into batches, several for a partition that has more than one can hold, in order."""
        packed: list[_Parcel] = []
        latest: dict[tuple[str, int], _Parcel] = {}
        for index, record in enumerate(records):
            partition = record.partition
            if partition is None:
                partition = await _home(producer, self._settings.topic(record.topic), record.key)
            at = record.topic, partition
            parcel = latest.get(at)
            if parcel is None or not parcel.add(index, record):
                parcel = latest[at] = _Parcel((self._settings.topic(record.topic), partition), producer.create_batch())
                packed.append(parcel)
                parcel.add(index, record)  # the first is taken, however large it is
        for parcel in packed:
            parcel.builder.close()
        return packed

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

"""Puts deliveries on the topic `webhooks`, and events of our own on theirs, and says when Kafka has them safely.

Or says at once that it cannot now.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, Self, TypeAlias
from zlib import crc32

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

from models.events.union import AnyClientEvent, public_topic
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.deliveries import Delivery
from streams.wire.kafka import kafka_options, why_away
from streams.wire.partitioning import partition_of
from streams.wire.topics import WEBHOOKS

log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
_BATCH_BYTES: Final = 524_288
"""One batch per partition is under way at a time, and who finds the next one full waits for a round trip. The default of 16 KiB
holds a handful of webhooks."""


class BusyError(RetryError):
    """The bytes held in memory are at their limit: taking more would move the trouble from the sender's side to ours."""


class Budget:
    """Bytes that may be held at once: bodies being read, and records that Kafka has not acknowledged."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` bytes."""
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Hold `size` more bytes; raises BusyError when that is over the limit."""
        if self.held + size > self._limit:
            message = f"{self.held} bytes of webhooks wait for Kafka, the limit is {self._limit} (RAPPORT_WEBHOOK_INFLIGHT_BYTES)"
            raise BusyError(message)
        self.held += size

    def give_back(self, size: int) -> None:
        """Let go of `size` bytes."""
        self.held -= size


class Publisher(Protocol):
    """Where verified deliveries go."""

    async def publish(self, delivery: Delivery) -> None:
        """Return once the delivery is safe; raises RetryError when it is not, or not known to be."""
        ...

    async def publish_events(self, events: Sequence[AnyClientEvent]) -> None:
        """Return once all events are safe on their public topics; raises RetryError as `publish`. Repeating is harmless."""
        ...

    async def reachable(self) -> bool:
        """Return whether a delivery would have a chance now."""
        ...


class MemoryPublisher:
    """Keeps deliveries in a list: for tests and for trying out the gateway without servers."""

    def __init__(self) -> None:
        """Start empty, and there."""
        self.published: list[Delivery] = []
        self.events: list[AnyClientEvent] = []
        self.away = False

    async def publish(self, delivery: Delivery) -> None:
        """Keep the delivery; raises RetryError while `away`."""
        self._check()
        self.published.append(delivery)

    async def publish_events(self, events: Sequence[AnyClientEvent]) -> None:
        """Keep the events; raises RetryError while `away`."""
        self._check()
        self.events += events

    async def reachable(self) -> bool:
        """Return whether it is not `away`."""
        return not self.away

    def _check(self) -> None:
        if self.away:
            message = "the memory publisher was told to be away"
            raise RetryError(message)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    topic: str
    key: bytes
    value: bytes
    place: Callable[[bytes, int], int]
    headers: Sequence[tuple[str, bytes]] = ()


_Waiting: TypeAlias = tuple[_Outgoing, "asyncio.Future[None]"]


def _by_checksum(key: bytes, partitions: int) -> int:
    """Return the partition of a delivery. Nobody looks for one by its key; all that counts is that repeated ones meet."""
    return crc32(key) % partitions


def _by_client(key: bytes, partitions: int) -> int:
    """Return the partition of an event, as every standard producer has it."""
    return partition_of(key.decode(), partitions)


class KafkaPublisher:
    """An idempotent producer that waits for all in-sync replicas. Kafka may be away, at the start too: it is tried again.

    Records that come while their partition's batch is under way leave together in the next one: nobody waits for company, and
    many senders share a round trip. Each gets its answer only after the acknowledgement of the batch that carried it.

    A record whose acknowledgement did not come in time stays in the producer and counts against the budget until Kafka takes
    it. The sender was asked to retry meanwhile, so it may arrive twice; event ids make that one.
    """

    def __init__(self, settings: Settings, *, budget: Budget) -> None:
        """Publish to the servers and the topic of `settings`."""
        self._settings = settings
        self._budget = budget
        self._producer: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._queues: dict[tuple[str, int], list[_Waiting]] = {}
        self._packers: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to connect; does not wait for Kafka."""
        self._connecting = asyncio.create_task(self._connect(), name="webhook-producer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give what is under way a bounded time to be acknowledged, then close."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._producer is not None:
            await self._close(self._producer)

    async def publish(self, delivery: Delivery) -> None:
        """Return after the acknowledgement of all in-sync replicas; raises RetryError after `webhook_ack_seconds`."""
        await self._publish([_Outgoing(WEBHOOKS.name, delivery.key, delivery.body, _by_checksum, delivery.to_headers())])

    async def publish_events(self, events: Sequence[AnyClientEvent]) -> None:
        """See `Publisher.publish_events`; the acknowledgements are awaited as for `publish`."""
        await self._publish(
            [_Outgoing(public_topic(event), event.client_id.encode(), encode_event(event), _by_client) for event in events]
        )

    async def _publish(self, records: Sequence["_Outgoing"]) -> None:
        producer = self._producer
        if producer is None:
            message = f"no connection to Kafka at {self._settings.kafka_bootstrap}"
            raise RetryError(message)
        try:
            async with asyncio.timeout(self._settings.webhook_ack_seconds):
                for sent in [await self._enqueue(producer, record) for record in records]:
                    await sent
        except TimeoutError as error:
            message = f"Kafka did not acknowledge within {self._settings.webhook_ack_seconds:g} s (RAPPORT_WEBHOOK_ACK_SECONDS)"
            raise RetryError(message) from error
        except KafkaError as error:
            if not error.retriable:
                # An idempotent producer that lost its sequence stays broken: only a new one helps.
                self._renew(producer, error)
            message = f"Kafka refused the record: {error!r}"
            raise RetryError(message) from error

    async def reachable(self) -> bool:
        """Return whether Kafka answers a question about its topics, within two seconds."""
        producer = self._producer
        if producer is None:
            return False
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return bool(await producer.client.force_metadata_update())
        except (TimeoutError, KafkaError):
            return False

    async def _enqueue(self, producer: AIOKafkaProducer, record: _Outgoing) -> "asyncio.Future[None]":
        """Hold a record until Kafka has it; returns what tells when that is."""
        topic = self._settings.topic(record.topic)
        known = producer.client.cluster.partitions_for_topic(topic) or await producer.partitions_for(topic)
        at = topic, record.place(record.key, len(known))
        self._budget.take(len(record.value))
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(at)
        if queue is None:
            self._queues[at] = [(record, sent)]
            packer = asyncio.create_task(self._pack(producer, at), name=f"webhook-batches {at}")
            self._packers.add(packer)
            packer.add_done_callback(self._packers.discard)
        else:
            queue.append((record, sent))
        self._waiting.add(sent)
        return sent

    async def _pack(self, producer: AIOKafkaProducer, at: tuple[str, int]) -> None:
        """Send what waits for one partition, batch after batch, until nothing does."""
        try:
            while self._queues[at]:
                await self._send_some(producer, at)
        finally:
            self._settle(self._queues.pop(at), ProducerClosed())

    async def _send_some(self, producer: AIOKafkaProducer, at: tuple[str, int]) -> None:
        waiting, builder, fit = self._queues[at], producer.create_batch(), 0
        for record, _ in waiting:  # the first is taken, however large it is
            if builder.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers)) is None:
                break
            fit += 1
        batch, self._queues[at] = waiting[:fit], waiting[fit:]
        builder.close()
        try:
            delivered = await producer.send_batch(builder, at[0], partition=at[1])
        except (KafkaError, OSError) as error:
            self._settle(batch, error)
        except asyncio.CancelledError:
            self._settle(batch, ProducerClosed())
            raise
        else:
            delivered.add_done_callback(partial(self._delivered, batch))

    def _delivered(self, batch: Sequence[_Waiting], delivered: "asyncio.Future[object]") -> None:
        self._settle(batch, ProducerClosed() if delivered.cancelled() else delivered.exception())

    def _settle(self, batch: Sequence[_Waiting], error: BaseException | None) -> None:
        """Tell all of a batch that Kafka has them, or why not."""
        if error is not None and batch:
            log.warning("webhooks were not acknowledged", count=len(batch), error=repr(error))
        for record, sent in batch:
            self._budget.give_back(len(record.value))
            self._waiting.discard(sent)
            if sent.done():
                continue  # who waited for it was asked to retry meanwhile
            if error is None:
                sent.set_result(None)
            else:
                sent.set_exception(error)
                sent.exception()  # who waited for several and heard of the first asks no further

    def _renew(self, broken: AIOKafkaProducer, error: KafkaError) -> None:
        if self._producer is broken:
            log.warning("making a new Kafka producer", error=repr(error))
            self._producer = None
            self._connecting = asyncio.create_task(self._connect(instead_of=broken), name="webhook-producer")

    async def _connect(self, *, instead_of: AIOKafkaProducer | None = None) -> None:
        if instead_of is not None:
            await self._close(instead_of)
        pause = _FIRST_PAUSE_SECONDS
        while True:
            producer = AIOKafkaProducer(
                **kafka_options(self._settings),
                client_id="rapport-webhooks",
                acks="all",
                enable_idempotence=True,
                max_batch_size=_BATCH_BYTES,
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await producer.stop()
                log.warning("Kafka is away, trying again", why=await why_away(self._settings, error), error=repr(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            self._producer = producer
            log.info("connected to Kafka", servers=self._settings.kafka_bootstrap)
            return

    async def _close(self, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await producer.stop()
        except (TimeoutError, KafkaError) as error:
            log.warning("the Kafka producer did not close in time", error=repr(error))
        for packer in tuple(self._packers):
            packer.cancel()
        for sent in tuple(self._waiting):  # nobody will acknowledge these any more; their senders were asked to retry
            sent.cancel()

"""Puts deliveries on the topic `webhooks`, and events of our own on theirs, and says when Kafka has them safely.

Or says at once that it cannot now.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.events.union import AnyClientEvent, public_topic
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.deliveries import Delivery
from streams.wire.topics import WEBHOOKS

log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
_BATCH_BYTES: Final = 524_288
"""One batch per partition is under way at a time, and who finds the next one full waits for a round trip. The default of 16 KiB
holds a handful of webhooks."""

_LINGER_MS: Final = 2  # costs 2 ms of waiting and lets requests that arrive together share one round trip to Kafka


class BusyError(RetryError):
    """The bytes held in memory are at their limit: taking more would move the trouble from the sender's side to ours."""


class Budget:
    """Bytes that may be held at once: bodies being read, and records that Kafka has not acknowledged."""

    def __init__(self, limit: int, *, changed: Callable[[int], None] = lambda _: None) -> None:
        """Allow `limit` bytes; `changed` is told the bytes held after every change."""
        self._limit = limit
        self._changed = changed
        self.held = 0

    def take(self, size: int) -> None:
        """Hold `size` more bytes; raises BusyError when that is over the limit."""
        if self.held + size > self._limit:
            message = f"{self.held} bytes of webhooks wait for Kafka, the limit is {self._limit} (RAPPORT_WEBHOOK_INFLIGHT_BYTES)"
            raise BusyError(message)
        self.held += size
        self._changed(self.held)

    def give_back(self, size: int) -> None:
        """Let go of `size` bytes."""
        self.held -= size
        self._changed(self.held)


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
    headers: Sequence[tuple[str, bytes]] = ()


class KafkaPublisher:
    """An idempotent producer that waits for all in-sync replicas. Kafka may be away, at the start too: it is tried again.

    A record whose acknowledgement did not come in time stays in the producer and counts against the budget until Kafka takes
    it. The sender was asked to retry meanwhile, so it may arrive twice; event ids make that one.
    """

    def __init__(self, settings: Settings, *, budget: Budget) -> None:
        """Publish to the servers and the topic of `settings`."""
        self._settings = settings
        self._budget = budget
        self._producer: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Future[object]] = set()

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
        await self._publish([_Outgoing(WEBHOOKS.name, delivery.key, delivery.body, delivery.to_headers())])

    async def publish_events(self, events: Sequence[AnyClientEvent]) -> None:
        """See `Publisher.publish_events`; the acknowledgements are awaited as for `publish`."""
        await self._publish([_Outgoing(public_topic(event), event.client_id.encode(), encode_event(event)) for event in events])

    async def _publish(self, records: Sequence["_Outgoing"]) -> None:
        producer = self._producer
        if producer is None:
            message = f"no connection to Kafka at {self._settings.kafka_bootstrap}"
            raise RetryError(message)
        try:
            async with asyncio.timeout(self._settings.webhook_ack_seconds):
                acknowledged = [await self._send(producer, record) for record in records]
                for sent in acknowledged:
                    await asyncio.shield(sent)
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

    async def _send(self, producer: AIOKafkaProducer, record: "_Outgoing") -> "asyncio.Future[object]":
        size = len(record.value)
        self._budget.take(size)
        with ExitStack() as unless_taken:  # a cancelled wait too: then the bytes are not in the producer
            unless_taken.callback(self._budget.give_back, size)
            sent: asyncio.Future[object] = await producer.send(
                self._settings.topic(record.topic), key=record.key, value=record.value, headers=list(record.headers)
            )
            unless_taken.pop_all()
        self._waiting.add(sent)
        sent.add_done_callback(lambda future: self._acknowledged(future, size))
        return sent

    def _acknowledged(self, sent: "asyncio.Future[object]", size: int) -> None:
        self._waiting.discard(sent)
        self._budget.give_back(size)
        if not sent.cancelled() and (error := sent.exception()) is not None:
            log.warning("a webhook was not acknowledged", error=repr(error))

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
                bootstrap_servers=self._settings.kafka_bootstrap,
                client_id="rapport-webhooks",
                acks="all",
                enable_idempotence=True,
                linger_ms=_LINGER_MS,
                max_batch_size=_BATCH_BYTES,
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await producer.stop()
                log.warning("Kafka is away, trying again", servers=self._settings.kafka_bootstrap, error=repr(error))
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
        for sent in tuple(self._waiting):  # nobody will acknowledge these any more; their senders were asked to retry
            sent.cancel()

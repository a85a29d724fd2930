"""The channels' own idempotent producer: outcomes and dead letters, acknowledged by all replicas."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.runtime.errors import DeadLetterError, RetryError
from streams.runtime.settings import Settings
from streams.wire.dead_letters import DeadLetter
from streams.wire.kafka import begun, kafka_options
from streams.wire.records import Record
from streams.wire.topics import DEAD_LETTERS

STAGE: Final = "channels"
"""Stage of the dead letters of channel workers."""


class KafkaSender:
    """Sends records and waits for the acknowledgements; makes a new producer after any error, as a broken one stays broken."""

    def __init__(self, settings: Settings) -> None:
        """Send to the brokers of `settings`; connects on first use."""
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send_all(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        """See `Sender.send_all`."""
        await self._send(topic, [(key, value, ()) for key, value in records])

    async def bury(self, record: Record, error: DeadLetterError, *, topic: str) -> None:
        """Keep `record` of `topic` (bare name) on the dead letters; raises RetryError."""
        letter = DeadLetter.of(record, error, stage=STAGE, src_topic=topic)
        await self._send(DEAD_LETTERS.name, [(letter.key, letter.value, letter.to_headers())])

    async def _send(self, topic: str, records: Sequence[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]) -> None:
        try:
            producer = await self._started()
            name = self._settings.topic(topic)
            waits = [await producer.send(name, key=key, value=value, headers=list(headers)) for key, value, headers in records]
            await asyncio.gather(*waits)
        except (KafkaError, OSError) as error:
            await self.close()
            message = f"Kafka did not take {len(records)} records for {topic} ({error!r})"
            raise RetryError(message) from error

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**kafka_options(self._settings), acks="all", enable_idempotence=True, linger_ms=5)
                async with AsyncExitStack() as unless_started:
                    unless_started.push_async_callback(producer.stop)
                    await begun(producer, self._settings)
                    unless_started.pop_all()
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Give back the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

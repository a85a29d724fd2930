"""Where partitions begin and end, asked on a connection of its own."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.engine.fence import Slot
from streams.engine.stage import Bounds
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.kafka import begun, kafka_options

_PEEK_MS: Final = 5_000
_GATHER_SECONDS: Final = 0.005  # lanes begin together: what they ask within this time goes out as one request


class LogView:
    """Answers how far partitions reach.

    The worker's own consumer is no place to ask: a broker answers the requests of one connection in turn, and a fetch that
    waits for records keeps every question behind it waiting for as long.
    """

    def __init__(self, settings: Settings) -> None:
        """Ask the brokers of `settings`; connects on first use."""
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._asking: dict[Slot, asyncio.Future[Bounds]] = {}
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def bounds(self, slot: Slot) -> Bounds:
        """Return what the broker has of `slot`; raises RetryError while it does not answer."""
        asked = self._asking.get(slot)
        if asked is None:
            asked = self._asking[slot] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._answer(), name="log view")
        return await asyncio.shield(asked)

    async def _answer(self) -> None:
        while self._asking:
            await asyncio.sleep(_GATHER_SECONDS)
            asking, self._asking = self._asking, {}
            try:
                found = await self.read(list(asking))
            except RetryError as error:
                for asked in asking.values():
                    asked.set_exception(error)
                    asked.exception()  # seen: whoever asked may be gone
            else:
                for slot, asked in asking.items():
                    asked.set_result(found[slot])

    async def read(self, slots: list[Slot]) -> dict[Slot, Bounds]:
        """Return the bounds of all `slots`; raises RetryError while the broker does not answer."""
        at = {slot: TopicPartition(self._settings.topic(slot.topic), slot.partition) for slot in slots}
        try:
            async with self._lock:
                consumer = await self._connected()
            starts = await consumer.beginning_offsets(list(at.values()))
            ends = await consumer.end_offsets(list(at.values()))
        except (KafkaError, OSError) as error:
            raise RetryError(self._away(error)) from error
        return {slot: Bounds(starts[tp], ends[tp]) for slot, tp in at.items()}

    def _away(self, error: Exception) -> str:
        return f"Kafka at {self._settings.kafka_bootstrap} does not answer ({error!r}); check it with `rapport doctor`"

    async def first_from(self, slot: Slot, offset: int) -> int:
        """Return the offset of the first record of `slot` at or after `offset`, fetched by a consumer made for this question.

        Raises RetryError while there is no answer, also when there is no such record.
        """
        at = TopicPartition(self._settings.topic(slot.topic), slot.partition)
        consumer = AIOKafkaConsumer(**kafka_options(self._settings), enable_auto_commit=False, auto_offset_reset="none")
        found: list[Any] = []
        try:
            await begun(consumer, self._settings)
            consumer.assign([at])
            consumer.seek(at, offset)
            found = (await consumer.getmany(at, timeout_ms=_PEEK_MS, max_records=1)).get(at, [])
        except (KafkaError, OSError) as error:
            raise RetryError(self._away(error)) from error
        finally:
            await consumer.stop()
        if not found:
            message = f"no record of {slot.topic}-{slot.partition} was found from offset {offset} on"
            raise RetryError(message)
        first: int = found[0].offset
        return first

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**kafka_options(self._settings), enable_auto_commit=False)
            async with AsyncExitStack() as unless_started:
                unless_started.push_async_callback(consumer.stop)
                await begun(consumer, self._settings)
                unless_started.pop_all()
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()

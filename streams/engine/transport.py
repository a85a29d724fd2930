"""Faust's Kafka transport with lanes instead of streams: whole fetched batches go to the lane of their partition.

Faust stays the worker: it joins the group, learns the assignment, supervises and stops. Its path of single events, acks and
commits is not used, because an exception or a rebalance there can move the commit past an event that nobody has seen.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.transport.consumer import Fetcher
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from streams.engine.fence import Slot
from streams.engine.lanes import Lanes
from streams.engine.log_view import LogView
from streams.engine.stage import Bounds
from streams.runtime import metrics
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.kafka import kafka_options

log = structlog.get_logger(__name__)

SCHEME: Final = "kafka+lanes"
_FETCH_SECONDS: Final = 0.1  # short, because a partition resumed meanwhile is not part of the fetch that is under way
_IDLE_SECONDS: Final = 1.0
_LEAVE_SECONDS: Final = 3.0
_LONG_POLL_MS: Final = 50
"""How long a broker may keep a fetch open for which it has no records. The client has one fetch under way with each broker, and a
partition that was sought, resumed or just emptied waits for its end. Faust's 1.5 s would be added to every start, and to records
of a quiet deployment."""

_COLLECT_MS: Final = 15
_COLLECT_BYTES: Final = 65_536
"""While records come, a broker may keep a fetch open so long, or until there is so much: what all partitions got meanwhile is
read, loaded, stored and published together. The first record after a silence comes at once, and who is far behind never waits."""


def register_transport() -> None:
    """Make Faust know the scheme `kafka+lanes://`; doing it twice changes nothing."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:LanesTransport"


def broker_credentials(settings: Settings) -> Credentials | None:
    """Return in Faust's words how `kafka_options` has every client connect; none for a Kafka that asks for nothing."""
    options = kafka_options(settings)
    context = options.get("ssl_context")
    if settings.kafka_security.startswith("SASL"):
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


class LanesConsumer(driver.Consumer):  # type: ignore[misc] # Faust is not typed for us
    """Faust's consumer, feeding the lanes of `app.lanes`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust's own signature
        """Take what Faust gives."""
        super().__init__(*args, **kwargs)
        self._lanes: Lanes = self.app.lanes
        self._settings: Settings = self.app.rapport_settings
        self._flow = ConsumerFlow(self, self.app.log_view)
        self._resumed = asyncio.Event()
        self._advised: dict[TP, int] = {}

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def slot_of(self, tp: TP) -> Slot:
        """Return the slot of a partition of the broker."""
        return Slot(tp.topic.removeprefix(self._settings.topic_prefix), tp.partition)

    def tp_of(self, slot: Slot) -> TP:
        """Return the partition of the broker of a slot."""
        tp: TP = TP(self._settings.topic(slot.topic), slot.partition)
        return tp

    async def perform_seek(self) -> None:
        """Begin the lanes of the new assignment: each takes its fence and seeks to where the state stands, not to a commit."""
        slots = [self.slot_of(tp) for tp in self.assignment()]
        await self._lanes.revoke()
        self._lanes.assign(slots, generation=self.app.consumer_generation_id, flow=self._flow)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """End the lanes of `revoked` within the drain time, then let Faust do the rest."""
        self.app.meter.count(metrics.REBALANCES)
        await self._lanes.revoke([self.slot_of(tp) for tp in revoked])
        if revoked:
            log.info("partitions revoked", partitions=len(revoked))
        await super().on_partitions_revoked(revoked)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Fetch `tps` again."""
        super().resume_partitions(tps)
        self._resumed.set()

    async def _drain_messages(self, fetcher: Any) -> None:  # noqa: ANN401 - Faust's Fetcher
        """Hand every fetched batch to its lane, for as long as the fetcher runs."""
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 - as Faust's own loop does
                for tp, records in (await self._next_records()).items():
                    if self.flow_active:
                        await self._deliver(tp, records)
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
            log.info("the broker's consumer stopped while we were stopping")

    async def _next_records(self) -> Mapping[Any, Any]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = frozenset(self._get_active_partitions())
        if not active:
            self._resumed.clear()
            await self.wait(self._resumed, timeout=_IDLE_SECONDS)
            return {}
        records: Mapping[Any, Any] | None = await self._getmany(active_partitions=active, timeout=_FETCH_SECONDS)
        wait_ms, least_bytes = (_COLLECT_MS, _COLLECT_BYTES) if records else (_LONG_POLL_MS, 1)
        set_terms(self._thread._ensure_consumer(), wait_ms=wait_ms, least_bytes=least_bytes)  # noqa: SLF001 - the thread's own
        return records or {}

    async def _deliver(self, tp: TP, records: list[Any]) -> None:
        hole_before = self._lanes.offer(self.slot_of(tp), records)
        if hole_before is not None:
            log.warning("records are missing, reading again", topic=tp.topic, partition=tp.partition, offset=hole_before)
            with suppress(IllegalStateError):  # revoked meanwhile: its next owner reads on from the fence
                await self.seek_wait({tp: hole_before})

    async def commit(self, *_args: Any, **_kwargs: Any) -> bool:  # noqa: ANN401 - Faust's own signature
        """Tell Kafka where the state stands, as advice for tools that show lag; nobody starts from it."""
        news = {self.tp_of(slot): offset for slot, offset in self._lanes.positions().items()}
        news = {tp: offset for tp, offset in news.items() if self._advised.get(tp) != offset}
        if not news or not await self.advise(news):
            return False
        self._advised.update(news)
        return True

    async def advise(self, offsets: Mapping[TP, int]) -> bool:
        """Commit `offsets`; returns false when the broker does not take us for a live member."""
        consumer = self._thread._ensure_consumer()  # noqa: SLF001 - the thread's own accessor
        wanted = {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        try:
            await self._thread.call_thread(consumer.commit, wanted)
        except KafkaError as error:
            log.info("advisory commit refused", error=repr(error))
            return False
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust looks for progress of streams here, and we have none; `Lanes.watch` looks for ours."""

    def behind(self, slot: Slot, next_offset: int) -> bool:
        """Return whether the broker has records of `slot` from `next_offset` on, by the last fetch."""
        tp = TopicPartition(*self.tp_of(slot))
        if tp not in self._thread._ensure_consumer().assignment():  # noqa: SLF001 - likewise
            return False
        end = self.highwater(tp)
        if end is None:
            return False
        if next_offset >= 0:
            labels = {"topic": slot.topic, "partition": str(slot.partition)}
            self.app.meter.set(metrics.CONSUMER_LAG, max(0, end - next_offset), **labels)
        return bool(end > next_offset)


def set_terms(consumer: AIOKafkaConsumer, *, wait_ms: int, least_bytes: int) -> None:
    """Let brokers answer fetches from the next one on when there are `least_bytes`, or after `wait_ms` with what there is."""
    fetcher = consumer._fetcher  # noqa: SLF001 - the library reads its terms for each fetch, and sets them at the start only
    fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = wait_ms, least_bytes  # noqa: SLF001 - likewise


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc] # likewise
    """Faust's thread around the client library's consumer, which asks for records more often and leaves when it is told to."""

    def _create_worker_consumer(self, transport: Any) -> Any:  # noqa: ANN401 - Faust's own signature
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _LONG_POLL_MS  # noqa: SLF001 - Faust passes a number of its own; read when it starts
        return consumer

    async def on_start(self) -> None:
        """Connect, unless the worker stops meanwhile: a broker that hangs is asked for longer than a stopping process gets."""
        await self.wait(super().on_start())

    async def stop(self) -> None:
        """End the thread, also one that was started and has not begun: Faust's own leaves that alone, to run for ever."""
        if self._thread_started.is_set():
            await Service.stop(self)
            self._thread.stop()

    async def on_thread_stop(self) -> None:
        """Leave the group; a broker that does not let us go gets so many seconds, and as many again for a parting word."""
        leaving = asyncio.ensure_future(super().on_thread_stop())
        done, _ = await asyncio.wait([leaving], timeout=_LEAVE_SECONDS)
        if done:
            leaving.result()
            return
        leaving.cancel()
        await asyncio.wait([leaving], timeout=_LEAVE_SECONDS)
        log.info("the group did not let us go in time, leaving it")
        if self._consumer is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await leave_abruptly(self._consumer)

    def close(self) -> None:
        """Do nothing: Faust calls this when the group rebalances while we stop, from another thread than that of the client.

        Then the connection was gone before the group heard that we leave, and waited for us until our session ended.
        """


async def leave_abruptly(consumer: AIOKafkaConsumer) -> None:
    """Tell the group of `consumer` that we leave, though it may still wait for the answer of a group that waits for others.

    The broker reads nothing more from a connection before it has answered there, so this goes out on a new one.
    """
    coordinator, client = consumer._coordinator, consumer._client  # noqa: SLF001 - the library only leaves when it has joined
    try:
        if isinstance(coordinator, GroupCoordinator):
            connection = client._conns.pop((coordinator.coordinator_id, ConnectionGroup.COORDINATION), None)  # noqa: SLF001
            if connection is not None:
                connection.close()
            await coordinator._maybe_leave_group()  # noqa: SLF001 - does not raise, and is asked once
    finally:
        await client.close()


class LanesFetcher(Fetcher):  # type: ignore[misc] # likewise
    """Faust's fetcher, for which being stopped is no crash: Faust's own takes it for one while the group rebalances."""

    @Service.task  # type: ignore[untyped-decorator] # likewise
    async def _fetcher(self) -> None:
        try:
            await self.app.consumer._drain_messages(self)  # noqa: SLF001 - as Faust's own does
        finally:
            self.set_shutdown()


class ConsumerFlow:
    """What lanes may ask of the consumer; everything that touches the client library runs in its own thread."""

    def __init__(self, consumer: LanesConsumer, view: LogView) -> None:
        """Ask `consumer`, and `view` about the log."""
        self._consumer = consumer
        self._view = view

    def pause(self, slot: Slot) -> None:
        """Stop fetching the partition."""
        self._consumer.pause_partitions({self._consumer.tp_of(slot)})

    def resume(self, slot: Slot) -> None:
        """Fetch the partition again."""
        self._consumer.resume_partitions({self._consumer.tp_of(slot)})

    async def seek(self, slot: Slot, offset: int) -> None:
        """Fetch from `offset` on."""
        await _retryable(self._consumer.seek_wait({self._consumer.tp_of(slot): offset}))

    async def bounds(self, slot: Slot) -> Bounds:
        """Return what the broker has of the partition."""
        return await self._view.bounds(slot)

    async def first_from(self, slot: Slot, offset: int) -> int:
        """Return the offset of the log's first record at or after `offset`, as another consumer finds it."""
        return await self._view.first_from(slot, offset)

    async def committed(self, slot: Slot) -> int | None:
        """Return the offset that the group committed."""
        tp = TopicPartition(*self._consumer.tp_of(slot))
        thread = self._consumer._thread  # noqa: SLF001 - the consumer's own thread
        offset: int | None = await _retryable(thread.call_thread(thread._ensure_consumer().committed, tp))  # noqa: SLF001
        return offset

    async def prove_membership(self, slot: Slot) -> bool:
        """Say whether the broker accepts a commit of ours that changes nothing."""
        committed = await self.committed(slot)
        offset = committed if committed is not None else (await self.bounds(slot)).start
        return await self._consumer.advise({self._consumer.tp_of(slot): offset})


async def _retryable(call: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever the client answers
    try:
        return await call
    except (KafkaError, TimeoutError) as error:
        message = f"Kafka does not answer ({error!r}); check KAFKA_BOOTSTRAP and `rapport doctor`"
        raise RetryError(message) from error


class LanesTransport(driver.Transport):  # type: ignore[misc] # likewise
    """The transport of `kafka+lanes://`."""

    Consumer = LanesConsumer
    Fetcher = LanesFetcher

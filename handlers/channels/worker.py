"""A channel worker: reads one channel's topic as a member of its own consumer group, and delivers what it finds there.

The start position is the ledger's, never Kafka's: the committed offset is written for people who watch lag, and read only to
tell first use from a lost ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from handlers.channels.dispatch import Dispatch
from handlers.channels.kafka_producer import STAGE, KafkaSender
from handlers.channels.lane import Continue, Lane, Pause, Reopen, SeekTo, Taken
from handlers.channels.ledger import Fenced, Ledgers, Missing, Owner, Standing
from handlers.channels.outcomes import publish_outcomes
from streams.engine.fence import Slot
from streams.engine.log_view import LogView
from streams.runtime.clock import Clock, fresh_id, monotonic
from streams.runtime.errors import DeadLetterError, FatalError, RetryError
from streams.runtime.metrics import CHANNEL_REPEATED, DLQ_RECORDS, Meter
from streams.runtime.settings import Settings
from streams.wire.kafka import begun, kafka_options, why_away
from streams.wire.records import Record
from streams.wire.topics import TRIGGERS

T = TypeVar("T")
_POLL_MS: Final = 200
_IDLE_SECONDS: Final = 0.1
_COMMIT_SECONDS: Final = 5.0
_CROWDED_SECONDS: Final = 1.0
_AWAY_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)


class ChannelWorker(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """Runs one channel until `stop` is called."""

    def __init__(
        self,
        settings: Settings,
        *,
        channel: str,
        ledgers: Ledgers,
        dispatch: Dispatch,
        clock: Clock,
        wall: Clock,
        meter: Meter,
        failpoint: Callable[[str], None],
    ) -> None:
        """Serve `channel` with `dispatch`; nothing is connected yet."""
        self._settings = settings
        self._channel = channel
        self._topic = TRIGGERS[channel].name
        self._ledgers = ledgers
        self._dispatch = dispatch
        self._clock = clock
        self._wall = wall
        self._meter = meter
        self._failpoint = failpoint
        self._sender = KafkaSender(settings)
        self._view = LogView(settings)
        self._owner_id = fresh_id()
        self._incarnation = 0
        self._lanes: dict[TopicPartition, Lane] = {}
        self._unopened: dict[int, str] = {}
        self._crowded: dict[TopicPartition, float] = {}
        self._committed_at = monotonic()
        self._stopping = asyncio.Event()
        self._consumer = AIOKafkaConsumer(
            **kafka_options(settings),
            group_id=f"{settings.group}.channels.{channel}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=settings.batch_records,
        )

    def stop(self) -> None:
        """Ask the worker to finish; `run` returns within the settings' exit time."""
        self._stopping.set()
        self._dispatch.wake.set()

    def ailments(self) -> list[str]:
        """Return which assigned partitions are not being read, and why, for the health endpoint."""
        return [f"{self._topic} partition {number}: {why}" for number, why in sorted(self._unopened.items())]

    async def run(self) -> None:
        """Work until `stop`; raises FatalError when going on would risk doubled or lost contacts."""
        self._consumer.subscribe([self._settings.topic(self._topic)], listener=self)
        try:
            await self._connect()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._intake())
                group.create_task(self._sending())
                group.create_task(self._publishing())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        finally:
            await self._finish()

    async def _connect(self) -> None:
        try:
            await begun(self._consumer, self._settings)
        except KafkaError as error:
            raise RetryError(await why_away(self._settings, error)) from error

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Make a lane for each partition; it is acquired before anything is read from it."""
        for partition in assigned:
            ledger = self._ledgers.open(partition.topic, partition.partition)
            self._lanes[partition] = Lane(
                channel=self._channel,
                partition=partition.partition,
                ledger=ledger,
                bury=self._bury,
                first_from=self._first_from,
                clock=self._clock,
                wall=self._wall,
            )
        self._consumer.pause(*assigned)  # until the ledger has said where to read
        _log.info("partitions assigned", channel=self._channel, count=len(assigned))

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Begin nothing more for these partitions, and give what is being sent a moment to be written down."""
        lanes = [lane for partition in revoked if (lane := self._lanes.pop(partition, None)) is not None]
        for lane in lanes:
            lane.close()
            self._unopened.pop(lane.partition, None)
        await self._dispatch.settled(lanes, seconds=self._settings.drain_seconds)

    async def _intake(self) -> None:
        while not self._stopping.is_set():
            await self._open_lanes()
            self._resume_crowded()
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
            for partition, records in batches.items():
                await self._take(partition, records)
            if monotonic() - self._committed_at > _COMMIT_SECONDS:
                await self._commit()

    async def _open_lanes(self) -> None:
        for partition, lane in list(self._lanes.items()):
            if not lane.is_open and not self._stopping.is_set():
                try:
                    await self._open(partition, lane)
                    self._unopened.pop(partition.partition, None)
                except (RetryError, KafkaError, IllegalStateError) as error:
                    _log.warning(
                        "partition not opened yet", channel=self._channel, partition=partition.partition, error=str(error)
                    )
                    await asyncio.sleep(_AWAY_SECONDS)

    async def _open(self, partition: TopicPartition, lane: Lane) -> None:
        try:
            standing = await self._acquire(partition, lane)
            await self._seek(partition, standing.next_offset)
        except (RetryError, KafkaError, IllegalStateError):
            lane.close()
            raise

    async def _acquire(self, partition: TopicPartition, lane: Lane) -> Standing:
        answer = await lane.acquire(self._owner())
        if isinstance(answer, Fenced) and answer.incarnation > self._incarnation:
            self._incarnation = answer.incarnation
            answer = await lane.acquire(self._owner())
        if isinstance(answer, Fenced):
            # Generations restart when a group is deleted. Only a live member's commit is accepted, which proves our right.
            await self._consumer.commit({partition: await self._consumer.committed(partition) or 0})
            self._incarnation = answer.incarnation + 1
            answer = await lane.acquire(self._owner())
        if isinstance(answer, Missing):
            answer = await lane.acquire(self._owner(), first_offset=await self._first_offset(partition))
        if not isinstance(answer, Standing):
            message = f"partition {partition.partition} of {partition.topic} is held by another worker"
            raise RetryError(message)
        return answer

    def _owner(self) -> Owner:
        return Owner(generation=self._generation(), owner_id=self._owner_id, incarnation=self._incarnation)

    async def _first_offset(self, partition: TopicPartition) -> int:
        committed = await self._consumer.committed(partition)
        if committed is None:
            return int((await self._consumer.beginning_offsets([partition]))[partition])
        _log.error(
            "ledger lost: what was accepted before the committed offset is not sent again",
            channel=self._channel,
            partition=partition.partition,
            offset=committed,
        )
        return int(committed)

    async def _seek(self, partition: TopicPartition, offset: int) -> None:
        end = (await self._consumer.end_offsets([partition]))[partition]
        if offset > end:
            message = (
                f"the ledger of {partition.topic} partition {partition.partition} stands at {offset}, the topic ends at {end}: "
                "Kafka lost records or this is another cluster. Check KAFKA_BOOTSTRAP and REDIS_URL, then see the runbook"
            )
            raise FatalError(message)
        self._consumer.seek(partition, offset)
        self._consumer.resume(partition)

    async def _take(self, partition: TopicPartition, records: list[Record]) -> None:
        lane = self._lanes.get(partition)
        if lane is None or not lane.is_open or partition in self._crowded:
            return
        before = lane.filtered
        taken: Taken | None = None
        while taken is None and not self._stopping.is_set():
            taken = await self._unless_away(lambda: lane.take(records))
        self._meter.count(CHANNEL_REPEATED, lane.filtered - before, channel=self._channel)
        if taken is None or partition not in self._consumer.assignment():
            return
        match taken:
            case Continue():
                self._dispatch.wake.set()
            case SeekTo():
                self._consumer.seek(partition, taken.offset)
            case Pause():
                self._consumer.seek(partition, taken.offset)
                self._consumer.pause(partition)
                self._crowded[partition] = monotonic() + _CROWDED_SECONDS
            case Reopen():
                _log.warning("partition is to be acquired anew", channel=self._channel, partition=partition.partition)

    def _resume_crowded(self) -> None:
        for partition, until in list(self._crowded.items()):
            if partition not in self._lanes:
                del self._crowded[partition]
            elif monotonic() >= until:
                del self._crowded[partition]
                self._consumer.resume(partition)

    async def _sending(self) -> None:
        while not self._stopping.is_set():
            self._dispatch.wake.clear()
            started = await self._unless_away(lambda: self._dispatch.turn(list(self._lanes.values())))
            if not started:
                await _first(self._dispatch.wake, seconds=_IDLE_SECONDS)

    async def _publishing(self) -> None:
        while not self._stopping.is_set():
            if not await self._unless_away(self._publish):
                await _first(self._stopping, seconds=_IDLE_SECONDS)

    async def _publish(self) -> int:
        ledgers = [lane.ledger for lane in list(self._lanes.values()) if lane.is_open]
        return await publish_outcomes(
            ledgers, channel=self._channel, sender=self._sender, meter=self._meter, failpoint=self._failpoint
        )

    async def _unless_away(self, step: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await step()
        except RetryError as error:
            _log.warning("a server is away, trying again", channel=self._channel, error=str(error))
            await _first(self._stopping, seconds=_AWAY_SECONDS)
            return None

    async def _bury(self, record: Record, error: DeadLetterError) -> None:
        _log.error("dead letter", channel=self._channel, partition=record.partition, offset=record.offset, reason=error.reason)
        await self._sender.bury(record, error, topic=self._topic)
        self._meter.count(DLQ_RECORDS, stage=STAGE, reason=str(error.reason))

    async def _first_from(self, partition: int, offset: int) -> int:
        slot = Slot(self._topic, partition)
        start = (await self._view.read([slot]))[slot].start
        return start if start > offset else await self._view.first_from(slot, offset)

    async def _commit(self) -> None:
        self._committed_at = monotonic()
        assigned = self._consumer.assignment()
        offsets = {
            partition: lane.standing.next_offset
            for partition, lane in self._lanes.items()
            if lane.is_open and lane.standing is not None and partition in assigned
        }
        try:
            if offsets:
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            _log.info("advisory commit refused", channel=self._channel, error=repr(error))

    async def _finish(self) -> None:
        """Give what is being sent most of the exit time, publish what is known, and leave the group."""
        left = await self._dispatch.drain(seconds=self._settings.exit_seconds * 0.7)
        if left:
            _log.warning("attempts left to their leases", channel=self._channel, count=left)
        await self._unless_away(self._publish)
        if self._lanes:
            await self._commit()
        await self._consumer.stop()
        await self._sender.close()
        await self._view.close()

    def _generation(self) -> int:
        # aiokafka has no public way to ask; the fence needs what the group coordinator told this member.
        return int(self._consumer._coordinator.generation)  # noqa: SLF001


async def _first(event: asyncio.Event, *, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return

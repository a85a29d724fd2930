"""The trainer: one process that learns from the examples topic, stores its progress under the fence, and publishes snapshots.

It holds what it learns in memory and stores it at turns of a day, together with the offset from which the examples must be read
again. So a crash at any moment costs the examples since then a second reading, never a loss and never a second learning.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from models.learners.judging import Judge, Series
from models.learners.subjects import SUBJECTS, Learns
from streams.agents.school import Harvest, School, is_of, rules_of
from streams.engine import failpoints
from streams.engine.fence import Birth, Claim, CommitCall, Fence, Held, Loaded, Missing, Refused, Slot, Verdict
from streams.engine.patience import patiently
from streams.engine.producer import Outgoing, Producer
from streams.engine.publisher import Publisher
from streams.engine.stage import Grasp
from streams.engine.tail import read_furthest
from streams.runtime import metrics
from streams.runtime.clock import SystemClock, fresh_id
from streams.runtime.errors import FatalError, RetryError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.headers import Position
from streams.wire.kafka import begun, kafka_options, why_away
from streams.wire.reading import read_each
from streams.wire.topics import EXAMPLES, SNAPSHOTS

log = structlog.get_logger(__name__)

SLOT: Final = Slot(EXAMPLES.name, 0)
_POLL_MS: Final = 500
_CHUNK: Final = 200  # records learned before the loop may answer a health check
_STORED: Final = frozenset({Verdict.OK, Verdict.DUP})


class Trainer:
    """Learns until stopped. Two of them never both store: the one that took the fence last goes on, the other ends."""

    def __init__(
        self, settings: Settings, *, fence: Fence, producer: Producer, meter: Meter, failpoint: Callable[[str], None]
    ) -> None:
        """Learn from the brokers of `settings`; nothing is asked of them before `run`."""
        self._settings = settings
        self._fence = fence
        self._meter = meter
        self._failpoint = failpoint
        self._producer = producer
        self._publisher = Publisher(SLOT, fence=fence, producer=producer, meter=meter, failpoint=failpoint)
        self._stopping = asyncio.Event()
        self.checked_ms: int | None = None
        """When stored features were last checked, 0: never; none before all that is on the topic was read once."""

    def stop(self) -> None:
        """End after the records in hand; what was learned since the last checkpoint is learned again next time."""
        self._stopping.set()

    async def run(self, *, afresh: Collection[str] = ()) -> None:
        """Learn until stopped; the learners in `afresh` forget what they learned and begin with the oldest example there is.

        Raises FatalError when another trainer took over, or this release cannot go on from what is stored.
        """
        consumer = AIOKafkaConsumer(
            **kafka_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4_194_304,
        )
        try:
            await begun(consumer, self._settings)
            at = TopicPartition(self._settings.topic(EXAMPLES.name), 0)
            consumer.assign([at])
            while not self._stopping.is_set():
                grasp, school = await self._take_over(consumer, at, afresh=afresh)
                afresh = ()
                await self._learn(consumer, at, grasp, school)
        except (KafkaError, OSError) as error:
            raise RetryError(await why_away(self._settings, error)) from error
        finally:
            await consumer.stop()

    async def _take_over(self, consumer: Any, at: TopicPartition, *, afresh: Collection[str]) -> tuple[Grasp, School]:  # noqa: ANN401 - a client of aiokafka
        start = (await consumer.beginning_offsets([at]))[at]
        grasp = await self._acquire(start)
        stored = {learner: raw for learner, raw in (await self._stored(grasp)).items() if learner not in afresh}
        if stored and grasp.next_offset < start:
            message = (
                f"{EXAMPLES.name} begins at offset {start}, but {grasp.next_offset} is next: retention has deleted examples that"
                " were never learned; to go on without them: rapport run-trainer --afresh all"
            )
            raise FatalError(message)
        # One of which nothing is stored begins with the oldest example; the others pass over what they have learned.
        begin = grasp.next_offset if len(stored) == len(SUBJECTS) else start
        mark = grasp.high_water.get(SNAPSHOTS.name, Position(-1, 0))
        school = School(
            stored,
            rules=rules_of(self._settings),
            partitions=self._settings.partitions,
            offset=grasp.next_offset,
            quiet_before=mark.src_offset + 1,
        )
        self._publisher.wake(grasp)
        await self._publish()
        consumer.seek(at, begin)
        self._report(school)
        log.info("learning", offset=begin, learned=school.learned)
        return grasp, school

    async def _acquire(self, start: int) -> Grasp:
        incarnation, birth = 0, None
        owner = fresh_id()
        while True:
            claim = Claim(generation=1, owner=owner, incarnation=incarnation)
            reply = await patiently(
                lambda claim=claim, birth=birth: self._fence.acquire(SLOT, claim, birth=birth),  # type: ignore[misc]
                op="acquire",
                meter=self._meter,
            )
            match reply:
                case Held():
                    return Grasp(
                        claim=claim,
                        next_offset=reply.next_offset,
                        ver=reply.ver,
                        watermark_ms=reply.watermark_ms,
                        outbox_depth=reply.outbox_depth,
                        next_due_ms=None,
                        high_water=reply.high_water,
                    )
                case Refused(incarnation=stored):
                    incarnation = stored + 1
                case Missing():
                    birth = Birth(next_offset=start, ver=fresh_id(), high_water=await self._published())

    async def _published(self) -> dict[str, Position]:
        """Return how far an earlier life published, where Redis has forgotten it: its activations must not come again."""
        mark = await patiently(lambda: read_furthest(self._settings, SNAPSHOTS, SLOT), op="tail", meter=self._meter)
        if mark is None:
            return {}
        log.warning("Redis lost the trainer, learning everything again", published=mark)
        return {SNAPSHOTS.name: mark}

    async def _stored(self, grasp: Grasp) -> dict[str, bytes]:
        names = [row.learner for row in SUBJECTS]
        loaded = await patiently(lambda: self._fence.load(SLOT, names, ver=grasp.ver), op="load", meter=self._meter)
        if not isinstance(loaded, Loaded):
            message = "another trainer took over while this one began"
            raise FatalError(message)
        return {learner: raw for learner, raw in zip(names, loaded.states, strict=True) if raw is not None}

    async def _learn(self, consumer: Any, at: TopicPartition, grasp: Grasp, school: School) -> None:  # noqa: ANN401 - likewise
        """Learn until stopped, or until what is stored is not what this process stored."""
        while not self._stopping.is_set():
            found = (await consumer.getmany(at, timeout_ms=_POLL_MS, max_records=_CHUNK)).get(at, ())
            if not await self._school_day(found, grasp, school):
                return
            self._count(school)
            end = consumer.highwater(at)
            if end is not None:
                self.tell_place(school, left=max(0, end - await consumer.position(at)), newest=found[-1] if found else None)
            await asyncio.sleep(0)

    def tell_place(self, school: School, *, left: int, newest: Any | None) -> None:  # noqa: ANN401 - a record of aiokafka
        """Show how far behind the trainer is, and how much of what it has read no checkpoint holds."""
        for row in SUBJECTS:
            self._meter.set(metrics.LEARNER_LAG, left, learner=row.learner)
        self._meter.set(metrics.LEARNER_UNSTORED, school.unstored_ms / 1000)
        if not left:
            self._meter.set(metrics.LEARNER_BEHIND, 0.0)
            self.checked_ms = school.checked_ms
            self._meter.set(metrics.LEARNER_CHECKED, school.checked_ms / 1000)
            self._meter.set(metrics.LEARNER_DISTRUSTED, float(bool(school.distrusted)))
        elif newest is not None:
            # By the machine's time, as brokers stamp, also where a clock file drives.
            self._meter.set(metrics.LEARNER_BEHIND, max(0.0, SystemClock().now().timestamp() - newest.timestamp / 1000))

    async def _school_day(self, records: Sequence[Any], grasp: Grasp, school: School) -> bool:
        for record in records:
            harvest = school.take(record)
            if harvest is not None and not await self._store(harvest, grasp, school):
                return False
            while school.withdrawn:
                await patiently(lambda: self._erase(school.withdrawn[0]), op="erase", meter=self._meter)
                del school.withdrawn[0]
        return True

    async def _erase(self, client_id: str) -> None:
        """Take back every example of a client; the wish itself stays until retention. Repeating it changes nothing.

        It is done before the position can move beyond the wish, so a crash meanwhile only makes it happen again.
        """
        keys: dict[bytes, None] = {}

        def note(record: Any) -> None:  # noqa: ANN401 - a record of aiokafka
            if is_of(record, client_id):
                keys[record.key] = None

        await read_each(self._settings, EXAMPLES.name, partitions=[0], see=note)
        await self._producer.send_all(
            [Outgoing(topic=EXAMPLES.name, partition=0, key=key, value=None, headers=()) for key in keys]
        )
        log.info("examples of an erased client taken back", examples=len(keys))

    async def _store(self, harvest: Harvest, grasp: Grasp, school: School) -> bool:
        """Store a harvest and publish what is in it; returns false when Redis is not where this process left it."""
        call = CommitCall(
            claim=grasp.claim,
            ver=grasp.ver,
            expected=grasp.next_offset,
            ver_new=fresh_id(),
            writes=harvest.writes,
            outbox_limit=self._settings.outbox_limit,
        )
        self._failpoint(failpoints.BEFORE_COMMIT)
        reply = await patiently(lambda: self._fence.commit(SLOT, call), op="commit", meter=self._meter)
        self._failpoint(failpoints.AFTER_COMMIT)
        self._meter.count(metrics.FENCE_COMMITS, topic=SLOT.topic, result=reply.verdict.value)
        if reply.verdict is Verdict.FENCED:
            message = "another trainer took over: run one only, this one ends"
            raise FatalError(message)
        if reply.verdict not in _STORED:
            log.warning("Redis is not where the trainer left it, learning on from what is stored", verdict=reply.verdict)
            return False
        grasp.next_offset, grasp.ver, grasp.outbox_depth = reply.next_offset, reply.ver, reply.outbox_depth
        self._publisher.wake(grasp)
        await self._publish()
        self._report(school)
        for row in harvest.releases:
            activated = str(row.activated).lower()
            self._meter.count(metrics.LEARNER_SNAPSHOTS, learner=row.snapshot.learner, activated=activated)
            log.info("snapshot", version=row.snapshot.version, activated=row.activated, why=row.why)
        return True

    async def _publish(self) -> None:
        while await patiently(self._publisher.publish_some, op="publish", meter=self._meter):
            pass

    def _count(self, school: School) -> None:
        for (learner, outcome), count in school.counts.items():
            self._meter.count(metrics.LEARNER_EXAMPLES, count, learner=learner, outcome=outcome)
        school.counts.clear()

    def _report(self, school: School) -> None:
        for learner, pupil in school.pupils.items():
            report(learner, pupil.trainer, self._meter)


def report(learner: str, trainer: Learns, meter: Meter) -> None:
    """Show how good a learner is; called once a day of examples, as the AUC sorts a thousand answers."""
    judge = trainer.judge
    meter.set(metrics.LEARNER_TRUST, trainer.watch.trust, learner=learner)
    drifts = trainer.watch.alarms - meter.read(metrics.LEARNER_DRIFTS, learner=learner)
    if drifts > 0:
        meter.count(metrics.LEARNER_DRIFTS, drifts, learner=learner)
    if judge.ranges:
        meter.set(metrics.LEARNER_RANGE_HELD, judge.held, learner=learner)
    for who, series in series_of(judge).items():
        if series.answers:
            labels = {"learner": learner, "who": who}
            meter.set(metrics.LEARNER_ANSWERS, series.answers, **labels)
            meter.set(metrics.LEARNER_LOG_LOSS, series.loss, **labels)
            meter.set(metrics.LEARNER_CALIBRATION, series.error(), **labels)
            if (auc := series.auc()) is not None:
                meter.set(metrics.LEARNER_AUC, auc, **labels)
    for place, (seen, chances, late) in enumerate(judge.live.bins):
        if seen > 1:
            labels = {"learner": learner, "bin": str(place)}
            meter.set(metrics.LEARNER_RELIABILITY, chances / seen, what="given", **labels)
            meter.set(metrics.LEARNER_RELIABILITY, late / seen, what="true", **labels)


def series_of(judge: Judge) -> dict[str, Series]:
    """Return those who are judged by the names under which people read of them."""
    return {"candidate": judge.candidate, "live": judge.live, "rules": judge.rules, "challenger": judge.challenger}

"""A lane: one partition, from records received to one fenced write per batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, assert_never

import structlog

from models.events.envelope import epoch_ms
from streams.engine import failpoints
from streams.engine.fence import (
    Birth,
    Claim,
    CommitCall,
    CommitReply,
    Fence,
    Held,
    Missing,
    Moved,
    Refused,
    Slot,
    Verdict,
)
from streams.engine.inbox import Inbox, Offer
from streams.engine.patience import Backoff, Standstill, heed_cancellation, patiently
from streams.engine.stage import Bounds, Flow, Grasp, HaltError, Stage
from streams.engine.writes import Writes
from streams.runtime import metrics
from streams.runtime.clock import Clock, fresh_id, monotonic
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.records import Record

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTools:
    """What all lanes of a process share."""

    settings: Settings
    clock: Clock
    meter: Meter
    fence: Fence
    owner: str
    failpoint: Callable[[str], None]
    seconds: Callable[[], float] = monotonic  # by which a standstill is measured


_COMMITTED: Final = frozenset({Verdict.OK, Verdict.DUP})


class Lane:
    """The life of one partition in this process, from its assignment to its revocation."""

    def __init__(
        self,
        slot: Slot,
        *,
        generation: int,
        stage: Stage,
        flow: Flow,
        tools: LaneTools,
        stored: Callable[[Grasp], None],
        standstill: Standstill,
    ) -> None:
        """Own `slot` in the group's `generation`; `stored` is called with every new position, the first one included.

        `standstill` begins anew with each move; a call that a server fails excuses it.
        """
        self.slot = slot
        self.inbox = Inbox(most_records=tools.settings.lane_records, most_bytes=tools.settings.lane_bytes)
        self.grasp: Grasp | None = None
        self.halted: str | None = None
        self.busy = False
        self.standstill = standstill
        self._generation = generation
        self._stage = stage
        self._flow = flow
        self._tools = tools
        self._stored = stored
        self._paused = True
        self._fenced = False
        self._labels = {"topic": slot.topic, "partition": str(slot.partition)}

    def offer(self, records: Sequence[Record]) -> Offer:
        """Take fetched records in; pauses the partition when the lane is full. After HOLE, seek to `inbox.read`."""
        if self.grasp is None:
            return Offer.TAKEN  # fetched before the fence was taken; the seek that follows brings them again
        answer = self.inbox.offer(records)
        if answer is Offer.HOLE:
            self._tools.meter.count(metrics.OFFSET_GAPS, topic=self.slot.topic, kind="reread")
        if (self.inbox.full or self.inbox.doubtful) and not self._paused:
            self._paused = True
            self._flow.pause(self.slot)
        return answer

    async def run(self) -> None:
        """Work until cancelled or closed. A halted partition is looked at again from time to time: a person may have decided."""
        while True:
            try:
                while not await self._hold():
                    pass
            except HaltError as error:
                self._halt(str(error))
                await asyncio.sleep(self._tools.settings.idle_check_seconds)
            else:
                return

    async def _ask(self, call: Callable[[], Awaitable[T]], *, op: str) -> T:
        return await patiently(call, op=op, meter=self._tools.meter, standstill=self.standstill)

    def _halt(self, cause: str) -> None:
        if cause != self.halted:
            log.error("partition halted", topic=self.slot.topic, partition=self.slot.partition, cause=cause)
        self.halted = cause
        self.grasp = None
        self._paused = True
        self._flow.pause(self.slot)

    async def _hold(self) -> bool:
        """Take the partition and work until the grasp is lost; returns true when the lane was closed."""
        grasp = await self._acquire()
        self._stage.reset()
        self.inbox.restart(grasp.next_offset)
        await self._ask(lambda: self._flow.seek(self.slot, grasp.next_offset), op="seek")
        self._tools.failpoint(failpoints.IN_SEEK)
        self.grasp = grasp
        self.halted = None
        self.standstill.over()
        self._stored(grasp)
        self._paused = False
        self._flow.resume(self.slot)
        while True:
            records = await self.inbox.take(
                self._tools.settings.batch_records, self._stage.cut, patience=self._tools.settings.idle_check_seconds
            )
            heed_cancellation()
            if self.inbox.closed:
                return True
            if not records and self.inbox.doubtful:
                await self._ask_the_log()
            if self._paused and self.inbox.relieved and not self.inbox.doubtful:
                self._paused = False
                self._flow.resume(self.slot)
            if not await (self._turn(records, grasp) if records else self._look_back(grasp)):
                self.grasp = None
                self._paused = True
                self._flow.pause(self.slot)
                return False

    async def _ask_the_log(self) -> None:
        """Find out whether a hole that was still there after reading again is in the log, or in the client library."""
        read = self.inbox.read
        first = await self._ask(lambda: self._first_from(read), op="hole")
        kind = "accepted" if self.inbox.resolve(first) else "refuted"
        self._tools.meter.count(metrics.OFFSET_GAPS, topic=self.slot.topic, kind=kind)
        log.warning("records were missing twice, the log was asked", slot=self.slot, read=read, first=first, hole=kind)
        await self._ask(lambda: self._flow.seek(self.slot, first), op="seek")

    async def _first_from(self, offset: int) -> int:
        if offset < (bounds := await self._flow.bounds(self.slot)).start:
            raise self._passed(bounds, offset)
        return await self._flow.first_from(self.slot, offset)

    def _passed(self, bounds: Bounds, offset: int) -> HaltError:
        return HaltError(
            f"{self.slot.topic}-{self.slot.partition} begins at offset {bounds.start}, but {offset} is next:"
            " retention has deleted records that were never folded. Restore them, or decide to skip them by hand"
        )

    async def _acquire(self) -> Grasp:
        tools, slot = self._tools, self.slot
        incarnation, birth, backoff = 0, None, Backoff()
        while True:
            if self._fenced and not await self._prove():
                await backoff.wait()
                continue
            claim = Claim(generation=self._generation, owner=tools.owner, incarnation=incarnation)
            reply = await self._ask(
                lambda claim=claim, birth=birth: tools.fence.acquire(slot, claim, birth=birth),  # type: ignore[misc]
                op="acquire",
            )
            match reply:
                case Held():
                    self._fenced = False
                    return await self._check(reply, claim)
                case Missing():
                    birth = await self._birth()
                case Refused(incarnation=stored):
                    incarnation = await self._answer_refusal(stored, incarnation, backoff)
                case _:
                    assert_never(reply)

    async def _answer_refusal(self, stored: int, claimed: int, backoff: Backoff) -> int:
        """Return the incarnation to claim next.

        The group's generation starts again at 1 when the broker has forgotten the group; then every claim would be refused
        for ever. A broker that accepts our commit says that we are a member of the living generation: claim a new incarnation.
        """
        if stored > claimed:
            return stored
        await backoff.wait()
        return stored + 1 if await self._prove() else claimed

    async def _prove(self) -> bool:
        return await self._ask(lambda: self._flow.prove_membership(self.slot), op="prove")

    async def _birth(self) -> Birth:
        bounds = await self._bounds()
        committed = await self._ask(lambda: self._flow.committed(self.slot), op="committed")
        start = self._stage.birth(bounds, committed)
        marks = await self._ask(lambda: self._stage.published(self.slot), op="tail")
        if marks:
            log.warning("Redis lost this partition, folding it again", slot=self.slot, start=start, published=dict(marks))
        else:
            log.info("first use of this partition", slot=self.slot, start=start)
        return Birth(next_offset=start, ver=fresh_id(), high_water=marks)

    async def _bounds(self) -> Bounds:
        return await self._ask(lambda: self._flow.bounds(self.slot), op="bounds")

    async def _check(self, held: Held, claim: Claim) -> Grasp:
        bounds = await self._bounds()
        if held.next_offset < bounds.start:
            raise self._passed(bounds, held.next_offset)
        if held.next_offset > bounds.end:
            message = (
                f"{self.slot.topic}-{self.slot.partition} ends at offset {bounds.end}, but {held.next_offset} is next:"
                " Kafka lost records, or these settings mix two clusters. Check KAFKA_BOOTSTRAP, REDIS_URL and RAPPORT_NAMESPACE"
            )
            raise HaltError(message)
        return Grasp(
            claim=claim,
            next_offset=held.next_offset,
            ver=held.ver,
            watermark_ms=held.watermark_ms,
            outbox_depth=held.outbox_depth,
            next_due_ms=held.next_due_ms,
            high_water=held.high_water,
            regime=held.regime,
        )

    async def _look_back(self, grasp: Grasp) -> bool:
        """Compare an idle partition with Redis; returns whether it is still where we left it."""
        stored = await self._ask(lambda: self._tools.fence.position(self.slot), op="position")
        if stored == grasp.next_offset:
            await self._look_ahead()
            return True
        self._count_rollback(stored or 0, grasp)
        log.warning("Redis is not where we left it", slot=self.slot, stored=stored, ours=grasp.next_offset)
        return False

    async def _look_ahead(self) -> None:
        """Read again where an idle lane stands when the log goes on: what was lost at the log's end leaves no hole to see."""
        if not self.inbox.empty or (await self._bounds()).end <= (read := self.inbox.read):
            return
        self._tools.meter.count(metrics.OFFSET_GAPS, topic=self.slot.topic, kind="reread")
        log.info("records are waiting and none came, reading again", slot=self.slot, read=read)
        await self._ask(lambda: self._flow.seek(self.slot, read), op="seek")

    def _count_rollback(self, stored: int, grasp: Grasp) -> None:
        if stored <= grasp.next_offset:
            self._tools.meter.count(metrics.REDIS_ROLLBACKS, topic=self.slot.topic)
            self._tools.meter.count(metrics.REDIS_ROLLBACK_OFFSETS, grasp.next_offset - stored, topic=self.slot.topic)

    async def _turn(self, records: Sequence[Record], grasp: Grasp) -> bool:
        """Fold and store one batch; returns whether we still hold the partition under the version we know."""
        self.busy = True
        try:
            return await self._fold_and_store(records, grasp)
        finally:
            self.busy = False

    async def _fold_and_store(self, records: Sequence[Record], grasp: Grasp) -> bool:
        meter, topic = self._tools.meter, self.slot.topic
        meter.observe(metrics.BATCH_EVENTS, len(records), topic=topic)
        started = monotonic()
        prepared = await self._ask(lambda: self._stage.prepare(records, grasp), op="prepare")
        if isinstance(prepared, Moved | Missing):
            self._count_rollback(prepared.next_offset if isinstance(prepared, Moved) else 0, grasp)
            log.warning("the partition moved on without us, reading again", slot=self.slot, answer=type(prepared).__name__)
            return False
        folded = monotonic()
        grasp.folded_ms = epoch_ms(self._tools.clock.now())
        meter.observe(metrics.STAGE_DURATION, folded - started, topic=topic, stage="prepare")
        self._tools.failpoint(failpoints.BEFORE_COMMIT)
        reply = await self._commit(prepared, grasp)
        self._tools.failpoint(failpoints.AFTER_COMMIT)
        meter.observe(metrics.STAGE_DURATION, monotonic() - folded, topic=topic, stage="commit")
        return self._judge(reply, prepared, grasp)

    async def _commit(self, writes: Writes, grasp: Grasp) -> CommitReply:
        tools = self._tools
        call = CommitCall(
            claim=grasp.claim,
            ver=grasp.ver,
            expected=grasp.next_offset,
            ver_new=fresh_id(),
            writes=writes,
            outbox_limit=tools.settings.outbox_limit,
        )
        backoff = Backoff()
        while True:
            reply = await self._ask(lambda: tools.fence.commit(self.slot, call), op="commit")
            tools.meter.count(metrics.FENCE_COMMITS, topic=self.slot.topic, result=reply.verdict.value)
            if reply.verdict is not Verdict.BACKPRESSURE:
                return reply
            grasp.outbox_depth = reply.outbox_depth
            self._stored(grasp)  # wakes the publisher
            await backoff.wait()

    def _judge(self, reply: CommitReply, writes: Writes, grasp: Grasp) -> bool:
        if reply.verdict in _COMMITTED:
            self._stage.committed()
            grasp.next_offset = reply.next_offset
            grasp.ver = reply.ver
            grasp.watermark_ms = writes.watermark_ms
            if writes.regime is not None:
                grasp.regime = writes.regime
            grasp.outbox_depth = reply.outbox_depth
            grasp.next_due_ms = reply.next_due_ms
            grasp.fresh, grasp.outbox_head = writes.outbox, reply.outbox_head
            self.standstill.over()
            grasp.committed_ms = epoch_ms(self._tools.clock.now())
            self._stored(grasp)
            return True
        if reply.verdict in {Verdict.BEHIND, Verdict.FORKED, Verdict.MISSING}:
            self._count_rollback(reply.next_offset, grasp)
        self._fenced = reply.verdict is Verdict.FENCED
        log.warning("commit refused, starting from what is stored", slot=self.slot, verdict=reply.verdict, ours=grasp.next_offset)
        return False

    def report(self) -> None:
        """Show where the partition stands and when it last moved; from time to time, for batches may be many and small."""
        if self.grasp is None or not self.grasp.committed_ms:
            return
        self._tools.meter.set(metrics.FENCE_NEXT, self.grasp.next_offset, **self._labels)
        self._tools.meter.set(metrics.LAST_PROGRESS, self.grasp.committed_ms / 1000, **self._labels)

    def close(self) -> None:
        """Finish the batch in hand and then end; a lane that waits ends at once."""
        self.inbox.close()

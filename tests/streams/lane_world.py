"""A partition in memory with everything a lane meets: a log, a consumer, a fence that can be turned back or lose replies."""

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from streams.agents.clients import ClientsStage
from streams.engine.failpoints import make_failpoint
from streams.engine.fence import Acquired, Birth, Claim, CommitCall, CommitReply, Loaded, Missing, Moved, Slot
from streams.engine.inbox import Offer
from streams.engine.lane import Lane, LaneTools
from streams.engine.lanes import Lanes
from streams.engine.memory_fence import MemoryFence
from streams.engine.memory_producer import MemoryProducer
from streams.engine.patience import Standstill
from streams.engine.producer import Producer
from streams.engine.publisher import Publisher
from streams.engine.stage import Bounds
from streams.engine.writes import OutboxEntry
from streams.runtime.clock import Clock, ManualClock, monotonic
from streams.runtime.errors import RetryError
from streams.runtime.lifecycle import ExitWatchdog
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.memory_store import MemoryPartition, MemoryPartitions
from streams.wire.headers import Position, read_origin
from streams.wire.records import PlainRecord
from tests.streams.counting import CountingProgram, Tally
from tests.streams.engine_examples import SLOT
from tests.waiting import pause, until_async

T = TypeVar("T")


class FaultyFence:
    """A MemoryFence of which chosen calls fail before or after they took effect, or find another version for a moment."""

    def __init__(self, data: MemoryPartitions) -> None:
        self.inner = MemoryFence(data)
        self.faults: list[str] = []
        self.loaded: Counter[str] = Counter()

    async def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        fault = self.faults.pop(0) if self.faults else ""
        await pause(0)
        if fault == "lost request":
            raise RetryError(fault)
        answer = await call()
        if fault == "lost reply":
            raise RetryError(fault)
        return answer

    async def acquire(self, slot: Slot, claim: Claim, *, birth: Birth | None = None) -> Acquired:
        return await self._run(lambda: self.inner.acquire(slot, claim, birth=birth))

    async def load(
        self, slot: Slot, clients: Sequence[str], *, ver: str, due_until_ms: int | None = None, due_limit: int = 0
    ) -> Loaded | Moved | Missing:
        if self.faults and self.faults[0] == "moved":
            self.faults.pop(0)
            return Moved(0, "for a moment")
        self.loaded.update(clients)
        return await self._run(lambda: self.inner.load(slot, clients, ver=ver, due_until_ms=due_until_ms, due_limit=due_limit))

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        return await self._run(lambda: self.inner.commit(slot, call))

    async def read_outbox(self, slot: Slot, *, limit: int) -> list[OutboxEntry]:
        return await self._run(lambda: self.inner.read_outbox(slot, limit=limit))

    async def trim(self, slot: Slot, upto: Position) -> int:
        return await self._run(lambda: self.inner.trim(slot, upto))

    async def position(self, slot: Slot) -> int | None:
        return await self.inner.position(slot)


class MemoryFlow:
    """A consumer of one lane: after a seek it hands out the log from there, and may lose or repeat fetched records."""

    def __init__(self, log: list[PlainRecord], *, fetch: int = 7) -> None:
        self.log = log
        self.start = 0
        self.end: int | None = None
        self.member = True
        self.proofs = 0
        self.pauses = 0
        self.questions = 0
        self.paused = True
        self.at = 0
        self.lose: set[int] = set()
        self.lose_often: Counter[int] = Counter()
        self.absent: frozenset[int] = frozenset()
        self._fetch = fetch

    def pause(self, _slot: Slot) -> None:
        self.paused = True
        self.pauses += 1

    def resume(self, _slot: Slot) -> None:
        self.paused = False

    async def seek(self, _slot: Slot, offset: int) -> None:
        self.at = offset

    async def bounds(self, _slot: Slot) -> Bounds:
        return Bounds(self.start, len(self.log) if self.end is None else self.end)

    async def first_from(self, _slot: Slot, offset: int) -> int:
        self.questions += 1
        return min(record.offset for record in self.log if record.offset >= offset and record.offset not in self.absent)

    async def committed(self, _slot: Slot) -> int | None:
        return None

    async def prove_membership(self, _slot: Slot) -> bool:
        self.proofs += 1
        return self.member

    def pump(self, lane: Lane) -> None:
        """Fetch once."""
        if self.paused or self.at >= len(self.log):
            return
        found = self.log[self.at : self.at + self._fetch]
        lost = self.lose | (+self.lose_often).keys() | self.absent
        fetched = [record for record in found if record.offset not in lost]
        self.lose -= {record.offset for record in found}
        self.lose_often.subtract({record.offset for record in found} & self.lose_often.keys())
        self.at += len(found)
        if lane.offer(fetched) is Offer.HOLE:
            self.at = lane.inbox.read


class WorldStage(ClientsStage[Tally]):
    """The clients stage, with the published outputs asked of memory instead of Kafka."""

    def __init__(self, world: "LaneWorld") -> None:
        super().__init__(SLOT, program=CountingProgram(), fence=world.fence, settings=world.settings, meter=world.meter)
        self._world = world

    async def published(self, _slot: Slot) -> dict[str, Position]:
        marks: dict[str, Position] = {}
        for (topic, _), records in self._world.producer.topics.items():
            marks[topic] = max(read_origin(record.headers).position for record in records)
        return marks


class LaneWorld:
    """One partition, and the lanes of every process that believes to own it."""

    def __init__(self, log: list[PlainRecord], **fields: object) -> None:
        small = {"partitions": 1, "batch_records": 4, "drain_seconds": 1, "idle_check_seconds": 0.05}
        self.settings = Settings.model_validate({**small, **fields})
        self.data = MemoryPartitions()
        self.fence = FaultyFence(self.data)
        self.producer = MemoryProducer(partitions=1)
        self.meter = Meter()
        self.log = log
        self._tasks: list[asyncio.Task[None]] = []

    def lane(
        self, *, generation: int = 1, owner: str = "me", flow: MemoryFlow | None = None, clock: Clock | None = None
    ) -> "Running":
        """Begin a lane, its publisher and its consumer."""
        tools = self.tools(owner=owner, clock=clock)
        publisher = Publisher(SLOT, fence=self.fence, producer=self.producer, meter=self.meter, failpoint=make_failpoint(""))
        own_flow = flow or MemoryFlow(self.log)
        lane = Lane(
            SLOT,
            generation=generation,
            stage=WorldStage(self),
            flow=own_flow,
            tools=tools,
            stored=publisher.wake,
            standstill=Standstill(),
        )
        running = Running(lane, own_flow)
        self._tasks += [
            asyncio.create_task(lane.run()),
            asyncio.create_task(publisher.run()),
            asyncio.create_task(running.pump()),
        ]
        running.work = self._tasks[-3]
        return running

    def tools(self, *, owner: str = "me", clock: Clock | None = None, seconds: Callable[[], float] = monotonic) -> LaneTools:
        """Return what lanes of this world work with."""
        return LaneTools(
            settings=self.settings,
            clock=clock or ManualClock(datetime(2026, 1, 5, tzinfo=UTC)),
            meter=self.meter,
            fence=self.fence,
            owner=owner,
            failpoint=make_failpoint(""),
            seconds=seconds,
        )

    async def close(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def stored(self) -> MemoryPartition:
        return self.data.at(*SLOT)

    def save(self) -> MemoryPartition:
        """Return what Redis would have on disk."""
        return copy.deepcopy(self.stored)

    def restore(self, saved: MemoryPartition) -> None:
        """Let Redis come back with what it had on disk then."""
        kept, at = copy.deepcopy(saved), self.stored
        at.fence, at.states, at.timers, at.outbox = kept.fence, kept.states, kept.timers, kept.outbox

    def position(self) -> int:
        return -1 if self.stored.fence is None else self.stored.fence.next_offset

    async def until_position(self, offset: int) -> None:
        await until_async(lambda: self.position() >= offset, timeout=20, what=f"position {offset}")

    async def until_done(self) -> None:
        await until_async(
            lambda: self.position() == len(self.log) and not self.stored.outbox, timeout=20, what="the end of the log"
        )

    def accepted(self) -> list[tuple[Position, str, bytes | None, bytes]]:
        """Return what readers keep who follow the high-water rule on each topic, in order of position."""
        kept = []
        for (topic, _), records in self.producer.topics.items():
            furthest = Position(-1, -1)
            for record in records:
                position = read_origin(record.headers).position
                if position > furthest:
                    furthest = position
                    kept.append((position, topic, record.key, record.value or b""))
        return sorted(kept, key=lambda told: told[0])


class Running:
    """A lane at work."""

    def __init__(self, lane: Lane, flow: MemoryFlow) -> None:
        self.lane = lane
        self.flow = flow
        self.work: asyncio.Task[None] | None = None

    async def pump(self) -> None:
        while True:
            self.flow.pump(self.lane)
            await pause(0)


class NotedWatchdog(ExitWatchdog):
    """Counts the looks at all lanes, and notes for what the process would have ended."""

    def __init__(self) -> None:
        super().__init__(exit_seconds=1, stall_seconds=1)
        self.looks = 0
        self.reasons: list[str] = []

    def beat(self) -> None:
        self.looks += 1

    def fail(self, reason: str) -> None:
        self.reasons.append(reason)


class Process:
    """All lanes of a process around the one partition of `world`, with a consumer and a watchdog that notes."""

    def __init__(self, world: LaneWorld, producer: Producer, *, tools: LaneTools, stage: type[WorldStage] = WorldStage) -> None:
        self.world = world
        self.flow = MemoryFlow(world.log)
        self.watchdog = NotedWatchdog()
        self.is_fetching = True
        self.lanes = Lanes(
            tools=tools, producer=producer, stages={SLOT.topic: lambda _slot: stage(world)}, watchdog=self.watchdog
        )

    def assign(self) -> None:
        """Begin to work."""
        self.lanes.assign([SLOT], generation=1, flow=self.flow)

    async def pump(self) -> None:
        """Fetch, as the consumer of a worker does."""
        while True:
            found = self.flow.log[self.flow.at : self.flow.at + 7] if self.is_fetching and not self.flow.paused else []
            self.flow.at += len(found)
            hole = self.lanes.offer(SLOT, found) if found else None
            self.flow.at = self.flow.at if hole is None else hole
            await pause(0)

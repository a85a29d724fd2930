"""A worker process of the simulation: the shipped lanes, publisher and clients stage, with the outside replaced by calls."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context, copy_context
from datetime import UTC, datetime
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, Final

from streams.agents.clients import ClientsStage
from streams.engine.fence import Acquired, Birth, Claim, CommitCall, CommitReply, Fence, Loaded, Missing, Moved, Slot
from streams.engine.fold import ClientsFold
from streams.engine.lane import LaneTools
from streams.engine.lanes import Lanes
from streams.engine.producer import Outgoing
from streams.engine.stage import Bounds
from streams.engine.writes import OutboxEntry
from streams.runtime.lifecycle import ExitWatchdog
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.headers import Position
from streams.wire.records import Record
from tests.simulator.loop import PROCESS
from tests.simulator.program import CountingProgram, CountingState
from tests.simulator.world import SLOT, World, at_once

METER: Final = Meter()
"""Shared by all runs: making thirty metrics for each simulated process would take longer than the process."""


class DistantFence:
    """The fence as a process sees it: every call is a request that may be lost, repeated or answered late."""

    def __init__(self, world: World, name: str, fence: Fence) -> None:
        """Ask `fence` in the name of the process `name`."""
        self._world = world
        self._name = name
        self._fence = fence

    async def acquire(self, slot: Slot, claim: Claim, *, birth: Birth | None = None) -> Acquired:
        """Ask for the partition."""
        found: Acquired = await self._ask("acquire", lambda: at_once(self._fence.acquire(slot, claim, birth=birth)))
        return found

    async def load(
        self, slot: Slot, clients: Sequence[str], *, ver: str, due_until_ms: int | None = None, due_limit: int = 0
    ) -> Loaded | Moved | Missing:
        """Ask for states."""
        found: Loaded | Moved | Missing = await self._ask(
            "load",
            lambda: at_once(self._fence.load(slot, clients, ver=ver, due_until_ms=due_until_ms, due_limit=due_limit)),
        )
        return found

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Ask for a write."""
        found: CommitReply = await self._ask("commit", lambda: at_once(self._fence.commit(slot, call)))
        return found

    async def read_outbox(self, slot: Slot, *, limit: int) -> list[OutboxEntry]:
        """Ask for outputs."""
        found: list[OutboxEntry] = await self._ask("read_outbox", lambda: at_once(self._fence.read_outbox(slot, limit=limit)))
        return found

    async def trim(self, slot: Slot, upto: Position) -> int:
        """Ask to forget outputs."""
        found: int = await self._ask("trim", lambda: at_once(self._fence.trim(slot, upto)))
        return found

    async def position(self, slot: Slot) -> int | None:
        """Ask for the position."""
        found: int | None = await self._ask("position", lambda: at_once(self._fence.position(slot)))
        return found

    async def _ask(self, op: str, perform: Callable[[], Any]) -> Any:  # noqa: ANN401 - any call's reply
        return await self._world.ask(self._name, op, perform)


class DistantKafka:
    """The producer and the consumer of a process."""

    def __init__(self, world: World, name: str) -> None:
        """Be the process `name`."""
        self._world = world
        self._name = name
        self.joined = (0, 0)
        self.paused = True
        self.at = 0
        self.believed: int | None = None

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        """Ask for records to be written."""
        found: list[int] = await self._world.ask(self._name, "send", _Send(self._world, records))
        return found

    def pause(self, _slot: Slot) -> None:
        """Fetch nothing."""
        self.paused = True

    def resume(self, _slot: Slot) -> None:
        """Fetch again."""
        self.paused = False

    async def seek(self, _slot: Slot, offset: int) -> None:
        """Ask to fetch from `offset` on."""
        await self._world.ask(self._name, "seek", lambda: self.move_to(offset))

    def move_to(self, offset: int) -> None:
        """Fetch from `offset` on."""
        self.at = offset

    async def bounds(self, _slot: Slot) -> Bounds:
        """Ask what the log has."""
        found: Bounds = await self._world.ask(self._name, "bounds", lambda: Bounds(0, len(self._world.log)))
        return found

    async def first_from(self, _slot: Slot, offset: int) -> int:
        """Ask what the log has from `offset` on; a mutant without the guard believes what it was given."""
        if self.believed is not None:
            return self.believed
        return await self._world.ask(self._name, "first_from", lambda: self._world.first_from(offset))  # type: ignore[no-any-return]

    async def committed(self, _slot: Slot) -> int | None:
        """Return the advisory commit."""
        return self._world.group.committed

    async def prove_membership(self, _slot: Slot) -> bool:
        """Ask whether the group still knows this member."""
        found: bool = await self._world.ask(self._name, "prove", lambda: self.joined == self._world.group.stamp)
        return found


class _Send:
    """The effect of a produce request; `some` is the effect of one that fails half-way, a prefix of each topic's records."""

    def __init__(self, world: World, records: Sequence[Outgoing]) -> None:
        self._world = world
        self._records = records

    def __call__(self) -> list[int]:
        return self._world.produce(self._records)

    def some(self) -> None:
        """Write the first few records of each topic."""
        for topic in dict.fromkeys(record.topic for record in self._records):
            of_topic = [record for record in self._records if record.topic == topic]
            self._world.produce(of_topic[: self._world.dice.randint(0, len(of_topic))])


class SimulatedStage(ClientsStage[CountingState]):
    """The shipped stage, asking the simulated topics for their tails."""

    def __init__(
        self, world: World, name: str, *, fence: Fence, settings: Settings, fold: type[ClientsFold[CountingState]]
    ) -> None:
        """Fold for the process `name`, with the shipped `fold` or a mutant of it."""
        super().__init__(SLOT, program=CountingProgram(), fence=fence, settings=settings, meter=METER)
        self._fold = fold(CountingProgram(), partitions=settings.partitions)
        self._world = world
        self._name = name

    async def published(self, _slot: Slot) -> Mapping[str, Position]:
        """Ask what the output topics have."""
        found: Mapping[str, Position] = await self._world.ask(self._name, "tail", self._world.furthest)
        return found


class SkewedClock:
    """A process's own idea of the time."""

    def __init__(self, world: World, *, skew_ms: int) -> None:
        """Be `skew_ms` ahead of the world."""
        self._world = world
        self._skew_ms = skew_ms

    def now(self) -> datetime:
        """Return the time."""
        return datetime.fromtimestamp((self._world.now_ms() + self._skew_ms) / 1000, UTC)


class RecordingWatchdog(ExitWatchdog):
    """Notes what would have ended the process."""

    def __init__(self, world: World, name: str) -> None:
        """Note it in `world`."""
        super().__init__(exit_seconds=1, stall_seconds=1)
        self._world = world
        self._name = name

    def fail(self, reason: str) -> None:
        """Note `reason`."""
        self._world.crashes.append(f"{self._name}: {reason}")


class Worker:
    """One process: what the group told it, and its lanes."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        fence: Fence,
        settings: Settings,
        skew_ms: int,
        fold: type[ClientsFold[CountingState]] = ClientsFold,
    ) -> None:
        """Start the process; it owns nothing yet."""
        self.name = name
        self.stopped = False
        self.heard = (0, 0)
        self.kafka = DistantKafka(world, name)
        self._world = world
        tools = LaneTools(
            settings=settings,
            clock=SkewedClock(world, skew_ms=skew_ms),
            meter=METER,
            fence=fence,
            owner=name,
            failpoint=lambda _place: None,
        )
        self.lanes = Lanes(
            tools=tools,
            producer=self.kafka,
            stages={SLOT.topic: lambda _slot: SimulatedStage(world, name, fence=fence, settings=settings, fold=fold)},
            watchdog=RecordingWatchdog(world, name),
        )
        self._turn = asyncio.Lock()
        self._started: list[tuple[Coroutine[Any, Any, None], asyncio.Task[None]]] = []
        self._context: Context = copy_context()
        self._context.run(PROCESS.set, name)
        self.do(self.lanes.watch(lambda _slot, offset: len(world.log) > offset))

    def do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run `coroutine` as this process."""
        self._started.append((coroutine, self._world.loop.create_task(coroutine, context=self._context.copy())))

    def forget(self) -> None:
        """Close what a killed process had not even begun."""
        for coroutine, _ in self._started:
            if getcoroutinestate(coroutine) == CORO_CREATED:
                coroutine.close()

    def learn(self, stamp: tuple[int, int], *, owner: str) -> None:
        """Go through a rebalance: give up what was owned, then take what is owned now."""
        self.heard = stamp
        self.do(self._rejoin(stamp, owner))

    async def _rejoin(self, stamp: tuple[int, int], owner: str) -> None:
        async with self._turn:
            await self.lanes.revoke()
            self.kafka.joined = stamp
            if owner == self.name:
                self.lanes.assign([SLOT], generation=stamp[1], flow=self.kafka)

    def offer(self, records: Sequence[Record]) -> int | None:
        """Give fetched records to the lane; returns where to read again when there is a hole."""
        return self._context.copy().run(self.lanes.offer, SLOT, records)

"""All lanes of a process: made when partitions are assigned, ended when they are revoked, and watched in between."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from streams.engine.fence import Slot
from streams.engine.inbox import Offer
from streams.engine.lane import Lane, LaneTools
from streams.engine.patience import Standstill
from streams.engine.producer import Outgoing, Producer
from streams.engine.publisher import Publisher
from streams.engine.stage import Flow, Grasp, Stage
from streams.engine.ticks import BrokerTime, make_tick
from streams.runtime import metrics
from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError
from streams.runtime.lifecycle import ExitWatchdog
from streams.wire.codec import encode_event
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.05  # how often timers are compared with the clock
_TELL_SECONDS: Final = 0.5  # how often it is shown how far they are
_CANCEL_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Running:
    lane: Lane
    publisher: Publisher
    work: asyncio.Task[None]
    publish: asyncio.Task[None] | None
    tick_at: int | None = None  # offset of the tick that was written last
    ticking: bool = False
    time: BrokerTime = field(default_factory=BrokerTime)


class Lanes:
    """The partitions this process owns, and the tasks that work on them."""

    def __init__(
        self, *, tools: LaneTools, producer: Producer, stages: Mapping[str, Callable[[Slot], Stage]], watchdog: ExitWatchdog
    ) -> None:
        """Work on the topics of `stages` (bare names), each partition with a stage of its own; `watchdog` ends the process."""
        self._tools = tools
        self._producer = producer
        self._stages = stages
        self._watchdog = watchdog
        self._running: dict[Slot, _Running] = {}
        self._ticks: set[asyncio.Task[None]] = set()

    @property
    def topics(self) -> tuple[str, ...]:
        """Bare names of the topics that have a stage."""
        return tuple(self._stages)

    def assign(self, slots: Collection[Slot], *, generation: int, flow: Flow) -> None:
        """Begin to work on `slots`; they stay paused until their fence is taken."""
        for slot in slots:
            flow.pause(slot)
            self._running[slot] = self._begin(slot, generation, flow)
        self._tools.meter.set(metrics.WORKER_GENERATION, generation)
        self._report()
        log.info("partitions assigned", generation=generation, **self._owned())

    def _begin(self, slot: Slot, generation: int, flow: Flow) -> _Running:
        tools = self._tools
        stage = self._stages[slot.topic](slot)
        standstill = Standstill(tools.seconds)
        publisher = Publisher(
            slot,
            fence=tools.fence,
            producer=self._producer,
            meter=tools.meter,
            failpoint=tools.failpoint,
            standstill=standstill,
        )
        lane = Lane(
            slot,
            generation=generation,
            stage=stage,
            flow=flow,
            tools=tools,
            stored=publisher.wake,
            standstill=standstill,
        )
        work = asyncio.create_task(lane.run(), name=f"lane {slot.topic}-{slot.partition}")
        publish = asyncio.create_task(publisher.run(), name=f"publisher {slot.topic}-{slot.partition}")
        for task in (work, publish):
            task.add_done_callback(self._ended)
        return _Running(lane, publisher, work, publish)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("unexpected error", task=task.get_name(), exc_info=error)
            self._tools.meter.count(metrics.WATCHDOG_EXITS, reason="error")
            self._watchdog.fail(f"{task.get_name()}: {error!r}")

    def offer(self, slot: Slot, records: Sequence[Record]) -> int | None:
        """Give fetched records to their lane; returns the offset to seek to when there is a hole before them."""
        running = self._running.get(slot)
        if running is not None and self._tools.settings.clock_file is None:  # such a clock is far from the broker's on purpose
            running.time.hear(records[-1].timestamp, self._own_ms())
        if running is None or running.lane.offer(records) is not Offer.HOLE:
            return None
        return running.lane.inbox.read

    def positions(self) -> dict[Slot, int]:
        """Return the next offset of every partition whose fence we hold."""
        return {slot: at.lane.grasp.next_offset for slot, at in self._running.items() if at.lane.grasp is not None}

    def halted(self) -> dict[Slot, str]:
        """Return the partitions that stand still until a person decides, with the cause."""
        return {slot: at.lane.halted for slot, at in self._running.items() if at.lane.halted is not None}

    async def revoke(self, slots: Collection[Slot] | None = None) -> None:
        """End the lanes of `slots`, or all; a batch in hand gets the drain time. Nothing depends on whether it makes it."""
        ending = [self._running.pop(slot) for slot in list(self._running) if slots is None or slot in slots]
        finishing = []
        for running in ending:
            running.lane.close()
            if running.lane.busy:
                finishing.append(running.work)
            else:
                running.work.cancel()
        if finishing:
            await asyncio.wait(finishing, timeout=self._tools.settings.drain_seconds)
        tasks = [task for running in ending for task in (running.work, running.publish) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
            if stuck:
                log.warning("tasks ignore their cancellation", tasks=[task.get_name() for task in stuck])
        for running in ending:
            self._forget(running.lane.slot)
        self._report()

    async def watch(self, behind: Callable[[Slot, int], bool]) -> None:
        """Fire timers, and end the process when a partition with lag does not move; runs until cancelled."""
        expected, told = monotonic(), 0.0
        while True:
            now = monotonic()
            tells = now - told > _TELL_SECONDS
            self._tools.meter.set(metrics.LOOP_LAG, max(now - expected, 0.0))
            self._watchdog.beat()
            for slot, running in self._running.items():
                self._look(slot, running)
            if tells:
                told = now
                self.tell(behind)
            expected = monotonic() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self, slot: Slot, running: _Running) -> None:
        grasp = running.lane.grasp
        if running.lane.halted is None and grasp is not None:
            self._consider_tick(slot, running, grasp)

    def tell(self, behind: Callable[[Slot, int], bool]) -> None:
        """Show how far lanes and publishers are, and end the process when a lane hangs, or when its calls fail for very long."""
        for slot, running in self._running.items():
            self._tell(slot, running, behind)
        self._report_halted()

    def _tell(self, slot: Slot, running: _Running, behind: Callable[[Slot, int], bool]) -> None:
        lane = running.lane
        if lane.halted is not None:
            return
        next_offset = -1 if lane.grasp is None else lane.grasp.next_offset
        if not behind(slot, next_offset):
            lane.standstill.over()
        elif lane.standstill.outlasts(self._tools.settings.stall_seconds):
            self._tools.meter.count(metrics.WATCHDOG_EXITS, reason="stall")
            self._watchdog.fail(f"{slot.topic}-{slot.partition} does not move at offset {next_offset}")
        lane.report()
        running.publisher.report()

    def _consider_tick(self, slot: Slot, running: _Running, grasp: Grasp) -> None:
        """Write a tick when a timer is due and the last tick has been folded."""
        if running.ticking:
            return
        if grasp.next_due_ms is None:
            if slot.topic == CLIENT_EVENTS.name:
                self._tools.meter.set(metrics.TIMERS_DUE_BACKLOG, 0, partition=str(slot.partition))
            return
        if running.tick_at is not None and grasp.next_offset <= running.tick_at:
            return
        if ahead := running.time.folded(grasp.watermark_ms):
            log.warning("this machine's clock is ahead of the broker's; mend its time service", slot=slot, milliseconds=ahead)
        own_ms = self._own_ms()
        now_ms = max(running.time.now(own_ms), grasp.watermark_ms)
        self._tools.meter.set(metrics.CLOCK_AHEAD, running.time.ahead_ms / 1000, partition=str(slot.partition))
        late = now_ms - grasp.next_due_ms
        self._tools.meter.set(metrics.TIMERS_DUE_BACKLOG, max(late, 0) / 1000, partition=str(slot.partition))
        if late < 0:
            return
        running.ticking = True
        task = asyncio.create_task(self._tick(slot, running, now_ms, own_ms), name=f"tick {slot.topic}-{slot.partition}")
        self._ticks.add(task)
        task.add_done_callback(self._ticks.discard)
        task.add_done_callback(self._ended)

    def _own_ms(self) -> int:
        return int(self._tools.clock.now().timestamp() * 1000)

    async def _tick(self, slot: Slot, running: _Running, now_ms: int, own_ms: int) -> None:
        try:
            value = encode_event(make_tick(slot, now_ms))
            tick = Outgoing(topic=slot.topic, partition=slot.partition, key=CONTROL_KEY, value=value, headers=())
            (running.tick_at,) = await self._producer.send_all([tick])
            running.time.tell(now_ms, own_ms)
            self._tools.meter.count(metrics.TICKS, partition=str(slot.partition))
        except RetryError as error:
            log.warning("no tick this time", slot=slot, error=str(error))
        finally:
            running.ticking = False

    def _forget(self, slot: Slot) -> None:
        labels = {"topic": slot.topic, "partition": str(slot.partition)}
        for metric in (
            *(metrics.FENCE_NEXT, metrics.LAST_PROGRESS, metrics.CONSUMER_LAG),
            *(metrics.OUTBOX_DEPTH, metrics.OUTBOX_OLDEST_AGE),
        ):
            self._tools.meter.forget(metric, **labels)
        if slot.topic == CLIENT_EVENTS.name:
            self._tools.meter.forget(metrics.TIMERS_DUE_BACKLOG, partition=labels["partition"])
            self._tools.meter.forget(metrics.CLOCK_AHEAD, partition=labels["partition"])

    def _owned(self) -> dict[str, int]:
        return dict(Counter(slot.topic for slot in self._running))

    def _report(self) -> None:
        owned = self._owned()
        for topic in self._stages:
            self._tools.meter.set(metrics.PARTITIONS_ASSIGNED, owned.get(topic, 0), topic=topic)
            self._tools.meter.set(metrics.TOPIC_PARTITIONS, self._tools.settings.partitions, topic=topic)
        self._report_halted()

    def _report_halted(self) -> None:
        halted = Counter(slot.topic for slot in self.halted())
        for topic in self._stages:
            self._tools.meter.set(metrics.PARTITIONS_HALTED, halted[topic], topic=topic)

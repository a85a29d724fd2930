"""Picks due triggers from the ledgers and sends couriers, within the provider's limits, and never more at once than those."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

import structlog

from handlers.channels.breaker import Breaker
from handlers.channels.contract import Channel, Verdict
from handlers.channels.courier import Courier
from handlers.channels.lane import Lane, millis
from handlers.channels.ledger import Entry
from handlers.channels.pace import Pace
from streams.runtime.clock import Clock, monotonic
from streams.runtime.errors import RetryError
from streams.runtime.metrics import CHANNEL_CIRCUIT_OPEN, CHANNEL_OLDEST_AGE, CHANNEL_UNREPORTED, CHANNEL_WAITING, Meter

SWEEP_SECONDS: Final = 1.0
_SWEEP_LIMIT: Final = 500
_FAILED: Final = frozenset({Verdict.UNAVAILABLE, Verdict.UNCERTAIN})
_log = structlog.get_logger(__name__)


class Dispatch:
    """The sending side of one channel in one process. Holds only what is being sent; everything else waits in the ledger."""

    def __init__(
        self,
        channel: Channel,
        *,
        courier: Courier,
        clock: Clock,
        wall: Clock,
        meter: Meter,
        retention: timedelta = timedelta(days=45),
    ) -> None:
        """Send through `channel` with `courier`; finished triggers are remembered for `retention` of operating time."""
        self._channel = channel
        self._courier = courier
        self._clock = clock
        self._wall = wall
        self._meter = meter
        self._retention_ms = round(retention.total_seconds() * 1000)
        self._breaker = Breaker()
        self._pace = Pace(channel.limits.per_second)
        self._running: dict[asyncio.Task[None], Lane] = {}
        self._turns = 0
        self._swept_at = float("-inf")
        self.wake = asyncio.Event()

    @property
    def running(self) -> int:
        """How many triggers are being worked on."""
        return len(self._running)

    async def turn(self, lanes: Collection[Lane]) -> int:
        """Start couriers for what is due and return how many; raises RetryError while the ledger is away."""
        open_lanes = [lane for lane in lanes if lane.is_open]
        if monotonic() - self._swept_at >= SWEEP_SECONDS:
            await self.sweep(open_lanes)
            self._swept_at = monotonic()
        self._turns += 1
        at = self._turns % max(1, len(open_lanes))
        started = 0
        for lane in (*open_lanes[at:], *open_lanes[:at]):  # each turn begins elsewhere, so that no partition starves
            free = self._breaker.free(wanted=self._channel.limits.concurrency - len(self._running), at=monotonic())
            if free <= 0:
                break
            started += await self._start_some(lane, free=free)
        self._meter.set(CHANNEL_CIRCUIT_OPEN, float(self._breaker.is_open), provider=self._channel.provider)
        return started

    async def _start_some(self, lane: Lane, *, free: int) -> int:
        found = await lane.ledger.ready(now_ms=millis(self._clock), wall_ms=millis(self._wall), limit=free + len(lane.in_flight))
        fresh = [entry for entry in found if entry.trigger_id not in lane.in_flight][:free]
        for entry in fresh:
            lane.in_flight.add(entry.trigger_id)
            self._breaker.started()
            task = asyncio.create_task(self._deliver(lane, entry))
            self._running[task] = lane
            task.add_done_callback(self._running.pop)
        return len(fresh)

    async def _deliver(self, lane: Lane, entry: Entry) -> None:
        verdict: Verdict | None = None
        try:
            await asyncio.sleep(self._pace.reserve(at=monotonic()))
            verdict = await self._courier.deliver(lane, entry)
        except RetryError as error:
            _log.warning("not begun, a store is away", channel=self._channel.name, error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)
        finally:
            lane.in_flight.discard(entry.trigger_id)
            self._judge(verdict)
            self.wake.set()

    def _judge(self, verdict: Verdict | None) -> None:
        was_open = self._breaker.is_open
        if verdict is None:
            self._breaker.skipped()
        elif verdict in _FAILED:
            self._breaker.failed(at=monotonic())
        else:
            self._breaker.succeeded()
        if self._breaker.is_open != was_open:
            event = "provider answers again" if was_open else "provider is spared after failures"
            _log.warning(event, channel=self._channel.name, provider=self._channel.provider)

    async def sweep(self, lanes: Iterable[Lane]) -> None:
        """Expire, decide lost attempts and forget the old in every open lane; needs no provider. Raises RetryError."""
        now_ms, wall_ms = millis(self._clock), millis(self._wall)
        waiting = unreported = 0
        oldest_ms = now_ms
        for lane in lanes:
            if lane.owner is None:
                continue
            ledger, owner = lane.ledger, lane.owner
            await ledger.expire(owner, now_ms=now_ms, wall_ms=wall_ms, limit=_SWEEP_LIMIT)
            policy = self._channel.on_ambiguous
            lost = await ledger.recover(owner, policy=policy, now_ms=now_ms, wall_ms=wall_ms, limit=_SWEEP_LIMIT)
            if lost:
                _log.warning("attempts of unknown result", channel=self._channel.name, count=lost, policy=policy.value)
            await ledger.trim(before_ms=wall_ms - self._retention_ms, limit=_SWEEP_LIMIT)
            depth = await ledger.depth()
            waiting, unreported = waiting + depth.prepared, unreported + depth.unreported
            oldest_ms = min(oldest_ms, oldest_ms if depth.oldest_due_ms is None else depth.oldest_due_ms)
        name = self._channel.name
        self._meter.set(CHANNEL_WAITING, waiting, channel=name)
        self._meter.set(CHANNEL_UNREPORTED, unreported, channel=name)
        self._meter.set(CHANNEL_OLDEST_AGE, (now_ms - oldest_ms) / 1000, channel=name)

    async def settled(self, lanes: Collection[Lane], *, seconds: float) -> None:
        """Wait at most `seconds` until nothing of `lanes` is under way."""
        tasks = [task for task, lane in self._running.items() if any(lane is given for given in lanes)]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def drain(self, *, seconds: float) -> int:
        """Wait at most `seconds` for what is under way and return how many were left to their leases."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=seconds)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

"""The publisher: what a partition's outbox holds goes to Kafka in order, and is forgotten when Kafka has it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from streams.engine import failpoints
from streams.engine.fence import Fence, Slot
from streams.engine.patience import patiently
from streams.engine.producer import Producer, outgoing
from streams.engine.stage import Grasp
from streams.engine.writes import OutboxEntry
from streams.runtime import metrics
from streams.runtime.clock import monotonic
from streams.runtime.metrics import Meter
from streams.wire.headers import Position

_MOST_AT_ONCE: Final = 500
_NOTHING: Final = Position(-1, -1)


class Publisher:
    """Publishes the outbox of one partition.

    It always starts at the oldest entry that is still stored and trims only what Kafka has acknowledged. So after a crash,
    or beside a predecessor that does not know yet that it lost the partition, an entry may be published twice, but entries
    are first seen in order: the readers' high-water filter makes that once.
    """

    def __init__(self, slot: Slot, *, fence: Fence, producer: Producer, meter: Meter, failpoint: Callable[[str], None]) -> None:
        """Publish what `fence` keeps for `slot` with `producer`."""
        self._slot = slot
        self._fence = fence
        self._producer = producer
        self._meter = meter
        self._failpoint = failpoint
        self._grasp: Grasp | None = None
        self._wanted = asyncio.Event()
        self._waiting_since: float | None = None
        self._depth = 0

    def wake(self, grasp: Grasp) -> None:
        """Say that the partition stands at `grasp` now; its outbox is looked at when it holds anything."""
        self._grasp = grasp
        if grasp.outbox_depth > 0:
            self._waiting_since = self._waiting_since or monotonic()
            self._wanted.set()
        self._depth = grasp.outbox_depth
        self.report()

    async def run(self) -> None:
        """Publish whenever woken, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while await patiently(self.publish_some, op="publish", meter=self._meter):
                pass

    async def publish_some(self) -> bool:
        """Publish the oldest entries; returns whether there are more. After RetryError it may be called again."""
        entries = await self._fence.read_outbox(self._slot, limit=_MOST_AT_ONCE)
        if not entries:
            self._waiting_since = None
            self._depth = 0
            self.report()
            return False
        started = monotonic()
        await self._producer.send_all([outgoing(entry) for entry in self._news(entries)])
        self._failpoint(failpoints.BEFORE_TRIM)
        left = await self._fence.trim(self._slot, entries[-1].position)
        self._meter.observe(metrics.STAGE_DURATION, monotonic() - started, topic=self._slot.topic, stage="publish")
        self._waiting_since = monotonic() if left else None
        self._depth = left
        self.report()
        return left > 0

    def _news(self, entries: Sequence[OutboxEntry]) -> list[OutboxEntry]:
        """Leave out what was published before Redis lost everything: the fence remembers how far that was, by topic."""
        marks = self._grasp.high_water if self._grasp is not None else {}
        news = []
        published: Counter[str] = Counter()
        suppressed: Counter[str] = Counter()
        for entry in entries:
            if entry.position > marks.get(entry.topic, _NOTHING):
                news.append(entry)
                published[entry.topic] += 1
            else:
                suppressed[entry.topic] += 1
        for metric, counts in ((metrics.OUTPUTS_PUBLISHED, published), (metrics.OUTPUTS_SUPPRESSED, suppressed)):
            for topic, count in counts.items():
                self._meter.count(metric, count, topic=topic)
        return news

    def report(self) -> None:
        """Show how much waits and for how long; also while nothing moves, when it matters most."""
        labels = {"topic": self._slot.topic, "partition": str(self._slot.partition)}
        age = 0.0 if self._waiting_since is None else monotonic() - self._waiting_since
        self._meter.set(metrics.OUTBOX_DEPTH, self._depth, **labels)
        self._meter.set(metrics.OUTBOX_OLDEST_AGE, age, **labels)

"""The publisher: what a partition's outbox holds goes to Kafka in order, and is forgotten when Kafka has it."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeAlias

from models.events.envelope import epoch_ms
from streams.engine import failpoints
from streams.engine.fence import Fence, Slot
from streams.engine.patience import Standstill, patiently
from streams.engine.producer import Producer, outgoing
from streams.engine.stage import Grasp
from streams.engine.writes import OutboxEntry
from streams.runtime import metrics
from streams.runtime.clock import Clock, SystemClock, monotonic
from streams.runtime.metrics import Meter
from streams.wire.headers import COMMITTED, FOLDED, LOGGED, Headers, Position, read_station
from streams.wire.topics import TRIGGERS

_MOST_AT_ONCE: Final = 1000
_MOST_HANDED: Final = 3 * _MOST_AT_ONCE  # beyond that they wait in Redis only: memory stays flat while Kafka is away
_TRIGGERS: Final = frozenset(topic.name for topic in TRIGGERS.values())
_NOTHING: Final = Position(-1, -1)

_Handed: TypeAlias = tuple[OutboxEntry, Headers]
"""An entry, and the times of its last stations where we know them: they are no part of what is stored, a replay has others."""


class Publisher:
    """Publishes the outbox of one partition.

    It always starts at the oldest entry that is still stored and trims only what Kafka has acknowledged. So after a crash,
    or beside a predecessor that does not know yet that it lost the partition, an entry may be published twice, but entries
    are first seen in order: the readers' high-water filter makes that once.

    What the lane has just stored it hands over with the grasp, so that it need not be read back. The stored outbox is read when
    there may be more in it than was handed over: after the partition was taken, and while we are far behind.
    """

    def __init__(
        self,
        slot: Slot,
        *,
        fence: Fence,
        producer: Producer,
        meter: Meter,
        failpoint: Callable[[str], None],
        clock: Clock | None = None,
        standstill: Standstill | None = None,
    ) -> None:
        """Publish what `fence` keeps for `slot` with `producer`; `clock` (none: the machine's) is held against the broker's.

        `standstill` is the lane's: whoever waits for a full outbox to empty waits for what fails here.
        """
        self._slot = slot
        self._fence = fence
        self._producer = producer
        self._meter = meter
        self._failpoint = failpoint
        self._standstill = standstill
        self._clock = clock or SystemClock()
        self._grasp: Grasp | None = None
        self._handed: deque[_Handed] | None = None  # the whole stored outbox as far as we know; none: it has to be read
        self._missed = False  # something was stored since we last looked, and not kept in `_handed`
        self._wanted = asyncio.Event()
        self._waiting_since: float | None = None
        self._depth = 0

    def wake(self, grasp: Grasp) -> None:
        """Say that the partition stands at `grasp` now; its outbox is looked at when it holds anything."""
        if grasp is not self._grasp:
            self._handed = None if grasp.outbox_depth else deque()
            self._missed = True
        self._grasp = grasp
        self._take_over(grasp)
        if grasp.outbox_depth > 0:
            self._waiting_since = self._waiting_since or monotonic()
            self._wanted.set()
        self._depth = grasp.outbox_depth

    def _take_over(self, grasp: Grasp) -> None:
        """Keep what was just stored, unless something older is stored that was not handed over: a restored Redis brings such."""
        fresh, grasp.fresh = grasp.fresh, ()
        handed = self._handed
        if handed is not None and len(handed) + len(fresh) <= _MOST_HANDED:
            times = _times(grasp)
            handed += [(entry, times) for entry in fresh]
            oldest = handed[0][0].position if handed else None
            if not grasp.outbox_depth or (oldest is not None and grasp.outbox_head is not None and grasp.outbox_head >= oldest):
                return
        self._handed = None
        self._missed = True

    async def run(self) -> None:
        """Publish whenever woken, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while await patiently(self.publish_some, op="publish", meter=self._meter, standstill=self._standstill):
                pass

    async def publish_some(self) -> bool:
        """Publish the oldest entries; returns whether there are more. After RetryError it may be called again."""
        handed, grasp = self._handed, self._grasp
        entries: list[_Handed]
        if handed is None:
            self._missed = False
            entries = [(entry, ()) for entry in await self._fence.read_outbox(self._slot, limit=_MOST_AT_ONCE)]
        else:
            entries = list(islice(handed, _MOST_AT_ONCE))
        if not entries:
            return self._rest(0, grasp)
        started = monotonic()
        news = self._news(entries)
        await self._producer.send_all([outgoing(entry, times if entry.topic in _TRIGGERS else ()) for entry, times in news])
        self._observe_ages(news)
        self._failpoint(failpoints.BEFORE_TRIM)
        left = await self._fence.trim(self._slot, entries[-1][0].position)
        self._meter.observe(metrics.STAGE_DURATION, monotonic() - started, topic=self._slot.topic, stage="publish")
        if handed is not None and handed is self._handed:
            for _ in entries:
                handed.popleft()
            self._depth = left
            self._waiting_since = monotonic() if handed else None
            return bool(handed)
        return self._rest(left, grasp)

    def _rest(self, left: int, grasp: Grasp | None) -> bool:
        """Note that `left` entries are stored still; returns whether to go on reading them."""
        self._waiting_since = monotonic() if left else None
        self._depth = left
        if not left and not self._missed and self._handed is None and grasp is self._grasp:
            self._handed = deque()  # empty, and nobody but our own lane adds to it: from here on we are told of all
        return left > 0 or (self._missed and self._handed is None)

    def _news(self, entries: Sequence[_Handed]) -> Sequence[_Handed]:
        """Leave out what was published before Redis lost everything: the fence remembers how far that was, by topic."""
        marks = self._grasp.high_water if self._grasp is not None else {}
        news = entries
        if marks:
            news = [handed for handed in entries if handed[0].position > marks.get(handed[0].topic, _NOTHING)]
        published = Counter([entry.topic for entry, _ in news])
        suppressed = Counter([entry.topic for entry, _ in entries]) - published if marks else {}
        for metric, counts in ((metrics.OUTPUTS_PUBLISHED, published), (metrics.OUTPUTS_SUPPRESSED, suppressed)):
            for topic, count in counts.items():
                self._meter.count(metric, count, topic=topic)
        return news

    def _observe_ages(self, published: Sequence[_Handed]) -> None:
        """Note how long ago the events behind the triggers just published reached the log."""
        now_ms = epoch_ms(self._clock.now())
        told = (read_station(entry.headers, LOGGED) for entry, _ in published if entry.topic in _TRIGGERS)
        ages = [max(now_ms - logged_ms, 0) / 1000 for logged_ms in told if logged_ms is not None]
        self._meter.observe_all(metrics.EVENT_TO_TRIGGER, ages)

    def report(self) -> None:
        """Show how much waits and for how long; from time to time, so also while nothing moves, when it matters most."""
        labels = {"topic": self._slot.topic, "partition": str(self._slot.partition)}
        age = 0.0 if self._waiting_since is None else monotonic() - self._waiting_since
        self._meter.set(metrics.OUTBOX_DEPTH, self._depth, **labels)
        self._meter.set(metrics.OUTBOX_OLDEST_AGE, age, **labels)


def _times(grasp: Grasp) -> Headers:
    return (FOLDED, b"%d" % grasp.folded_ms), (COMMITTED, b"%d" % grasp.committed_ms)

"""The clients stage: load the states a batch needs, think, and hand the fence what to store."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Generic, TypeVar, assert_never

import structlog

from models.state.codec import UnreadableStateError
from streams.engine.fence import Fence, Missing, Moved, Slot
from streams.engine.fold import DUE_PER_TICK, ClientsFold, ControlBatch, EventBatch, Folded, Program, TickBatch, cut
from streams.engine.letters import reasons_of
from streams.engine.outlet import STAGE
from streams.engine.stage import Bounds, Grasp, HaltError
from streams.engine.tail import read_published
from streams.engine.writes import Writes
from streams.runtime import metrics
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.headers import Position
from streams.wire.records import Record

S = TypeVar("S")

MOST_FAILED: Final = 10
"""Clients of a partition on whom a release may fail. With more it is the release that is wrong: the partition stands still."""

log = structlog.get_logger(__name__)

_AT_A_STRETCH: Final = 25
"""Records folded before others may have the loop, a few milliseconds: a partition that is far behind folds large batches, while
others commit, publish and fetch."""


class ClientsStage(Generic[S]):
    """Folds one partition of the client log.

    States stay decoded between batches for as long as the lane owns the version they were read under; nobody else can write
    under it, so they need not be read again.
    """

    def __init__(self, slot: Slot, *, program: Program[S], fence: Fence, settings: Settings, meter: Meter) -> None:
        """Fold `slot` with `program`, loading states through `fence`."""
        self._slot = slot
        self._program = program
        self._fence = fence
        self._settings = settings
        self._meter = meter
        self._fold = ClientsFold(program, partitions=settings.partitions)
        self._kept: OrderedDict[str, S] = OrderedDict()
        self._folded: Folded[S] | None = None
        self._failed: set[str] = set()
        self._regime: bytes | None = None

    def cut(self, records: Sequence[Record]) -> int:
        """Return how many of the first records form one batch: what is about the whole partition is one of its own."""
        return cut(records)

    def birth(self, bounds: Bounds, _committed: int | None) -> int:
        """Return 0: the first use and a rebuild are the same fold of the whole log. Without the whole log there is neither."""
        if bounds.start > 0:
            message = (
                f"{self._slot.topic}-{self._slot.partition} has no state in Redis and begins at offset {bounds.start}:"
                " states cannot be rebuilt without the beginning. Restore Redis from its backup"
            )
            raise HaltError(message)
        return 0

    async def published(self, slot: Slot) -> Mapping[str, Position]:
        """Return what Kafka already has of this partition's outputs."""
        return await read_published(self._settings, slot)

    async def prepare(self, records: Sequence[Record], grasp: Grasp) -> Writes | Moved | Missing:
        """Fold `records` over the states of version `grasp.ver`."""
        with self._standing_still():
            self._tell_what_is_refused(grasp.regime)
            batch = self._fold.read(records, watermark_ms=grasp.watermark_ms)
        match batch:
            case EventBatch():
                folded = await self._fold_events(batch, grasp)
            case TickBatch():
                folded = await self._fold_tick(batch, grasp)
            case ControlBatch():
                with self._standing_still():
                    folded = self._fold.fold_control(batch, watermark_ms=grasp.watermark_ms, regime=grasp.regime)
            case _:
                assert_never(batch)
        if isinstance(folded, Moved | Missing):
            return folded
        self._note_failures(folded)
        self._folded = folded
        return folded.writes

    def _note_failures(self, folded: Folded[S]) -> None:
        for error in folded.failed.values():
            log.error("this release failed on a client, the record is a dead letter", slot=self._slot, exc_info=error)
        self._failed |= folded.failed.keys()
        if len(self._failed) > MOST_FAILED:
            message = (
                f"this release failed on {len(self._failed)} clients of {self._slot.topic}-{self._slot.partition}:"
                " it is the release that is wrong. Go back to the one before, or to one that can, and drive dead letters again"
            )
            raise HaltError(message)

    def _tell_what_is_refused(self, regime: bytes) -> None:
        """Show which learners in force this release cannot use; asked anew only when another regime holds."""
        if regime == self._regime:
            return
        self._regime = regime
        for learner, refused in self._program.under(regime).refused.items():
            self._meter.set(metrics.LEARNER_REFUSED, float(refused), learner=learner)

    async def _fold_events(self, batch: EventBatch, grasp: Grasp) -> Folded[S] | Moved | Missing:
        absent = [client for client in batch.clients if client not in self._kept]
        states: dict[str, S | None] = {client: self._kept.get(client) for client in batch.clients}
        if absent:
            loaded = await self._fence.load(self._slot, absent, ver=grasp.ver)
            if isinstance(loaded, Moved | Missing):
                return loaded
            states.update(zip(absent, map(self._decode, loaded.states), strict=True))
        with self._standing_still():
            page = self._fold.open(states, regime=grasp.regime)
            for number, letter in enumerate(batch.letters, start=1):
                page.fold(letter)
                if number % _AT_A_STRETCH == 0:
                    await asyncio.sleep(0)
            return page.close(next_offset=batch.next_offset, watermark_ms=grasp.watermark_ms)

    async def _fold_tick(self, batch: TickBatch, grasp: Grasp) -> Folded[S] | Moved | Missing:
        loaded = await self._fence.load(self._slot, [], ver=grasp.ver, due_until_ms=batch.until_ms, due_limit=DUE_PER_TICK)
        if isinstance(loaded, Moved | Missing):
            return loaded
        due = [(client, self._decode(blob)) for client, blob in loaded.due]
        with self._standing_still():
            return self._fold.fold_tick(batch, due, regime=grasp.regime)

    @contextmanager
    def _standing_still(self) -> Iterator[None]:
        """Halt the partition over what is wrong with no single client, as a policy that cannot be carried out: others go on."""
        try:
            yield
        except Exception as error:
            message = (
                f"this release failed on a batch of {self._slot.topic}-{self._slot.partition} ({type(error).__name__})."
                " Go back to the release before, or to one that can"
            )
            raise HaltError(message) from error

    def _decode(self, blob: bytes | None) -> S | None:
        """Return the state in `blob`. One that only another release can read is left as it is, and its partition stands still."""
        try:
            return None if blob is None else self._program.decode(blob)
        except UnreadableStateError as error:
            message = f"{self._slot.topic}-{self._slot.partition} has states that this release cannot read. {error}"
            raise HaltError(message) from error

    def committed(self) -> None:
        """Keep the new states, and count what became of the records."""
        folded = self._folded
        if folded is None:
            return
        self._folded = None
        for client, state in folded.states.items():
            self._kept[client] = state
            self._kept.move_to_end(client)
        while len(self._kept) > self._settings.cached_states:
            self._kept.popitem(last=False)
        for (kind, outcome), count in folded.counts.items():
            self._meter.count(metrics.EVENTS_PROCESSED, count, type=kind, outcome=outcome.value)
        for reason, count in reasons_of(folded.writes.outbox).items():
            self._meter.count(metrics.DLQ_RECORDS, count, stage=STAGE, reason=reason)

    def reset(self) -> None:
        """Forget the kept states."""
        self._kept.clear()
        self._folded = None

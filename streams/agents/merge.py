"""The intake stage: records of a public topic become events on the one log, keyed by client."""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from models.events.union import AnyClientEvent
from streams.engine.fence import Missing, Moved, Slot
from streams.engine.letters import dead_letter_entry, failed_on
from streams.engine.producer import Outgoing, Producer, outgoing
from streams.engine.stage import Bounds, Grasp
from streams.engine.writes import Writes
from streams.runtime import metrics
from streams.runtime.errors import DeadLetterError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.sources.lookup import Reader, Reading
from streams.state.ports import Directory
from streams.wire.codec import encode_event
from streams.wire.dead_letters import Reason
from streams.wire.facts import NOBODY, Known, merged
from streams.wire.headers import Origin, Position
from streams.wire.partitioning import partition_of
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS

log = structlog.get_logger(__name__)

STAGE: Final = "intake"
_OVERHEAD: Final = 4_096  # key, headers and the batch around a record


class IntakeStage:
    """Reads one partition of one public topic.

    It keeps no state. Events are on the log, and what the records told about ids is in the directory, before the position
    moves. A crash repeats some of both, which is harmless: an event is known by its id, and facts are told again as they were.
    """

    def __init__(
        self, slot: Slot, *, reader: Reader, directory: Directory, producer: Producer, settings: Settings, meter: Meter
    ) -> None:
        """Read `slot` with `reader` and `directory`, and write with `producer`."""
        self._slot = slot
        self._reader = reader
        self._directory = directory
        self._producer = producer
        self._settings = settings
        self._meter = meter
        self._dead: list[str] = []

    def cut(self, records: Sequence[Record]) -> int:
        """Return all: batches may end anywhere."""
        return len(records)

    def birth(self, bounds: Bounds, committed: int | None) -> int:
        """Return the advisory commit or, without one, the beginning: reading events again is harmless, skipping is not."""
        return bounds.start if committed is None else min(max(bounds.start, committed), bounds.end)

    async def published(self, _slot: Slot) -> Mapping[str, Position]:
        """Return nothing: this stage has no outbox."""
        return {}

    async def prepare(self, records: Sequence[Record], grasp: Grasp) -> Writes | Moved | Missing:
        """Write the events of `records` to the log and wait until they are safe."""
        self._dead.clear()
        readings = await self._read(records)
        outgoing = [made for record, reading in zip(records, readings, strict=True) for made in self._translate(record, reading)]
        if outgoing:
            await self._producer.send_all(outgoing)
        return Writes(next_offset=records[-1].offset + 1, watermark_ms=grasp.watermark_ms)

    async def _read(self, records: Sequence[Record]) -> list[Reading]:
        """Read all; where any tell or lack facts about ids, go to the directory once and read those that lack some again.

        The whole batch is remembered first, so a record learns from all of its batch and of all earlier ones. Where what was
        found lets a record tell more, that is told as well before what it lacks is asked for: of two who name an id at the
        same time, one finds the other.
        """
        readings = [self._understand(record, NOBODY) for record in records]
        learned = _learned(readings)
        wanted = _wanted(readings)
        if not learned and not wanted:
            return readings
        readings = self._again(records, readings, await self._directory.exchange(learned, wanted))
        more = {place: said for place, said in _learned(readings).items() if said != learned.get(place)}
        return self._again(records, readings, await self._directory.exchange(more, _wanted(readings))) if more else readings

    def _again(self, records: Sequence[Record], readings: Sequence[Reading], known: Known) -> list[Reading]:
        return [
            self._understand(record, known) if reading.wanted else reading
            for record, reading in zip(records, readings, strict=True)
        ]

    def _understand(self, record: Record, known: Known) -> Reading:
        """Read one record; what the reader fails on waits among the dead letters for one that does not."""
        try:
            return self._reader(record, known)
        except MemoryError:
            raise
        except Exception as error:
            log.exception("this release failed on a record, it is a dead letter", slot=self._slot, offset=record.offset)
            return Reading(refusal=failed_on(error))

    def _translate(self, record: Record, reading: Reading) -> list[Outgoing]:
        try:
            readable = self._events(record, reading.events)
        except DeadLetterError as error:
            return [self._dead_letter(record, error, idx=0)]
        if reading.refusal is None:
            return readable
        return [*readable, self._dead_letter(record, reading.refusal, idx=len(readable))]

    def _dead_letter(self, record: Record, error: DeadLetterError, *, idx: int) -> Outgoing:
        self._dead.append(str(error.reason))
        return outgoing(dead_letter_entry(record, topic=self._slot.topic, stage=STAGE, error=error, idx=idx))

    def _events(self, record: Record, events: Sequence[AnyClientEvent]) -> list[Outgoing]:
        made = []
        for idx, event in enumerate(events):
            value = encode_event(event)
            if len(value) + _OVERHEAD > CLIENT_EVENTS.max_bytes:
                raise DeadLetterError(Reason.TOO_LARGE, f"the event has {len(value)} bytes, {CLIENT_EVENTS.name} takes less")
            origin = Origin(
                src_topic=self._slot.topic, src_partition=record.partition, src_offset=record.offset, idx=idx, kind=event.kind
            )
            made.append(
                Outgoing(
                    topic=CLIENT_EVENTS.name,
                    partition=partition_of(event.client_id, self._settings.partitions),
                    key=event.client_id.encode(),
                    value=value,
                    headers=origin.to_headers(),
                )
            )
        return made

    def committed(self) -> None:
        """Count the dead letters."""
        for reason in self._dead:
            self._meter.count(metrics.DLQ_RECORDS, stage=STAGE, reason=reason)
        self._dead.clear()

    def reset(self) -> None:
        """Do nothing: nothing is remembered."""


def _learned(readings: Sequence[Reading]) -> Known:
    return merged(pair for reading in readings for pair in reading.learned.items())


def _wanted(readings: Sequence[Reading]) -> set[str]:
    return {place for reading in readings for place in reading.wanted}

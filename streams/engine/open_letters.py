"""Which dead letters still wait: read off their topic record by record, for those on call."""

from typing import Final

from aiokafka import TopicPartition

from streams.engine.fence import Slot
from streams.engine.log_view import LogView
from streams.runtime.errors import DeadLetterError
from streams.runtime.settings import Settings
from streams.wire.dead_letters import read_dead_letter, settled_by
from streams.wire.kafka import reader
from streams.wire.records import Record
from streams.wire.topics import DEAD_LETTERS

_SLOT: Final = Slot(DEAD_LETTERS.name, 0)
_AT_ONCE: Final = 20_000  # records of one reading: what is long is read in several, and other figures do not wait for it
_POLL_MS: Final = 2_000

MOST_KEPT: Final = 100_000
"""About 10 MB. Beyond it the newest are not counted until half of those before them are settled; then they are read again."""


class OpenLetters:
    """The letters on one partition of `dead.letters` that were neither driven again nor dismissed, and when each came."""

    def __init__(self, partition: int, *, most: int = MOST_KEPT) -> None:
        """Begin with none of `partition`; `read` is the offset of the next record to take in."""
        self._partition = partition
        self._most = most
        self._came: dict[int, int] = {}  # offset -> broker's time, ms; in the order of the log
        self._beyond: int | None = None  # the first letter that was not counted
        self.read = 0

    @property
    def depth(self) -> int:
        """How many wait."""
        return len(self._came)

    def oldest_ms(self) -> int | None:
        """Return when the oldest came, by the broker's time in epoch ms; none: none waits."""
        return next(iter(self._came.values()), None)

    def take(self, record: Record) -> None:
        """Take in the next record of the partition; `read` may lie before it afterwards."""
        self.read = record.offset + 1
        settled = settled_by(record)
        if settled is None:
            if not _is_letter(record):
                return
            if len(self._came) < self._most:
                self._came[record.offset] = record.timestamp
            elif self._beyond is None:
                self._beyond = record.offset
            return
        partition, _, offset = settled[0].rpartition(":")
        if partition == str(self._partition) and offset.isdecimal():
            self._came.pop(int(offset), None)
        if self._beyond is not None and len(self._came) < self._most / 2:
            self.read, self._beyond = self._beyond, None

    def forget_before(self, start: int) -> None:
        """Forget what retention has deleted: the partition begins at `start` now."""
        self.read = max(self.read, start)
        for offset in [offset for offset in self._came if offset < start]:
            del self._came[offset]


def _is_letter(record: Record) -> bool:
    try:
        read_dead_letter(record)
    except DeadLetterError:
        return False
    return True


async def read_on(letters: OpenLetters, settings: Settings, *, view: LogView) -> bool:
    """Take in what came since, a stretch of it where that is long; returns whether that was all.

    Raises RetryError while Kafka does not answer, or does not let us read the topic.
    """
    bounds = (await view.read([_SLOT]))[_SLOT]
    letters.forget_before(bounds.start)
    if letters.read >= bounds.end:
        return True
    at, most = TopicPartition(settings.topic(_SLOT.topic), _SLOT.partition), _AT_ONCE
    async with reader(settings) as consumer:
        consumer.assign([at])
        consumer.seek(at, letters.read)
        while letters.read < bounds.end and most > 0:
            records = (await consumer.getmany(at, timeout_ms=_POLL_MS)).get(at, [])
            if not records:
                break
            for record in records:
                letters.take(record)
                if letters.read <= record.offset:
                    consumer.seek(at, letters.read)
                    break
            most -= len(records)
    return letters.read >= bounds.end

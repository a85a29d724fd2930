"""What a lane has received and not folded yet: bounded, and without holes."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from itertools import islice
from typing import Final

from streams.wire.records import Record

_RELIEF: Final = 0.5  # a paused partition is resumed when the inbox has fallen to this share of its bounds


class Offer(StrEnum):
    """What became of records offered: all of use were taken, or there is a hole before them."""

    TAKEN = "taken"
    HOLE = "hole"


class Inbox:
    """Records of one partition in strict order of their offsets, each once.

    The client library under us can lose fetched records on some paths and deliver others twice. So: what was read before is
    dropped; a hole means reading again from `read`; a hole that is still there then is real (a compacted or transactional
    log) and accepted.
    """

    def __init__(self, *, most_records: int, most_bytes: int) -> None:
        """Be `full` beyond `most_records` records or `most_bytes` bytes of keys and values."""
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._waiting: deque[Record] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._hole: tuple[int, int] | None = None
        self._closed = False
        self.read = 0
        self.rereads = 0
        self.accepted_holes = 0

    def restart(self, offset: int) -> None:
        """Forget everything; the next record expected is the one at `offset`."""
        self._waiting.clear()
        self._arrived.clear()
        self._bytes = 0
        self._hole = None
        self.read = offset

    def close(self) -> None:
        """Take nothing more in and hand nothing more out."""
        self._closed = True
        self._arrived.set()

    def offer(self, records: Sequence[Record]) -> Offer:
        """Queue what is new of `records`, which are in order. After HOLE the caller seeks to `read` and offers again."""
        if self._closed:
            return Offer.TAKEN
        answer = Offer.TAKEN
        for record in records:
            if record.offset < self.read:
                continue
            if record.offset > self.read and not self._accept(record.offset):
                answer = Offer.HOLE
                break
            self._waiting.append(record)
            self._bytes += _size(record)
            self.read = record.offset + 1
        if self._waiting:
            self._arrived.set()
        return answer

    def _accept(self, found: int) -> bool:
        hole = (self.read, found)
        if self._hole == hole:
            self._hole = None
            self.accepted_holes += 1
            return True
        self._hole = hole
        self.rereads += 1
        return False

    @property
    def full(self) -> bool:
        """Whether the partition should be paused."""
        return len(self._waiting) >= self._most_records or self._bytes >= self._most_bytes

    @property
    def relieved(self) -> bool:
        """Whether a paused partition may go on."""
        return len(self._waiting) <= self._most_records * _RELIEF and self._bytes <= self._most_bytes * _RELIEF

    @property
    def closed(self) -> bool:
        """Whether the lane is to end."""
        return self._closed

    async def take(self, limit: int, cut: Callable[[Sequence[Record]], int], *, patience: float) -> list[Record]:
        """Return the next batch: at most `limit` records, of which `cut` says how many belong together.

        Waits `patience` seconds for a record to arrive, then returns an empty list; so it does at once when closed.
        """
        if not self._arrived.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), patience)
        if self._closed or not self._waiting:
            return []
        waiting = list(islice(self._waiting, limit))
        batch = waiting[: cut(waiting)]
        for record in batch:
            self._waiting.popleft()
            self._bytes -= _size(record)
        if not self._waiting:
            self._arrived.clear()
        return batch


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")

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
    """What became of records offered.

    All of use were taken; or there is a hole before them, and they must be read again; or the same hole was there again, and
    the log itself must be asked.
    """

    TAKEN = "taken"
    HOLE = "hole"
    DOUBT = "doubt"


class Inbox:
    """Records of one partition in strict order of their offsets, each once.

    The client library under us can lose fetched records on some paths and deliver others twice. So: what was read before is
    dropped; a hole means reading again from `read`; a hole that is still there then is a doubt, which only somebody who asks
    the log by another way can resolve. Until then nothing is taken in.
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
        self.doubtful = False

    def restart(self, offset: int) -> None:
        """Forget everything; the next record expected is the one at `offset`."""
        self._waiting.clear()
        self._arrived.clear()
        self._bytes = 0
        self._hole = None
        self.doubtful = False
        self.read = offset

    def close(self) -> None:
        """Take nothing more in and hand nothing more out."""
        self._closed = True
        self._arrived.set()

    def offer(self, records: Sequence[Record]) -> Offer:
        """Queue what is new of `records`, which are in order. After HOLE the caller seeks to `read` and offers again."""
        if self._closed or self.doubtful:
            return Offer.TAKEN
        answer = Offer.TAKEN
        for record in records:
            if record.offset < self.read:
                continue
            if record.offset > self.read:
                answer = self._suspect((self.read, record.offset))
                break
            self._waiting.append(record)
            self._bytes += _size(record)
            self.read = record.offset + 1
        if self._waiting or self.doubtful:
            self._arrived.set()
        return answer

    def _suspect(self, hole: tuple[int, int]) -> Offer:
        self.doubtful = self._hole == hole
        self._hole = hole
        return Offer.DOUBT if self.doubtful else Offer.HOLE

    def resolve(self, first: int) -> bool:
        """End the doubt: the log's first record from `read` on is at `first`. Returns whether there is a hole in the log."""
        hole = first > self.read
        self.read = first
        self._hole = None
        self.doubtful = False
        if not self._waiting:
            self._arrived.clear()
        return hole

    @property
    def empty(self) -> bool:
        """Whether everything that was taken in has been handed out."""
        return not self._waiting

    @property
    def held(self) -> tuple[int, int]:
        """Records and bytes taken in and not handed out."""
        return len(self._waiting), self._bytes

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

        Waits `patience` seconds for a record to arrive, then returns an empty list; so it does at once when closed, and when
        all that came before a doubt has been taken.
        """
        if not self._arrived.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._arrived.wait()
        if self._closed or not self._waiting:
            return []
        waiting = list(islice(self._waiting, limit))
        batch = waiting[: cut(waiting)]
        for record in batch:
            self._waiting.popleft()
            self._bytes -= _size(record)
        if not self._waiting and not self.doubtful:
            self._arrived.clear()
        return batch


def _size(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")

"""One partition of a channel's topic in the hands of this process: takes records into the ledger, in order, once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import structlog

from handlers.channels.ledger import (
    Accepted,
    Batch,
    Claim,
    Crowded,
    Fenced,
    Ledger,
    Missing,
    Moved,
    Owner,
    Standing,
    Withdrawal,
)
from handlers.channels.trigger_records import read_trigger_record
from models.events.envelope import epoch_ms
from streams.runtime.clock import Clock, fresh_id
from streams.runtime.errors import DeadLetterError
from streams.wire.records import Record

Bury: TypeAlias = Callable[[Record, DeadLetterError], Awaitable[None]]
"""Puts an unreadable record on the dead letters and waits for the acknowledgement."""

FirstFrom: TypeAlias = Callable[[int, int], Awaitable[int]]
"""Finds out, without the consumer that feeds the lane, where a partition's first record at or after an offset is."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Continue:
    """Read on; `claimed` triggers are new."""

    claimed: int = 0


@dataclass(frozen=True, slots=True)
class SeekTo:
    """The ledger stands elsewhere: read on from `offset`."""

    offset: int


@dataclass(frozen=True, slots=True)
class Pause:
    """The ledger is full: read the same records again, from `offset`, after a while."""

    offset: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """The partition must be acquired anew before anything else."""


Taken: TypeAlias = Continue | SeekTo | Pause | Reopen


@dataclass(slots=True, kw_only=True)
class Lane:
    """The partition's ledger, our right to it, and where we stand. `in_flight` holds the trigger ids being worked on."""

    channel: str
    partition: int
    ledger: Ledger
    bury: Bury
    first_from: FirstFrom
    clock: Clock
    wall: Clock
    owner: Owner | None = None
    standing: Standing | None = None
    in_flight: set[str] = field(default_factory=set)
    filtered: int = 0
    doubted: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the partition is acquired and not given back."""
        return self.owner is not None

    def close(self) -> None:
        """Give the partition back: nothing is begun any more; what is being sent may still be finished."""
        self.owner = None

    async def acquire(self, owner: Owner, *, first_offset: int | None = None) -> Standing | Missing | Fenced:
        """Take the partition over; after a Standing the lane is open and reading starts at its `next_offset`."""
        answer = await self.ledger.acquire(owner, first_offset=first_offset)
        if isinstance(answer, Standing):
            self.owner, self.standing = owner, answer
        return answer

    async def take(self, records: Sequence[Record]) -> Taken:
        """Take consecutive records into the ledger; raises RetryError, after which the same call may be repeated."""
        owner, standing = self.owner, self.standing
        if owner is None or standing is None:
            return Reopen()
        fresh = [record for record in records if record.offset >= standing.next_offset]
        if not fresh:
            return Continue()  # fetched before a seek took effect
        if fresh[0].offset > standing.next_offset and not await self._is_absent(standing.next_offset, fresh[0].offset):
            return SeekTo(standing.next_offset)
        records = _unbroken(fresh)
        batch = Batch(
            expected=standing,
            next_offset=records[-1].offset + 1,
            entries=await self._read(records),
            version=fresh_id(),
        )
        now_ms, wall_ms = millis(self.clock), millis(self.wall)
        answer = await self.ledger.accept(owner, batch, now_ms=now_ms, wall_ms=wall_ms)
        taken = self._adopt(answer, standing=standing)
        if isinstance(taken, Continue) and len(records) < len(fresh):
            return SeekTo(records[-1].offset + 1)  # there is a hole behind them
        return taken

    async def _is_absent(self, offset: int, found: int) -> bool:
        """Say whether the records from `offset` up to `found` are missing in the topic itself, and not only in what was fetched.

        They are read again once. If they are missing then too, the topic is asked by another way: retention and transactions
        leave such holes, but a client library that loses records must not lose triggers.
        """
        if self.doubted != offset:
            self.doubted = offset
            _log.warning("offsets missing, reading again", channel=self.channel, partition=self.partition, offset=offset)
            return False
        first = await self.first_from(self.partition, offset)
        _log.warning("offsets missing twice, the topic was asked", channel=self.channel, offset=offset, first=first)
        return first >= found

    def _adopt(self, answer: Accepted | Moved | Crowded | Fenced | Missing, *, standing: Standing) -> Taken:
        match answer:
            case Accepted():
                self.standing = answer.standing
                self.filtered += answer.filtered + answer.known
                return Continue(answer.claimed)
            case Moved():
                _log.warning(
                    "ledger moved",
                    channel=self.channel,
                    partition=self.partition,
                    was=standing.next_offset,
                    now=answer.standing.next_offset,
                )
                self.standing = answer.standing
                return SeekTo(answer.standing.next_offset)
            case Crowded():
                return Pause(standing.next_offset)
            case Fenced() | Missing():
                self.close()
                return Reopen()

    async def _read(self, records: Sequence[Record]) -> list[Claim | Withdrawal]:
        entries: list[Claim | Withdrawal] = []
        for record in records:
            try:
                entries.append(read_trigger_record(record, channel=self.channel))
            except DeadLetterError as error:
                await self.bury(record, error)
        return entries


def _unbroken(records: Sequence[Record]) -> Sequence[Record]:
    """Return the leading records whose offsets follow each other."""
    for place, (one, following) in enumerate(pairwise(records), start=1):
        if following.offset != one.offset + 1:
            return records[:place]
    return records


def millis(clock: Clock) -> int:
    """Return the present moment of `clock` in epoch milliseconds."""
    return epoch_ms(clock.now())

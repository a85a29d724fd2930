"""The ledgers of all channels move along when the client log gets more partitions: what was delivered is not delivered again.

What waits, is being sent or was finished goes to the partition in which its client lives from now on. Of the outputs that the
copied log leads to once more, each new ledger leaves out those that its old one had accepted: its high-water is the old one's
place in the copy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from redis.exceptions import RedisError

from handlers.channels.redis_ledger import keys_at, prefix_of
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis, redis_away
from streams.wire.headers import Position
from streams.wire.partitioning import partition_of
from streams.wire.topics import TRIGGERS

Places = Mapping[int, Mapping[Position, Mapping[int, Position]]]
"""By old partition and position there: the same position in each new partition that came of it."""

_AT_ONCE: Final = 500
_SORTED: Final = slice(3, 8)  # of a ledger's keys, those that hold a moment per trigger
_SHARED: Final = ("directory", "tasks", "portal")
"""What else a deployment keeps in Redis, not by partition: what is known of ids, tasks for people, messages in the portal."""


@dataclass(frozen=True, slots=True)
class Standings:
    """How far every ledger has accepted, by channel and old partition; ledgers that were never used are absent."""

    by_channel: Mapping[str, Mapping[int, Position]]

    @property
    def marks(self) -> dict[int, set[Position]]:
        """The positions that have to be found in the copy, by old partition."""
        found: dict[int, set[Position]] = {}
        for standings in self.by_channel.values():
            for partition, position in standings.items():
                found.setdefault(partition, set()).add(position)
        return found


class LedgerMove:
    """Moves ledgers from one deployment on a server to another on the same. Channel workers of both must be stopped."""

    def __init__(self, source: Settings, target: Settings) -> None:
        """Move from the names of `source` to those of `target`; connects on first use."""
        self._source = source
        self._target = target
        self._redis = connect_redis(source)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def standings(self) -> Standings:
        """Return how far the old ledgers are; UsageError when the new deployment has some already, RetryError without Redis."""
        try:
            for channel in TRIGGERS:
                for partition in range(self._target.partitions):
                    if await self._redis.exists(self._keys(self._target, channel, partition)[0]):
                        message = f"the new deployment has a ledger for {channel} already: give it another topic prefix"
                        raise UsageError(message)
            return Standings({channel: await self._accepted(channel) for channel in TRIGGERS})
        except RedisError as error:
            raise redis_away(error) from error

    async def _accepted(self, channel: str) -> dict[int, Position]:
        found = {}
        for partition in range(self._source.partitions):
            stored: Any = await self._redis.hmget(self._keys(self._source, channel, partition)[0], ["hwo", "hwi"])
            if None not in stored:
                found[partition] = Position(*map(int, stored))
        return found

    async def move(self, standings: Standings, places: Places) -> int:
        """Copy every ledger and return how many triggers went along; may be repeated. Raises RetryError without Redis."""
        moved = 0
        try:
            for channel, accepted in standings.by_channel.items():
                for partition, position in accepted.items():
                    moved += await self._move(channel, partition, places[partition][position])
        except RedisError as error:
            raise redis_away(error) from error
        return moved

    async def _move(self, channel: str, partition: int, begins: Mapping[int, Position]) -> int:
        keys = self._keys(self._source, channel, partition)
        rows: list[_Row] = []
        async for trigger, kept in self._redis.hscan_iter(keys[1], count=_AT_ONCE):
            home = partition_of(orjson.loads(kept)["client"], self._target.partitions)
            rows.append(_Row(trigger, kept, home))
        for first in range(0, len(rows), _AT_ONCE):
            chunk = rows[first : first + _AT_ONCE]
            await self._read(keys, chunk)
            await self._write(channel, chunk)
        await self._move_reports(channel, keys[-1], begins)
        for home, position in begins.items():  # last: a ledger without it counts as not there
            standing: dict[Any, Any] = {"next": 0, "ver": "", "hwo": position.src_offset, "hwi": position.idx}
            await self._redis.hset(self._keys(self._target, channel, home)[0], mapping=standing)
        return len(rows)

    async def _read(self, keys: list[str], rows: Iterable["_Row"]) -> None:
        triggers: list[Any] = [row.trigger for row in rows]
        bodies: Any = await self._redis.hmget(keys[2], triggers)
        moments: Any = [await self._redis.zmscore(key, triggers) for key in keys[_SORTED]]
        for place, row in enumerate(rows):
            row.body = bodies[place]
            row.moments = [column[place] for column in moments]

    async def _write(self, channel: str, rows: Iterable["_Row"]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for row in rows:
            keys = self._keys(self._target, channel, row.home)
            pipe.hset(keys[1], row.trigger, row.kept)
            if row.body is not None:
                pipe.hset(keys[2], row.trigger, row.body)
            for key, moment in zip(keys[_SORTED], row.moments, strict=True):
                if moment is not None:
                    pipe.zadd(key, {row.trigger: moment})
        await pipe.execute()

    async def _move_reports(self, channel: str, key: str, homes: Iterable[int]) -> None:
        """Move outcomes that nobody was told yet."""
        for home in homes:
            await self._redis.delete(self._keys(self._target, channel, home)[-1])
        reports: Any = await self._redis.xrange(key)
        for _, fields in reports:
            home = partition_of(fields[b"client"].decode(), self._target.partitions)
            await self._redis.xadd(self._keys(self._target, channel, home)[-1], fields)

    async def share(self) -> int:
        """Copy what is not kept by partition and return how many keys that were; may be repeated. RetryError without Redis."""
        copied = 0
        try:
            for name in _SHARED:
                old, new = (f"{{{each.namespace}:{each.topic(name)}" for each in (self._source, self._target))
                async for key in self._redis.scan_iter(match=f"{old}[:}}]*", count=_AT_ONCE):
                    dumped: Any = await self._redis.dump(key)
                    left = await self._redis.pttl(key)
                    if dumped is not None:
                        await self._redis.restore(new.encode() + key[len(old) :], max(left, 0), dumped, replace=True)
                        copied += 1
        except RedisError as error:
            raise redis_away(error) from error
        return copied

    @staticmethod
    def _keys(settings: Settings, channel: str, partition: int) -> list[str]:
        return keys_at(prefix_of(settings.namespace, settings.topic(TRIGGERS[channel].name), partition))


@dataclass(slots=True)
class _Row:
    """A trigger of the old ledger: its stage as stored, where its client lives now, its text and its moments."""

    trigger: bytes
    kept: bytes
    home: int
    body: bytes | None = None
    moments: list[float | None] = field(default_factory=list)

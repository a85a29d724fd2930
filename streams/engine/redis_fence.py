"""The fence in Redis: every call is one script, one round trip, all or nothing."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final, TypeAlias, cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams.engine.fence import (
    Acquired,
    Birth,
    Claim,
    CommitCall,
    CommitReply,
    Held,
    Loaded,
    Missing,
    Moved,
    Refused,
    Slot,
    Verdict,
)
from streams.engine.outbox_codec import pack_entry, position_of, stream_id, unpack_entry
from streams.engine.writes import OutboxEntry
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.wire.headers import Position

_AWAY: Final = (
    BusyLoadingError,
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
    RedisConnectionError,
    RedisTimeoutError,
)
_AWAY_WORDS: Final = ("MISCONF", "BUSY", "NOREPLICAS", "OOM", "LOADING", "MASTERDOWN", "UNBLOCKED", "CLUSTERDOWN", "READONLY")
"""First words of error replies for which redis-py has no type of its own; all mean: not now."""

_HIGH_WATER: Final = "hw:"

Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
"""What XRANGE answers when replies are left as bytes."""


def _script(redis: Redis, name: str) -> AsyncScript:
    return redis.register_script(files("streams.engine").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8"))


def _score(value: bytes | None) -> int | None:
    return None if value is None else int(float(value))


class RedisFence:
    """The fence of all partitions of a deployment, in one Redis or Valkey."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        """Keep data in `redis` with the key layout of `settings`; nothing is sent yet."""
        self._redis = redis
        self._settings = settings
        self._acquire = _script(redis, "acquire")
        self._load = _script(redis, "load")
        self._commit = _script(redis, "commit")
        self._trim = _script(redis, "trim")
        self._keys: dict[Slot, PartitionKeys] = {}

    def _at(self, slot: Slot) -> PartitionKeys:
        keys = self._keys.get(slot)
        if keys is None:
            keys = self._keys[slot] = PartitionKeys.of(self._settings, slot.topic, slot.partition)
        return keys

    @staticmethod
    async def _run(script: AsyncScript, keys: Sequence[str], args: Iterable[Any]) -> Any:  # noqa: ANN401 - a reply has any shape
        try:
            return await script(keys=keys, args=args)
        except _AWAY as error:
            raise RetryError(_away(error)) from error
        except ResponseError as error:
            if str(error).startswith(_AWAY_WORDS):
                raise RetryError(_away(error)) from error
            raise

    async def acquire(self, slot: Slot, claim: Claim, *, birth: Birth | None = None) -> Acquired:
        """Take the partition for `claim`; a missing fence is made from `birth` when that is given."""
        args: list[str | int] = [claim.generation, claim.owner, claim.incarnation]
        if birth is None:
            args += [0, 0, ""]
        else:
            args += [1, birth.next_offset, birth.ver]
            for topic, mark in birth.high_water.items():
                args += [topic, f"{mark.src_offset}-{mark.idx}"]
        reply = await self._run(self._acquire, self._at(slot).all(), args)
        if reply[0] == b"missing":
            return Missing()
        if reply[0] == b"refused":
            return Refused(int(reply[1]))
        flat = reply[1]
        pairs = zip(flat[::2], flat[1::2], strict=True) if isinstance(flat, list) else flat.items()
        fields = {name.decode(): value for name, value in pairs}
        marks = {name.removeprefix(_HIGH_WATER): value for name, value in fields.items() if name.startswith(_HIGH_WATER)}
        return Held(
            next_offset=int(fields["next"]),
            ver=fields["ver"].decode(),
            watermark_ms=int(fields["wm"]),
            incarnation=int(fields["inc"]),
            outbox_depth=int(reply[2]),
            next_due_ms=_score(reply[3]),
            high_water={topic: Position(*map(int, value.split(b"-"))) for topic, value in marks.items()},
            regime=fields.get("rg", b""),
        )

    async def load(
        self, slot: Slot, clients: Sequence[str], *, ver: str, due_until_ms: int | None = None, due_limit: int = 0
    ) -> Loaded | Moved | Missing:
        """Return the states of `clients`, and of at most `due_limit` clients with a timer due, if the version is `ver`."""
        until = "" if due_until_ms is None else due_until_ms
        keys = self._at(slot).all()[:3]
        reply = await self._run(self._load, keys, [ver, until, due_limit, *clients])
        if reply[0] == b"missing":
            return Missing()
        if reply[0] == b"moved":
            return Moved(int(reply[1]), reply[2].decode())
        _, states, due, due_states = reply
        return Loaded(states, [(client.decode(), state) for client, state in zip(due, due_states, strict=True)])

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Write everything or nothing."""
        reply = await self._run(self._commit, self._at(slot).all(), [pack_commit(call)])
        return CommitReply(
            verdict=Verdict(reply[0].decode()),
            next_offset=int(reply[1]),
            ver=reply[2].decode(),
            outbox_depth=int(reply[3]) if len(reply) > 3 else 0,  # noqa: PLR2004 - refusals carry no depth and no timer
            next_due_ms=_score(reply[4]) if len(reply) > 4 else None,  # noqa: PLR2004
            outbox_head=position_of(reply[5]) if len(reply) > 5 and reply[5] else None,  # noqa: PLR2004
        )

    async def read_outbox(self, slot: Slot, *, limit: int) -> list[OutboxEntry]:
        """Return the oldest entries not trimmed yet, in order."""
        try:
            found = cast("Entries", await self._redis.xrange(self._at(slot).outbox, count=limit))
        except _AWAY as error:
            raise RetryError(_away(error)) from error
        return [unpack_entry(position_of(identifier), fields[b"e"]) for identifier, fields in found]

    async def trim(self, slot: Slot, upto: Position) -> int:
        """Forget outbox entries up to and including `upto`; returns how many are left."""
        after = stream_id(Position(upto.src_offset, upto.idx + 1))
        return int(await self._run(self._trim, [self._at(slot).outbox], [after]))

    async def position(self, slot: Slot) -> int | None:
        """Return the next offset to be folded, or none without a fence."""
        try:
            value = await self._redis.hget(self._at(slot).fence, "next")
        except _AWAY as error:
            raise RetryError(_away(error)) from error
        return None if value is None else int(value)


def _away(error: Exception) -> str:
    return f"Redis cannot do it now ({type(error).__name__}: {error}); check REDIS_URL, its memory and disk, and `rapport doctor`"


def pack_commit(call: CommitCall) -> bytes:
    """Return the one argument of the commit script: its parts in the script's order, numbers as decimal strings.

    Written by hand because Redis' msgpack reader knows raw strings only, not the newer binary type that every packer writes
    for bytes. One argument costs the client much less than a thousand.
    """
    writes = call.writes
    states: list[bytes] = []
    for client, state in writes.states.items():
        states += (client.encode(), state)
    due: list[bytes] = []
    settled: list[bytes] = []
    for client, moment in writes.timers.items():
        if moment is None:
            settled.append(client.encode())
        else:
            due += (b"%d" % moment, client.encode())
    outbox: list[bytes] = []
    for entry in writes.outbox:
        outbox += (stream_id(entry.position), pack_entry(entry))
    head = (
        b"%d" % call.claim.generation,
        call.claim.owner.encode(),
        b"%d" % call.claim.incarnation,
        call.ver.encode(),
        b"%d" % call.expected,
        call.ver_new.encode(),
        b"%d" % writes.next_offset,
        b"%d" % writes.watermark_ms,
        b"%d" % call.outbox_limit,
    )
    regime = [] if writes.regime is None else [writes.regime]
    wake = [] if writes.wake_ms is None else [b"%d" % writes.wake_ms]
    lists = (states, due, settled, outbox, regime, wake)
    parts = [_ARRAY32 + (len(head) + len(lists)).to_bytes(4, "big")]
    _put(parts, head)
    for items in lists:
        parts.append(_ARRAY32 + len(items).to_bytes(4, "big"))
        _put(parts, items)
    return b"".join(parts)


_ARRAY32: Final = b"\xdd"
_RAW32: Final = b"\xdb"


def _put(parts: list[bytes], items: Iterable[bytes]) -> None:
    for item in items:
        parts += (_RAW32 + len(item).to_bytes(4, "big"), item)

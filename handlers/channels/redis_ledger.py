"""The ledger in Redis or Valkey: one Lua call per step, all keys of a channel partition under one hash tag.

Each step is written so that running it twice is the same as once, because a lost reply makes the client repeat it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final, TypeAlias, cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError, ResponseError

from handlers.channels.contract import OnAmbiguous
from handlers.channels.ledger import (
    EXPIRED_BEFORE_SENDING,
    INTERRUPTED,
    Accepted,
    Attempt,
    Batch,
    Claim,
    Crowded,
    Depth,
    Ending,
    Entry,
    Fenced,
    Ledger,
    Missing,
    Moved,
    Owner,
    Report,
    Stage,
    Standing,
    Withdrawal,
)
from handlers.channels.readers import Places, Readers
from handlers.channels.redis_readers import RedisReaders
from models.events.signals import DeliveryOutcome
from streams.runtime.errors import FatalError, RetryError
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.headers import Position

Argument: TypeAlias = str | int | bytes
_KEYS: Final = ("f", "s", "b", "due", "try", "ls", "ex", "dn", "ob")  # as named in scripts/_common.lua
_BROKEN: Final = re.compile(r"user_script|Error running|WRONGTYPE|Error compiling")
"""In replies that no repetition can mend."""
_STEPS: Final = ("acquire", "accept", "ready", "begin", "finish", "settle", "hold", "expire", "recover", "trim", "depth")


def keys_at(prefix: str) -> list[str]:
    """Return the keys of the ledger at `prefix`, in the order in which the scripts take them."""
    return [f"{{{prefix}}}:{key}" for key in _KEYS]


def prefix_of(namespace: str, topic: str, partition: int) -> str:
    """Return where the ledger of `partition` of `topic` (name on the broker) lives."""
    return f"{namespace}:{topic}:{partition}"


@lru_cache(maxsize=1)
def _sources() -> dict[str, str]:
    folder = files("handlers.channels").joinpath("scripts")
    common = folder.joinpath("_common.lua").read_text()
    return {step: common + folder.joinpath(f"{step}.lua").read_text() for step in _STEPS}


class RedisLedger:
    """One partition's ledger; see `Ledger` for what each call promises."""

    def __init__(self, client: Redis, *, scripts: dict[str, AsyncScript], prefix: str, pending_limit: int) -> None:
        """Use the keys `{<prefix>}:...` through `client`."""
        self._client = client
        self._scripts = scripts
        self._keys = keys_at(prefix)
        self._pending_limit = pending_limit

    async def _call(self, step: str, *arguments: Argument) -> object:
        try:
            return await self._scripts[step](keys=self._keys, args=list(arguments))
        except ResponseError as error:
            if _BROKEN.search(str(error)):
                message = (
                    f"ledger step {step!r} is broken ({error}): the server's version or the stored keys do not fit this program"
                )
                raise FatalError(message) from error
            raise RetryError(_away(step, error)) from error
        except RedisError as error:
            raise RetryError(_away(step, error)) from error

    async def acquire(self, owner: Owner, *, first_offset: int | None = None) -> Standing | Missing | Fenced:
        """See `Ledger.acquire`."""
        first = "" if first_offset is None else first_offset
        reply = await self._rows("acquire", *_owner(owner), first)
        match reply[0]:
            case b"ok":
                return _standing(reply[1:])
            case b"fenced":
                return Fenced(int(reply[1]))
            case _:
                return Missing()

    async def accept(
        self, owner: Owner, batch: Batch, *, now_ms: int, wall_ms: int
    ) -> Accepted | Moved | Crowded | Fenced | Missing:
        """See `Ledger.accept`."""
        claims = sum(isinstance(entry, Claim) for entry in batch.entries)
        fields = [field for entry in batch.entries for field in _fields(entry)]
        expected = (batch.expected.next_offset, batch.expected.version, batch.next_offset, batch.version)
        reply = await self._rows("accept", *_owner(owner), *expected, now_ms, wall_ms, self._pending_limit, claims, *fields)
        match reply[0]:
            case b"ok":
                claimed, known, filtered, retractions = (int(count) for count in reply[5:9])
                return Accepted(
                    standing=_standing(reply[1:5]), claimed=claimed, known=known, filtered=filtered, retractions=retractions
                )
            case b"moved":
                return Moved(_standing(reply[1:]))
            case b"crowded":
                return Crowded()
            case b"fenced":
                return Fenced(int(reply[1] or 0))
            case _:
                return Missing()

    async def ready(self, *, now_ms: int, wall_ms: int, limit: int) -> list[Entry]:
        """See `Ledger.ready`."""
        rows = cast("list[tuple[bytes, bytes, int, bytes]]", await self._call("ready", now_ms, wall_ms, limit))
        return [
            Entry(trigger_id=trigger.decode(), client_id=client.decode(), attempt=attempt, body=body)
            for trigger, client, attempt, body in rows
        ]

    async def begin(self, owner: Owner, entry: Entry, *, now_ms: int, lease_ms: int) -> Attempt | None:
        """See `Ledger.begin`."""
        begun = await self._call("begin", *_owner(owner), entry.trigger_id, entry.attempt, now_ms, lease_ms)
        if begun != 1:
            return None
        return Attempt(trigger_id=entry.trigger_id, owner_id=owner.owner_id, number=entry.attempt + 1)

    async def finish(self, attempt: Attempt, ending: Ending, *, now_ms: int, wall_ms: int) -> Stage | None:
        """See `Ledger.finish`."""
        who = (attempt.trigger_id, attempt.owner_id, attempt.number)
        to = (ending.address, ending.purpose)
        stage = cast("bytes", await self._call("finish", *who, *_ending(ending), ending.retry_ms, now_ms, wall_ms, *to))
        return Stage(stage.decode()) if stage else None

    async def settle(self, owner: Owner, trigger_id: str, ending: Ending, *, now_ms: int, wall_ms: int) -> bool:
        """See `Ledger.settle`."""
        return await self._call("settle", *_owner(owner), trigger_id, *_ending(ending), now_ms, wall_ms) == 1

    async def hold(self, owner: Owner, trigger_id: str, *, until_ms: int) -> bool:
        """See `Ledger.hold`."""
        return await self._call("hold", *_owner(owner), trigger_id, until_ms) == 1

    async def expire(self, owner: Owner, *, now_ms: int, wall_ms: int, limit: int) -> int:
        """See `Ledger.expire`."""
        count = await self._call("expire", *_owner(owner), EXPIRED_BEFORE_SENDING, now_ms, wall_ms, limit)
        return cast("int", count)

    async def recover(self, owner: Owner, *, policy: OnAmbiguous, now_ms: int, wall_ms: int, limit: int) -> int:
        """See `Ledger.recover`."""
        count = await self._call("recover", *_owner(owner), policy.value, INTERRUPTED, now_ms, wall_ms, limit)
        return cast("int", count)

    async def reports(self, *, limit: int) -> list[Report]:
        """See `Ledger.reports`."""
        try:
            found = await self._client.xrange(self._keys[-1], count=limit)
        except RedisError as error:
            raise RetryError(_away("reports", error)) from error
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
        return [_report(report_id, fields) for report_id, fields in rows]

    async def reported(self, report_ids: Sequence[str]) -> None:
        """See `Ledger.reported`."""
        if not report_ids:
            return
        try:
            await self._client.xdel(self._keys[-1], *report_ids)
        except RedisError as error:
            raise RetryError(_away("reported", error)) from error

    async def trim(self, *, before_ms: int, limit: int) -> int:
        """See `Ledger.trim`."""
        return cast("int", await self._call("trim", before_ms, limit))

    async def depth(self) -> Depth:
        """See `Ledger.depth`."""
        prepared, sending, unreported, oldest = cast("tuple[int, int, int, bytes]", await self._call("depth"))
        return Depth(
            prepared=prepared, sending=sending, unreported=unreported, oldest_due_ms=int(float(oldest)) if oldest else None
        )

    async def _rows(self, step: str, *arguments: Argument) -> list[bytes]:
        return cast("list[bytes]", await self._call(step, *arguments))


class RedisLedgers:
    """Ledgers of all channel partitions on one server."""

    def __init__(self, client: Redis, *, namespace: str, pending_limit: int = 100_000) -> None:
        """Keep ledgers under `namespace`, each with at most `pending_limit` waiting triggers. `client` must return bytes."""
        self._client = client
        self._scripts = {step: client.register_script(source) for step, source in _sources().items()}
        self._namespace = namespace
        self._pending_limit = pending_limit

    @classmethod
    def connect(cls, settings: Settings) -> "RedisLedgers":
        """Return ledgers on the server of `settings`; connects on first use."""
        return cls(connect_redis(settings), namespace=settings.namespace, pending_limit=settings.channel_pending_limit)

    def open(self, topic: str, partition: int) -> Ledger:
        """See `Ledgers.open`."""
        prefix = prefix_of(self._namespace, topic, partition)
        return RedisLedger(self._client, scripts=self._scripts, prefix=prefix, pending_limit=self._pending_limit)

    def readers(self, topic: str, places: Places) -> Readers:
        """Return the places of who reads what is sent by the workers of `topic` (name on the broker), beside its ledgers."""
        return RedisReaders(self._client, prefix=f"{self._namespace}:{topic}:readers", places=places)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _away(step: str, error: RedisError) -> str:
    return f"ledger step {step!r} failed ({error}); is Redis up, writable and below its memory limit?"


def _owner(owner: Owner) -> tuple[Argument, ...]:
    return (owner.generation, owner.owner_id, owner.incarnation)


def _ending(ending: Ending) -> tuple[Argument, ...]:
    return (ending.stage.value, "" if ending.outcome is None else ending.outcome.value, ending.reason)


def _fields(entry: Claim | Withdrawal) -> tuple[Argument, ...]:
    position: tuple[Argument, Argument] = ("", "") if entry.position is None else entry.position
    common = (*position, entry.trigger_id, entry.client_id)
    match entry:
        case Claim():
            return ("claim", *common, entry.not_before_ms, entry.expires_ms, entry.body)
        case Withdrawal():
            return ("withdrawal", *common, 0, 0, entry.because)


def _standing(fields: Sequence[bytes]) -> Standing:
    next_offset, version, offset, index = fields
    return Standing(next_offset=int(next_offset), version=version.decode(), high_water=Position(int(offset), int(index)))


def _report(report_id: bytes, fields: dict[bytes, bytes]) -> Report:
    return Report(
        report_id=report_id.decode(),
        trigger_id=fields[b"trigger"].decode(),
        client_id=fields[b"client"].decode(),
        outcome=DeliveryOutcome(fields[b"outcome"].decode()),
        attempt=int(fields[b"attempt"]),
        reason=fields[b"reason"].decode(),
        at_ms=int(fields[b"at"]),
        address=fields.get(b"address", b"").decode(),  # written by an earlier release, it says neither
        purpose=fields.get(b"purpose", b"").decode(),
    )

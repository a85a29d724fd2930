"""The real Redis or Valkey under the simulation: every command is one blocking round trip, indivisible for the processes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import redis
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from streams.state.keys import PartitionKeys

Mutation: TypeAlias = Callable[[str], str]
"""Rewrites the text of a script before it is registered; the shipped text where nothing is mutated."""


class DirectRedis(Redis):
    """redis-py's asynchronous client with the wire replaced by a blocking connection to the same server."""

    def __init__(self, wire: "redis.Redis", *, mutate: Mutation) -> None:
        """Send commands through `wire`."""
        super().__init__()
        self._wire = wire
        self._mutate = mutate

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's own signature
        """Send one command and return its reply, without ever giving way to other tasks."""
        return self._wire.execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def register_script(self, script: Any) -> AsyncScript:  # type: ignore[override] # noqa: ANN401 - redis-py's own signature
        """Return the script that the engine ships, or the mutant of it."""
        return super().register_script(self._mutate(script))


class Server:
    """One partition's keys as a whole: what a fail-over, a restored backup or a lost disk does to them."""

    def __init__(self, wire: "redis.Redis", keys: PartitionKeys) -> None:
        """Work on `keys`."""
        self._wire = wire
        self._keys = keys.all()

    def dump(self) -> Sequence[bytes | None]:
        """Return all keys of the partition as they are at this moment."""
        with self._wire.pipeline(transaction=True) as pipe:
            for key in self._keys:
                pipe.dump(key)
            found: list[bytes | None] = pipe.execute()
        return found

    def restore(self, dump: Sequence[bytes | None]) -> None:
        """Put all keys back to `dump` at once."""
        with self._wire.pipeline(transaction=True) as pipe:
            pipe.delete(*self._keys)
            for key, value in zip(self._keys, dump, strict=True):
                if value is not None:
                    pipe.restore(key, 0, value)
            pipe.execute()

    def lose_everything(self) -> None:
        """Delete all keys of the partition."""
        self._wire.delete(*self._keys)

    def position(self) -> int | None:
        """Return the stored position."""
        value = self._wire.hget(self._keys[0], "next")
        return None if value is None else int(value)

    def regime(self) -> bytes:
        """Return the stored regime."""
        found: Any = self._wire.hget(self._keys[0], "rg")
        return found or b""

    def states(self) -> dict[str, bytes]:
        """Return the stored states by client."""
        found: Any = self._wire.hgetall(self._keys[1])
        return {client.decode(): blob for client, blob in found.items()}

    def timers(self) -> dict[str, int]:
        """Return the stored timers by client."""
        found: Any = self._wire.zrange(self._keys[2], 0, -1, withscores=True)
        return {client.decode(): int(score) for client, score in found}

    def outbox_depth(self) -> int:
        """Return how many outputs are stored and not trimmed."""
        return int(self._wire.xlen(self._keys[3]))

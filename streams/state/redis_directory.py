"""The directory in Redis: a hash per id, which Redis itself forgets when its time is over."""

from collections.abc import Collection
from datetime import timedelta
from importlib.resources import files
from itertools import chain
from typing import Final

import msgspec
from redis.asyncio import Redis

from streams.runtime.settings import Settings
from streams.state.keys import directory_base
from streams.state.ports import RETENTION
from streams.state.redis_store import answer_of
from streams.wire.facts import FURTHEST, LINKS, Known

_CHUNK: Final = 2_000
"""Most entries told in one call: a batch of 500 deliveries tells about 1,500; a call blocks Redis while it lasts."""


class RedisDirectory:
    """What was told about ids, shared by all workers of a deployment."""

    def __init__(self, redis: Redis, settings: Settings, *, retention: timedelta = RETENTION) -> None:
        """Keep it in `redis` with the key layout of `settings`; nothing is sent yet."""
        self._base = directory_base(settings)
        self._retention_ms = retention // timedelta(milliseconds=1)
        script = files("streams.state").joinpath("scripts", "directory.lua").read_text(encoding="utf-8")
        self._script = redis.register_script(script)

    async def exchange(self, learned: Known, wanted: Collection[str]) -> Known:
        """Remember and answer, in one round trip unless thousands of entries are told."""
        told = [(place, said) for place, said in learned.items() if said]
        while len(told) > _CHUNK:
            await self._call(dict(told[:_CHUNK]), ())
            told = told[_CHUNK:]
        return await self._call(dict(told), wanted) if told or wanted else {}

    async def _call(self, learned: Known, wanted: Collection[str]) -> Known:
        told = [(place, *chain.from_iterable(said.items())) for place, said in learned.items()]
        # One argument: the client takes far longer to write thousands of small ones than Redis to read them.
        packed = msgspec.msgpack.encode((LINKS, told, list(wanted)))
        reply = await answer_of(self._script(keys=[self._base], args=[self._retention_ms, FURTHEST, packed]))
        return {place.decode(): _pairs(flat) for place, flat in reply}


def _pairs(flat: list[bytes]) -> dict[str, str]:
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))

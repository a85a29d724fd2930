"""The mailbox on Redis: a stream per client, an index of ids beside it, and when each message was read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from handlers.mailbox.messages import MOST_KEPT, Message
from streams.runtime.settings import Settings
from streams.state.redis_store import answer_of, connect_redis

KEPT: Final = timedelta(days=400)
"""A client's mailbox goes when nothing was laid out in it for so long."""

_PUT: Final = """
if redis.call('HSETNX', KEYS[2], ARGV[1], '') == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'body', ARGV[2]))
while redis.call('XLEN', KEYS[1]) > tonumber(ARGV[3]) do
    local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', KEYS[1], oldest[1])
    redis.call('HDEL', KEYS[2], oldest[2][2])
    redis.call('HDEL', KEYS[3], oldest[2][2])
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[4]) end
return 1
"""
_MARK: Final = """
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('HSETNX', KEYS[3], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 1
"""
_SECONDS: Final = round(KEPT.total_seconds())
_DECODER: Final = msgspec.msgpack.Decoder(Message)


class RedisMailbox:
    """See `Mailbox`. Every change is one script on the keys of one client."""

    def __init__(self, settings: Settings, *, most: int = MOST_KEPT) -> None:
        """Use the server and namespace of `settings`, keep `most` messages per client; connects on first use."""
        self._redis: Redis = connect_redis(settings)
        self._prefix = f"{settings.namespace}:{settings.topic('portal')}"
        self._most = most

    async def put(self, message: Message) -> bool:
        """See `Mailbox.put`."""
        body = msgspec.msgpack.encode(message)
        return bool(await self._script(_PUT, message.client_id, message.message_id, body, self._most, _SECONDS))

    async def messages(self, client_id: str, *, limit: int, before: str = "") -> list[Message]:
        """See `Mailbox.messages`."""
        stream, index, read = self._keys(client_id)
        at = await answer_of(self._redis.hget(index, before)) if before else None
        newest = f"({at.decode()}" if at else "+"
        rows = await answer_of(self._redis.xrevrange(stream, max=newest, min="-", count=limit))
        if not rows:
            return []
        found = [_DECODER.decode(fields[b"body"]) for _, fields in rows]
        marks: Sequence[bytes | None] = await answer_of(self._redis.hmget(read, [each.message_id for each in found]))
        return [_marked(each, mark) for each, mark in zip(found, marks, strict=True)]

    async def get(self, client_id: str, message_id: str) -> Message | None:
        """See `Mailbox.get`."""
        stream, index, read = self._keys(client_id)
        at = await answer_of(self._redis.hget(index, message_id))
        if not at:
            return None
        rows = await answer_of(self._redis.xrange(stream, min=at, max=at))
        mark = await answer_of(self._redis.hget(read, message_id))
        return _marked(_DECODER.decode(rows[0][1][b"body"]), mark) if rows else None

    async def mark_read(self, client_id: str, message_id: str, *, at_ms: int) -> Message | None:
        """See `Mailbox.mark_read`."""
        await self._script(_MARK, client_id, message_id, at_ms, _SECONDS)
        return await self.get(client_id, message_id)

    async def forget(self, client_id: str) -> None:
        """See `Mailbox.forget`."""
        await answer_of(self._redis.delete(*self._keys(client_id)))

    async def close(self) -> None:
        """Give back connections."""
        await self._redis.aclose()

    async def _script(self, script: str, client_id: str, *given: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        keys = self._keys(client_id)
        return await answer_of(self._redis.eval(script, len(keys), *keys, *given))

    def _keys(self, client_id: str) -> tuple[str, str, str]:
        prefix = f"{{{self._prefix}:{client_id}}}"
        return f"{prefix}:s", f"{prefix}:i", f"{prefix}:r"


def _marked(message: Message, mark: bytes | None) -> Message:
    return message if mark is None else msgspec.structs.replace(message, read_ms=int(mark))

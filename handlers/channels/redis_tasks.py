"""The board of tasks in Redis or Valkey: one hash of tasks, one of how they ended, under one hash tag."""

from typing import cast

from redis.asyncio import Redis

from handlers.channels.tasks import Done, Task, decode_done, decode_task, encode_done, encode_task, in_order
from streams.runtime.settings import Settings
from streams.state.redis_store import answer_of, connect_redis


class RedisTaskBoard:
    """See `TaskBoard`. Every change is one command or one transaction, and may be repeated."""

    def __init__(self, settings: Settings) -> None:
        """Use the server and namespace of `settings`; connects on first use."""
        self._redis: Redis = connect_redis(settings)
        prefix = f"{{{settings.namespace}:{settings.topic('tasks')}}}"
        self._tasks, self._done = f"{prefix}:t", f"{prefix}:d"

    async def put(self, task: Task) -> bool:
        """See `TaskBoard.put`."""
        return bool(await answer_of(self._redis.hsetnx(self._tasks, task.task_id, cast("str", encode_task(task)))))

    async def get(self, task_id: str) -> Task | None:
        """See `TaskBoard.get`."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hget(self._tasks, task_id)
        pipe.hget(self._done, task_id)
        raw, done = await answer_of(pipe.execute())
        return None if raw is None else decode_task(raw, done)

    async def tasks(self) -> list[Task]:
        """See `TaskBoard.tasks`."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hgetall(self._tasks)
        pipe.hgetall(self._done)
        kept, done = await answer_of(pipe.execute())
        return in_order(decode_task(raw, done.get(task_id)) for task_id, raw in kept.items())

    async def finish(self, task_id: str, done: Done) -> Done | None:
        """See `TaskBoard.finish`."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hexists(self._tasks, task_id)
        pipe.hsetnx(self._done, task_id, cast("str", encode_done(done)))
        pipe.hget(self._done, task_id)
        known, _, holds = await answer_of(pipe.execute())
        if not known:
            await answer_of(self._redis.hdel(self._done, task_id))
            return None
        return decode_done(holds)

    async def forget(self, task_id: str) -> None:
        """See `TaskBoard.forget`."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hdel(self._tasks, task_id)
        pipe.hdel(self._done, task_id)
        await answer_of(pipe.execute())

    async def close(self) -> None:
        """Give back connections."""
        await self._redis.aclose()

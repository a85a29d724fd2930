"""The engine's client of Redis: commands that are asked together travel together, and each has its own answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.state.gathered import GatheredRedis
from streams.state.redis_store import connect_redis
from tests.conftest import Servers
from tests.waiting import turns

pytestmark = pytest.mark.integration


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    client = connect_redis(Settings.model_validate({"redis_url": servers.redis_url}), GatheredRedis)
    yield client
    await client.aclose()


async def test_each_of_many_at_once_gets_its_own_answer_or_its_own_error_over_one_connection(redis: Redis) -> None:
    key = fresh_id()
    name = await redis.client_setname(key)
    told = await asyncio.gather(
        *(redis.rpush(key, number) for number in range(50)), redis.hget(key, "field"), redis.client_id(), return_exceptions=True
    )
    assert name
    assert told[:50] == list(range(1, 51))
    assert isinstance(told[50], ResponseError)
    connections = [entry for entry in await redis.client_list() if entry["name"] == key]
    assert [int(entry["id"]) for entry in connections] == [told[51]]
    assert await redis.lrange(key, 0, -1) == [b"%d" % number for number in range(50)]
    await redis.delete(key)


async def test_who_is_cancelled_takes_no_answer_from_others(redis: Redis) -> None:
    key = fresh_id()

    async def raised() -> int:
        return int(await redis.incr(key))

    first, second, third = [asyncio.create_task(raised()) for _ in range(3)]
    await turns()
    second.cancel()
    assert (await first, await third) == (1, 3)
    assert second.cancelled()
    await redis.delete(key)


async def test_a_broken_connection_fails_all_that_travelled_on_it_and_the_next_command_makes_another(redis: Redis) -> None:
    key = fresh_id()
    killed = redis.client_kill_filter(_id=str(await redis.client_id()), skipme=False)
    told = await asyncio.gather(redis.incr(key), killed, redis.incr(key), return_exceptions=True)
    assert {type(each) for each in told} == {RedisConnectionError}
    assert await redis.get(key) in {b"1", b"2"}
    await redis.delete(key)


async def test_a_server_that_is_not_there_is_told_to_everybody() -> None:
    client = connect_redis(Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"}), GatheredRedis)
    told = await asyncio.gather(client.get("a"), client.get("b"), return_exceptions=True)
    assert [type(error) for error in told] == [RedisConnectionError, RedisConnectionError]
    await client.aclose()


async def test_who_still_waits_when_the_client_is_closed_hears_of_it_and_nothing_is_left_behind(servers: Servers) -> None:
    client = connect_redis(Settings.model_validate({"redis_url": servers.redis_url}), GatheredRedis)
    before = asyncio.all_tasks()
    sent = asyncio.ensure_future(client.blpop([fresh_id()], 30))
    await turns(3)  # asked, sent on its way, waiting
    await client.ping()
    unsent = asyncio.ensure_future(client.get("a"))
    await turns()
    await client.aclose()
    told = await asyncio.gather(sent, unsent, return_exceptions=True)
    assert [type(error) for error in told] == [RedisConnectionError, RedisConnectionError]
    assert asyncio.all_tasks() == before

"""Laws of the directory, held by Redis and by the twin in memory alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.runtime.clock import ManualClock, fresh_id
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.state.gathered import GatheredRedis
from streams.state.memory_directory import MemoryDirectory
from streams.state.ports import RETENTION, Directory
from streams.state.redis_directory import RedisDirectory
from streams.state.redis_store import connect_redis
from streams.wire.facts import FURTHEST, LARGEST_FACT_BYTES, Known, facts, merged, shared
from tests.conftest import Servers
from tests.printable import PRINTABLE
from tests.waiting import until_async

pytestmark = pytest.mark.integration

START = datetime(2026, 1, 1, tzinfo=UTC)
CHAIN: Known = {
    "gc:RF1": {"payment": "PM1", "amount": "500", "currency": "GBP"},
    "gc:PM1": {"mandate": "MD1", "amount": "1200", "currency": "GBP"},
    "gc:MD1": {"customer": "CU1"},
    "gc:MD2": {"customer": "CU2"},
}


@dataclass(frozen=True, slots=True)
class World:
    """A directory that never forgets while a test runs, another that forgets soon, and how to make that one's time pass."""

    directory: Directory
    fresh: Callable[[], Directory]
    short: Directory
    age: Callable[[str], Awaitable[None]]


def memory_world() -> World:
    clock = ManualClock(START)
    short = MemoryDirectory(clock)

    async def age(_address: str) -> None:
        clock.advance_to(clock.now() + RETENTION)

    return World(MemoryDirectory(clock), lambda: MemoryDirectory(clock), short, age)


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield memory_world()
        return
    servers: Servers = request.getfixturevalue("servers")
    name = fresh_id()
    redis = connect_redis(own_settings(servers, name), GatheredRedis)
    short = RedisDirectory(redis, own_settings(servers, f"{name}-short"), retention=timedelta(milliseconds=30))

    async def age(address: str) -> None:
        async def gone() -> bool:
            return not await short.exchange({}, [address])

        await until_async(gone, what=f"the end of {address}")

    def fresh() -> Directory:
        return RedisDirectory(redis, own_settings(servers, f"{name}-{fresh_id()}"))

    yield World(RedisDirectory(redis, own_settings(servers, name)), fresh, short, age)
    keys = [key async for key in redis.scan_iter(match=f"*{name}*", count=1_000)]
    if keys:
        await redis.delete(*keys)
    await redis.aclose()


def own_settings(servers: Servers, namespace: str) -> Settings:
    return Settings.model_validate({"redis_url": servers.redis_url, "namespace": namespace})


async def test_what_was_told_is_known_together_with_all_that_it_links_to(world: World) -> None:
    assert await world.directory.exchange(CHAIN, []) == {}
    assert await world.directory.exchange({}, ["gc:RF1"]) == {name: CHAIN[name] for name in ("gc:RF1", "gc:PM1", "gc:MD1")}
    assert await world.directory.exchange({}, ["gc:MD2", "gc:MD1"]) == {name: CHAIN[name] for name in ("gc:MD1", "gc:MD2")}
    assert await world.directory.exchange({}, ["gc:unknown", "other:PM1", "PM1", ""]) == {}
    assert await world.directory.exchange({}, []) == {}


async def test_what_is_told_in_a_call_is_known_to_its_own_questions(world: World) -> None:
    assert await world.directory.exchange(CHAIN, ["gc:MD1"]) == {"gc:MD1": {"customer": "CU1"}}


async def test_a_fact_told_again_replaces_the_one_before_and_leaves_the_others(world: World) -> None:
    await world.directory.exchange({"s:pi": {"customer": "c", "invoice": "i"}}, [])
    await world.directory.exchange({"s:pi": {"invoice": "j"}, "s:x": {}}, [])
    assert await world.directory.exchange({}, ["s:pi", "s:x"]) == {"s:pi": {"customer": "c", "invoice": "j"}}


async def test_of_who_has_an_address_and_what_was_said_against_it_whichever_is_told_second_finds_the_other(world: World) -> None:
    said = {"refused:complained:email:servicing": "2026-03-02T09:00:00+00:00 0123456789ab"}
    for place, first, second in (("s:a", shared("ada"), said), ("s:b", said, shared("ada"))):
        await world.directory.exchange({place: first}, [place])
        assert await world.directory.exchange({place: second}, [place]) == {place: {**shared("ada"), **said}}


async def test_sources_do_not_know_each_others_ids(world: World) -> None:
    await world.directory.exchange({"a:x": {"payment": "y"}, "b:y": {"customer": "c"}}, [])
    assert await world.directory.exchange({}, ["a:x"]) == {"a:x": {"payment": "y"}}


async def test_links_in_a_circle_end_and_long_chains_are_cut(world: World) -> None:
    circle: Known = {"s:a": {"charge": "b"}, "s:b": {"charge": "a", "invoice": "b"}}
    assert await world.directory.exchange(circle, ["s:b"]) == circle
    long = {f"s:{number}": facts(payment=str(number + 1)) for number in range(FURTHEST * 2)}
    assert await world.directory.exchange(long, ["s:0"]) == {f"s:{number}": long[f"s:{number}"] for number in range(FURTHEST)}


async def test_what_was_not_told_of_for_long_is_forgotten(world: World) -> None:
    await world.short.exchange({"s:old": {"customer": "c"}}, [])
    await world.age("s:old")
    assert await world.short.exchange({"s:new": {"customer": "d"}}, ["s:old", "s:new"]) == {"s:new": {"customer": "d"}}


async def test_thousands_of_facts_in_one_call_are_all_remembered(world: World) -> None:
    many = {f"s:{number}": facts(customer=f"Müller & Söhne {number}", amount=str(number)) for number in range(4_321)}
    assert await world.directory.exchange(many, list(many)) == many


addresses = st.sampled_from(["s:a", "s:b", "s:c", "g:a"])
words = st.text(PRINTABLE, min_size=1, max_size=8) | st.sampled_from(["a", "b", "c", "💶", "x" * LARGEST_FACT_BYTES])
entries = st.dictionaries(
    addresses,
    st.dictionaries(st.sampled_from(["customer", "client_id", "amount", "payment", "charge", "mandate"]), words, max_size=4),
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(calls=st.lists(st.tuples(entries, st.lists(addresses, max_size=3), st.booleans()), max_size=6))
async def test_any_calls_repeated_at_will_give_what_the_last_telling_of_each_fact_says(
    world: World, calls: list[tuple[dict[str, dict[str, str]], list[str], bool]]
) -> None:
    directory, twin, told = world.fresh(), MemoryDirectory(ManualClock(START)), list[tuple[str, dict[str, str]]]()
    for learned, wanted, again in calls:
        told += learned.items()
        if again:
            await directory.exchange(learned, wanted)
        answer = await directory.exchange(learned, wanted)
        assert answer == await twin.exchange(learned, wanted)
        model = merged(told)
        assert all(model[place] == said for place, said in answer.items())
        assert {place for place in wanted if place in model} <= answer.keys()


async def test_while_redis_is_away_the_caller_is_asked_to_try_again() -> None:
    redis = connect_redis(Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"}))
    with pytest.raises(RetryError, match="rapport doctor"):
        await RedisDirectory(redis, Settings()).exchange({"s:a": {"customer": "c"}}, [])
    await redis.aclose()


@pytest.mark.parametrize("value", ["", "x" * (LARGEST_FACT_BYTES + 1), "ü" * LARGEST_FACT_BYTES, "a\nb", "\x00"])
def test_what_is_no_id_amount_or_date_is_not_kept(value: str) -> None:
    assert facts(customer=value, amount="7") == {"amount": "7"}


def test_only_facts_of_the_closed_set_are_kept() -> None:
    with pytest.raises(KeyError, match="email"):
        facts(email="ana@example.com")

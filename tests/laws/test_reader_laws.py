"""The laws of `Readers`, held by the memory twin and the Redis twin alike."""

from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from handlers.channels.readers import WEEK_MS, MemoryReaders, Places, Readers
from handlers.channels.redis_readers import RedisReaders
from models.workdays import DAY_MS, HOUR_MS
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from tests.conftest import Servers

pytestmark = pytest.mark.integration  # the Redis twin needs a server

NOW = 1_772_000_000_000
TWO_A_DAY = Places(per_day=2, per_week=3)
Make = Callable[[Places], Readers]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    if request.param == "memory":
        yield MemoryReaders
        return
    servers: Servers = request.getfixturevalue("servers")
    redis = connect_redis(Settings.model_validate({"redis_url": servers.redis_url}))
    yield lambda places: RedisReaders(redis, prefix=f"laws-{fresh_id()}", places=places)
    await redis.aclose()


async def test_an_address_has_so_many_places_a_day_and_says_when_the_next_is_free(make: Make) -> None:
    readers = make(TWO_A_DAY)
    assert [await readers.reserve("email-a", f"t{hour}", now_ms=NOW + hour * HOUR_MS) for hour in range(2)] == [0, 0]
    assert await readers.reserve("email-a", "t2", now_ms=NOW + 2 * HOUR_MS) == NOW + DAY_MS
    assert await readers.reserve("email-a", "t2", now_ms=NOW + DAY_MS - 1) == NOW + DAY_MS
    assert await readers.reserve("email-a", "t2", now_ms=NOW + DAY_MS) == 0


async def test_and_so_many_a_week(make: Make) -> None:
    readers = make(TWO_A_DAY)
    assert [await readers.reserve("email-a", f"t{day}", now_ms=NOW + day * DAY_MS) for day in range(3)] == [0, 0, 0]
    assert await readers.reserve("email-a", "t3", now_ms=NOW + 3 * DAY_MS) == NOW + WEEK_MS
    assert await readers.reserve("email-a", "t3", now_ms=NOW + WEEK_MS) == 0


async def test_a_message_that_has_a_place_keeps_it_however_often_it_asks(make: Make) -> None:
    readers = make(Places(per_day=1))
    assert [await readers.reserve("email-a", "t", now_ms=NOW + hour) for hour in range(3)] == [0, 0, 0]
    assert await readers.reserve("email-a", "u", now_ms=NOW + 5) == NOW + DAY_MS


async def test_what_did_not_leave_gives_its_place_back_and_nobody_else_s(make: Make) -> None:
    readers = make(Places(per_day=1))
    await readers.reserve("email-a", "t", now_ms=NOW)
    await readers.refund("email-a", "u")
    assert await readers.reserve("email-a", "u", now_ms=NOW) == NOW + DAY_MS
    await readers.refund("email-a", "t")
    await readers.refund("email-a", "t")
    assert await readers.reserve("email-a", "u", now_ms=NOW) == 0


async def test_each_address_has_places_of_its_own(make: Make) -> None:
    readers = make(Places(per_week=1))
    assert [await readers.reserve(f"email-{name}", "t", now_ms=NOW) for name in "abc"] == [0, 0, 0]
    assert await readers.reserve("email-a", "u", now_ms=NOW) == NOW + WEEK_MS


async def test_without_limits_nobody_waits(make: Make) -> None:
    readers = make(Places())
    assert [await readers.reserve("email-a", f"t{number}", now_ms=NOW) for number in range(50)] == [0] * 50
    assert await readers.next_place("email-a", "new", now_ms=NOW) == 0
    await readers.refund("email-a", "t1")


async def test_to_ask_for_the_next_place_takes_none(make: Make) -> None:
    readers = make(Places(per_day=1))
    assert [await readers.next_place("email-a", name, now_ms=NOW) for name in "tut"] == [0, 0, 0]
    await readers.reserve("email-a", "t", now_ms=NOW)
    assert [await readers.next_place("email-a", name, now_ms=NOW + 1) for name in "tu"] == [0, NOW + DAY_MS]


STEP = st.tuples(st.integers(0, 40), st.sampled_from("abcdef"), st.sampled_from(("ask", "ask", "ask", "back")))
STEPS = st.lists(STEP, max_size=25)


@given(steps=STEPS, per_day=st.integers(0, 3), per_week=st.integers(0, 5))
@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_any_asking_is_answered_as_the_memory_twin_answers_it_and_no_span_holds_more_than_its_limit(
    servers: Servers, steps: list[tuple[int, str, str]], per_day: int, per_week: int
) -> None:
    places = Places(per_day=per_day, per_week=per_week)
    redis = connect_redis(Settings.model_validate({"redis_url": servers.redis_url}))
    twins: tuple[Readers, Readers] = (MemoryReaders(places), RedisReaders(redis, prefix=f"laws-{fresh_id()}", places=places))
    now, placed = NOW, dict[str, int]()
    for hours, trigger, what in steps:
        now += hours * HOUR_MS
        if what == "back":
            for twin in twins:
                await twin.refund("email-a", trigger)
            placed.pop(trigger, None)
            continue
        before = [await twin.next_place("email-a", trigger, now_ms=now) for twin in twins]
        one, two = [await twin.reserve("email-a", trigger, now_ms=now) for twin in twins]
        assert before == [one, two] == [one, one]
        assert one == 0 or one > now
        if not one and placed.get(trigger, 0) <= now - max((span for _, span in places.spans), default=0):
            placed[trigger] = now
        for limit, span in places.spans:
            assert sum(at > now - span for at in placed.values()) <= limit
    await redis.aclose()

"""Laws of the fence, held by the scripts in a real Redis and by the twin in memory alike."""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.engine.fence import Birth, Claim, CommitReply, Fence, Held, Loaded, Missing, Moved, Refused, Verdict
from streams.engine.memory_fence import MemoryFence
from streams.engine.redis_fence import RedisFence
from streams.engine.writes import Writes
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.state.gathered import GatheredRedis
from streams.state.keys import PartitionKeys
from streams.state.memory_store import MemoryPartitions, MemoryStateStore
from streams.state.ports import StateStore
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.headers import Position
from tests.conftest import Servers
from tests.streams.engine_examples import SLOT, commit_call, entry

pytestmark = pytest.mark.integration

CLAIM = Claim(generation=3, owner="me")
BIRTH = Birth(next_offset=0, ver="v0", high_water={"triggers.email": Position(7, 2), "decisions": Position(0, 0)})


@dataclass(frozen=True, slots=True)
class World:
    """A fence, a reader of the states behind it, and a way to turn back what is stored."""

    fence: Fence
    store: StateStore
    save: Callable[[], Awaitable[Any]]
    restore: Callable[[Any], Awaitable[None]]


def memory_world() -> World:
    data = MemoryPartitions()

    async def save() -> Any:  # noqa: ANN401 - whatever restore takes
        return copy.deepcopy(data.at(*SLOT))

    async def restore(saved: Any) -> None:  # noqa: ANN401 - what save gave
        partition = data.at(*SLOT)
        kept = copy.deepcopy(saved)
        partition.fence, partition.states, partition.timers, partition.outbox = kept.fence, kept.states, kept.timers, kept.outbox

    return World(MemoryFence(data), MemoryStateStore(data, partitions=1), save, restore)


def redis_world(redis_url: str) -> tuple[World, Callable[[], Awaitable[None]]]:
    own = Settings.model_validate({"redis_url": redis_url, "namespace": fresh_id(), "partitions": 1})
    redis = connect_redis(own, GatheredRedis)
    keys = PartitionKeys.of(own, *SLOT).all()

    async def save() -> Any:  # noqa: ANN401 - whatever restore takes
        return {key: await redis.dump(key) for key in keys}

    async def restore(saved: Any) -> None:  # noqa: ANN401 - what save gave
        for key, blob in saved.items():
            await redis.delete(key)
            if blob is not None:
                await redis.restore(key, 0, blob)

    async def close() -> None:
        await redis.delete(*keys)
        await redis.aclose()

    return World(RedisFence(redis, own), RedisStateStore(redis, own), save, restore), close


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield memory_world()
        return
    servers: Servers = request.getfixturevalue("servers")
    made, close = redis_world(servers.redis_url)
    yield made
    await close()


async def born(world: World) -> Held:
    held = await world.fence.acquire(SLOT, CLAIM, birth=BIRTH)
    assert isinstance(held, Held)
    return held


async def test_a_partition_without_a_fence_is_missing_until_it_is_born(world: World) -> None:
    assert await world.fence.acquire(SLOT, CLAIM) == Missing()
    assert await world.fence.load(SLOT, ["ada"], ver="v0") == Missing()
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1"))).verdict is Verdict.MISSING
    assert await world.fence.position(SLOT) is None
    held = await born(world)
    assert (held.next_offset, held.ver, held.high_water) == (0, "v0", BIRTH.high_water)
    assert await world.fence.acquire(SLOT, CLAIM) == held


async def test_a_commit_is_all_there_and_repeating_it_changes_nothing(world: World) -> None:
    await born(world)
    writes = Writes(
        next_offset=9,
        watermark_ms=1_767_600_000_123,
        states={"Ærø": b"\x00\xff\x80", "ada": b""},
        timers={"Ærø": 1_767_600_000_001, "ada": None},
        outbox=(entry(0), entry(0, 1), entry(8, value=b"\x00\xff")),
    )
    call = commit_call(CLAIM, "v0", 0, "v1", writes)
    head = Position(0, 0)
    expected = CommitReply(
        verdict=Verdict.OK, next_offset=9, ver="v1", outbox_depth=3, next_due_ms=1_767_600_000_001, outbox_head=head
    )
    assert await world.fence.commit(SLOT, call) == expected
    stored = await world.save()
    again = await world.fence.commit(SLOT, call)
    assert again.verdict is Verdict.DUP
    assert (again.next_offset, again.ver) == (9, "v1")
    assert await world.save() == stored
    assert await world.store.read("Ærø") == b"\x00\xff\x80"
    assert await world.store.read("nobody") is None
    assert await world.fence.read_outbox(SLOT, limit=10) == list(writes.outbox)
    assert await world.fence.position(SLOT) == 9


async def test_what_was_read_under_another_version_is_not_answered(world: World) -> None:
    await born(world)
    writes = Writes(next_offset=1, watermark_ms=0, states={"ada": b"1"})
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", writes))
    assert await world.fence.load(SLOT, ["ada"], ver="v0") == Moved(1, "v1")
    assert await world.fence.load(SLOT, ["nobody", "ada"], ver="v1") == Loaded([None, b"1"], [])


async def test_a_regime_is_stored_with_the_position_and_stays_until_another_takes_its_place(world: World) -> None:
    assert (await born(world)).regime == b""
    assert await world.store.regime("ada") == b""
    regime = bytes(range(256)) * 300
    changes = Writes(next_offset=1, watermark_ms=0, regime=regime)
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", changes))).verdict is Verdict.OK
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2"))).verdict is Verdict.OK
    assert (await born(world)).regime == regime
    assert await world.store.regime("ada") == regime
    refused = Writes(next_offset=9, watermark_ms=0, regime=b"other")
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "w1", refused))).verdict is Verdict.AHEAD
    assert (await born(world)).regime == regime


async def test_from_a_moment_on_everybody_is_due_also_who_had_no_timer_and_nobody_later_than_before(world: World) -> None:
    await born(world)
    states = dict.fromkeys(("ada", "bob", "cem", "dee"), b"1")
    writes = Writes(next_offset=1, watermark_ms=0, states=states, timers={"ada": 5, "bob": 50, "dee": 60})
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", writes))
    woken = Writes(next_offset=2, watermark_ms=0, wake_ms=20, timers={"dee": None})
    reply = await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2", woken))
    assert reply.next_due_ms == 5
    found = await world.fence.load(SLOT, [], ver="v2", due_until_ms=20, due_limit=9)
    assert isinstance(found, Loaded)
    assert [client for client, _ in found.due] == ["ada", "bob", "cem"]


async def test_more_clients_than_a_script_may_unpack_are_written_and_read(world: World) -> None:
    await born(world)
    names = [f"client-{number}" for number in range(9_001)]
    writes = Writes(next_offset=1, watermark_ms=0, states={name: name.encode() for name in names}, timers=dict.fromkeys(names, 5))
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", writes))).verdict is Verdict.OK
    loaded = await world.fence.load(SLOT, names, ver="v1", due_until_ms=5, due_limit=9_001)
    assert isinstance(loaded, Loaded)
    assert list(loaded.states) == [name.encode() for name in names]
    assert [name for name, _ in loaded.due] == sorted(names)


async def test_due_clients_come_by_due_time_then_by_name_and_no_more_than_asked_for(world: World) -> None:
    await born(world)
    timers: dict[str, int | None] = {"b": 20, "a": 20, "é": 20, "late": 10, "not yet": 21}
    writes = Writes(next_offset=1, watermark_ms=0, states={"late": b"x"}, timers=timers)
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", writes))
    all_due = await world.fence.load(SLOT, [], ver="v1", due_until_ms=20, due_limit=10)
    assert all_due == Loaded([], [("late", b"x"), ("a", None), ("b", None), ("é", None)])
    two = await world.fence.load(SLOT, [], ver="v1", due_until_ms=20, due_limit=2)
    assert two == Loaded([], [("late", b"x"), ("a", None)])


@pytest.mark.parametrize(
    ("claim", "answer"),
    [
        (Claim(generation=2, owner="me"), "refused"),
        (Claim(generation=3, owner="you"), "refused"),
        (Claim(generation=3, owner="me"), "held"),
        (Claim(generation=4, owner="you"), "held"),
        (Claim(generation=1, owner="you", incarnation=1), "held"),
    ],
)
async def test_the_better_claim_wins_and_the_first_owner_of_a_generation_keeps_it(
    world: World, claim: Claim, answer: str
) -> None:
    await born(world)
    reply = await world.fence.acquire(SLOT, claim)
    assert isinstance(reply, Held if answer == "held" else Refused)
    verdict = (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1"))).verdict
    taken = answer == "held" and claim != CLAIM
    assert verdict is (Verdict.FENCED if taken else Verdict.OK)


async def test_a_higher_incarnation_is_not_beaten_by_any_generation_of_a_lower_one(world: World) -> None:
    await born(world)
    await world.fence.acquire(SLOT, Claim(generation=1, owner="you", incarnation=1))
    assert await world.fence.acquire(SLOT, Claim(generation=99, owner="me")) == Refused(1)


async def test_who_was_superseded_commits_nothing_also_by_the_same_name_and_generation(world: World) -> None:
    await born(world)
    again = Claim(generation=CLAIM.generation, owner=CLAIM.owner, incarnation=CLAIM.incarnation + 1)
    assert isinstance(await world.fence.acquire(SLOT, again), Held)
    stored = await world.save()
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1"))).verdict is Verdict.FENCED
    assert await world.save() == stored
    assert (await world.fence.commit(SLOT, commit_call(again, "v0", 0, "v1"))).verdict is Verdict.OK


async def test_a_commit_that_does_not_fit_what_is_stored_says_how(world: World) -> None:
    await born(world)
    at_0 = await world.save()
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1"))
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "w1"))).verdict is Verdict.AHEAD
    await world.restore(at_0)
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2"))).verdict is Verdict.BEHIND
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "u1"))
    reply = await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2"))
    assert (reply.verdict, reply.next_offset, reply.ver) == (Verdict.FORKED, 1, "u1")


async def test_outputs_wait_when_the_outbox_is_full_and_nothing_of_the_batch_is_written(world: World) -> None:
    await born(world)
    first = Writes(next_offset=1, watermark_ms=0, outbox=(entry(0), entry(0, 1)))
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", first, 2))
    second = Writes(next_offset=2, watermark_ms=0, states={"ada": b"1"}, outbox=(entry(1),))
    full = await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2", second, 2))
    assert (full.verdict, full.next_offset, full.outbox_depth) == (Verdict.BACKPRESSURE, 1, 2)
    assert await world.store.read("ada") is None
    silent = Writes(next_offset=2, watermark_ms=0)
    at_1 = await world.save()
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2", silent, 2))).verdict is Verdict.OK
    await world.restore(at_1)
    assert await world.fence.trim(SLOT, Position(0, 0)) == 1
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v1", 1, "v2", second, 2))).verdict is Verdict.OK
    assert [at.position for at in await world.fence.read_outbox(SLOT, limit=5)] == [Position(0, 1), Position(1, 0)]


async def test_a_birth_clears_what_was_left_behind_without_its_fence(world: World) -> None:
    empty = await world.save()
    await born(world)
    writes = Writes(next_offset=1, watermark_ms=0, states={"ada": b"1"}, timers={"ada": 1}, outbox=(entry(0),))
    await world.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", writes))
    full = await world.save()
    if isinstance(full, dict):
        fence_key = next(key for key in full if key.endswith(":f"))
        await world.restore({**full, fence_key: empty[fence_key]})
    else:
        full.fence = None
        await world.restore(full)
    held = await born(world)
    assert (held.outbox_depth, held.next_due_ms) == (0, None)
    assert await world.store.read("ada") is None


Move: TypeAlias = tuple[str, int, int, int]
_MOVES = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "commit", "commit", "commit", "load", "trim", "outbox", "save", "restore"]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=25,
)


async def play(world: World, moves: list[Move]) -> list[object]:
    """Play `moves` and return every answer."""
    answers: list[object] = []
    saved = await world.save()
    held = CLAIM
    for step, (move, a, b, c) in enumerate(moves):
        claim = Claim(generation=a, owner=f"owner-{c}", incarnation=b // 3)
        match move:
            case "acquire":
                answers.append(await world.fence.acquire(SLOT, claim, birth=BIRTH if b else None))
                held = claim if isinstance(answers[-1], Held) else held
            case "commit":
                writes = Writes(
                    next_offset=b + 1,
                    watermark_ms=step,
                    states={f"c{a}": bytes([step])},
                    timers={f"c{a}": step * 10 if c else None},
                    outbox=(entry(step),) * (c > 1),
                    regime=bytes([255, step]) if a == b else None,
                    wake_ms=step * 7 if a + c == b else None,
                )
                answers.append(
                    await world.fence.commit(SLOT, commit_call(held if a else claim, f"v{b}", b, f"v{b + 1}", writes, 3))
                )
            case "load":
                answers.append(await world.fence.load(SLOT, ["c0", "c1"], ver=f"v{b}", due_until_ms=step * 5, due_limit=2))
            case "trim":
                answers.append(await world.fence.trim(SLOT, Position(step - 1, 0)))
            case "outbox":
                answers.append(await world.fence.read_outbox(SLOT, limit=2))
            case "save":
                saved = await world.save()
            case "restore":
                await world.restore(saved)
    return answers


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=_MOVES)
def test_whatever_is_played_both_twins_give_the_same_answers(servers: Servers, runner: asyncio.Runner, moves: list[Move]) -> None:
    async def compare() -> None:
        real, close = redis_world(servers.redis_url)
        try:
            assert await play(real, moves) == await play(memory_world(), moves)
        finally:
            await close()

    runner.run(compare())

"""Laws of what a person decides about a fence: it happens whole, to what the person saw, and workers notice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from streams.engine.fence import Birth, Claim, Held, Missing, Moved, Refused, Verdict
from streams.engine.log_view import LogView
from streams.engine.redis_fence import RedisFence
from streams.engine.repair import FenceView, Repair
from streams.engine.stage import Bounds
from streams.engine.writes import Writes
from streams.runtime.clock import fresh_id
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.state.gathered import GatheredRedis
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from tests.conftest import Servers
from tests.streams.engine_examples import SLOT, commit_call, entry

pytestmark = pytest.mark.integration

CLAIM = Claim(generation=3, owner="me")
WRITES = Writes(next_offset=5, watermark_ms=0, states={"ada": b"1"}, outbox=(entry(0),))
SEEN = FenceView(slot=SLOT, next_offset=5, generation=3, owner="me", incarnation=0, outbox_depth=1, bounds=Bounds(9, 20))
"""A worker stands at offset 5, and the log begins at 9."""


@dataclass(frozen=True, slots=True)
class World:
    fence: RedisFence
    repair: Repair


@pytest.fixture
async def world(servers: Servers) -> AsyncIterator[World]:
    own = Settings.model_validate({"redis_url": servers.redis_url, "namespace": fresh_id(), "partitions": 1})
    redis = connect_redis(own, GatheredRedis)
    made = World(RedisFence(redis, own), Repair(redis, own, view=LogView(own)))
    assert isinstance(await made.fence.acquire(SLOT, CLAIM, birth=Birth(next_offset=0, ver="v0")), Held)
    assert (await made.fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v5", WRITES))).verdict is Verdict.OK
    yield made
    await redis.delete(*PartitionKeys.of(own, *SLOT).all())
    await redis.aclose()


async def test_an_accepted_loss_moves_the_position_alone_and_under_the_version_before_nothing_is_read_or_written(
    world: World,
) -> None:
    assert await world.repair.accept_loss(SEEN, records=4) == 9
    assert await world.fence.position(SLOT) == 9
    assert isinstance(await world.fence.load(SLOT, ["ada"], ver="v5"), Moved)
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v5", 5, "v6"))).verdict is Verdict.AHEAD
    held = await world.fence.acquire(SLOT, CLAIM)
    assert isinstance(held, Held)
    assert (held.outbox_depth, held.ver != "v5") == (1, True)


@pytest.mark.parametrize("decided", ["accept_loss", "supersede", "rebuild"])
async def test_what_was_decided_about_a_partition_that_moved_meanwhile_does_not_happen(world: World, decided: str) -> None:
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v5", 5, "v6"))).verdict is Verdict.OK
    calls = {
        "accept_loss": lambda: world.repair.accept_loss(SEEN, records=4),
        "supersede": lambda: world.repair.supersede(SEEN),
        "rebuild": lambda: world.repair.rebuild(replace(SEEN, bounds=Bounds(0, 20))),
    }
    with pytest.raises(UsageError, match="moved on while you decided, to offset 6"):
        await calls[decided]()
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v6", 6, "v7"))).verdict is Verdict.OK


async def test_who_is_superseded_may_not_write_and_any_generation_claims_the_new_incarnation(world: World) -> None:
    assert await world.repair.supersede(SEEN) == 1
    assert (await world.fence.commit(SLOT, commit_call(CLAIM, "v5", 5, "v6"))).verdict is Verdict.FENCED
    assert await world.fence.acquire(SLOT, CLAIM) == Refused(1)
    held = await world.fence.acquire(SLOT, Claim(generation=1, owner="another", incarnation=1))
    assert isinstance(held, Held)
    assert (held.next_offset, held.ver) == (5, "v5")


async def test_a_rebuild_forgets_all_and_is_refused_where_the_log_has_lost_its_beginning(world: World) -> None:
    with pytest.raises(UsageError, match="begins at offset 9"):
        await world.repair.rebuild(SEEN)
    assert await world.repair.rebuild(replace(SEEN, bounds=Bounds(0, 20))) == 20
    assert await world.fence.acquire(SLOT, CLAIM) == Missing()
    assert await world.fence.read_outbox(SLOT, limit=9) == []

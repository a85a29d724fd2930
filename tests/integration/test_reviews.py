"""The review of a quarter on real Kafka and Redis, with a driven clock: made once on its day, and open until it was read."""

import asyncio
import json
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from handlers.commands.segments.movers import read_quarter
from handlers.commands.segments.reviewing import Review, StandingReview, kept, make_due
from streams.runtime.clock import ManualClock
from streams.runtime.settings import Settings
from streams.state.redis_reviews import RedisReviews
from streams.state.redis_store import RedisStateStore, connect_redis
from tests.commands import run_rapport
from tests.integration.engine_world import until_caught_up

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SAMPLE = Path(__file__).parents[2] / "handlers" / "commands" / "sample_history.jsonl"


def _moves(environment: dict[str, str]) -> dict[str, object]:
    done = run_rapport(environment, "segments", "movers", "--json")
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


async def _live(settings: Settings, start: datetime, days: int) -> list[Review]:
    """Let two trainers live the same days, the second as after a restart; return the reviews there are then."""
    redis = connect_redis(settings)
    store, reviews = RedisStateStore(redis, settings), RedisReviews(redis, settings)
    try:
        for _ in range(2):
            clock = ManualClock(start)

            async def rest(_: float, clock: ManualClock = clock) -> None:
                if clock.now() >= start + timedelta(days=days):
                    raise asyncio.CancelledError
                clock.advance_to(clock.now() + timedelta(days=1))

            with pytest.raises(asyncio.CancelledError):
                await StandingReview(look=partial(make_due, settings, store, reviews), clock=clock, rest=rest).run()
        return await kept(reviews)
    finally:
        await redis.aclose()


@pytest.mark.usefixtures("worker")
def test_the_review_is_made_once_on_its_day_and_is_open_until_a_person_has_read_it(
    environment: dict[str, str], settings: Settings
) -> None:
    assert run_rapport(environment, "segments", "reviews").returncode == 1
    assert run_rapport(environment, "replay", str(SAMPLE)).returncode == 0
    asyncio.run(until_caught_up(settings, timeout=90))
    found = _moves(environment)
    quarter = read_quarter(str(found["quarter"]))
    rows = asyncio.run(_live(settings, quarter.bounds[1] + timedelta(days=2), days=5))
    (made,) = [row for row in rows if row.quarter == quarter.name]
    assert made.made_at == quarter.bounds[1] + timedelta(days=4)
    assert made.clients > 0
    assert [row.model_dump() for row in made.moved] == [
        {"before": row["from"], "after": row["to"], "clients": row["clients"]}
        for row in _moves(environment)["moves"]  # type: ignore[attr-defined]
    ]
    assert "kessler-print" not in made.model_dump_json()
    assert f"The review of {quarter.name} waits to be read" in run_rapport(environment, "tasks", "list").stdout
    ended = run_rapport(
        environment, "segments", "reviews", quarter.name, "--done", "--author", "Zoë", "--note", "two calls", "--json"
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)[0]["reviewed_by"] == "Zoë"
    assert f"The review of {quarter.name}" not in run_rapport(environment, "tasks", "list").stdout
    again = run_rapport(environment, "segments", "reviews", quarter.name, "--done", "--author", "sam")
    assert "read by Zoë" in again.stdout

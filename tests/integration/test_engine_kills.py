"""Workers that are killed at the worst moments: what is stored and published equals a single-threaded fold of the log."""

from pathlib import Path

import pytest

from streams.engine.failpoints import AFTER_COMMIT, BEFORE_COMMIT, BEFORE_TRIM, IN_SEEK
from streams.runtime.settings import Settings
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, payment, until_caught_up
from tests.streams.counting import CountingProgram

pytestmark = pytest.mark.integration
KILLED = -9


@pytest.mark.parametrize("place", [f"{BEFORE_COMMIT}:9", f"{AFTER_COMMIT}:9", f"{BEFORE_TRIM}:2", f"{IN_SEEK}:5"])
async def test_a_worker_killed_at_the_worst_moment_loses_nothing_and_does_nothing_twice(
    settings: Settings, tmp_path: Path, place: str
) -> None:
    await feed(settings, on_the_log([payment(number) for number in range(2_000)], settings))
    with crew_of(settings, tmp_path) as crew:
        assert crew.start(RAPPORT_FAILPOINT=place).until_dead() == KILLED
        crew.start()
        await until_caught_up(settings)
    await assert_equals_oracle(settings, CountingProgram())

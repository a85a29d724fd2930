"""A few faults on real processes in every run of the tests; all of them run in `make chaos`."""

import pytest

from streams.runtime.settings import Settings
from tests.chaos.matrix import QUICK
from tests.chaos.trial import attempt

pytestmark = pytest.mark.integration


@pytest.mark.timeout(240)
async def test_nothing_is_lost_and_nothing_is_doubled_by_a_little_of_everything(settings: Settings) -> None:
    trial = await attempt(QUICK, settings, seed=7)
    assert trial.events > 0

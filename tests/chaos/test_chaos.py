"""A few faults on real processes in every run of the tests; all of them run in `make chaos`."""

import pytest

from streams.runtime.settings import Settings
from tests.chaos.fault import Fault
from tests.chaos.matrix import FAULTS, QUICK
from tests.chaos.trial import attempt

pytestmark = pytest.mark.integration


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.row in QUICK], ids=lambda fault: fault.name)
async def test_nothing_is_lost_and_nothing_is_doubled_by(fault: Fault, settings: Settings) -> None:
    trial = await attempt(fault, settings, seed=7)
    assert trial.events > 0

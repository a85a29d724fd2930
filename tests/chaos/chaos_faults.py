"""Every fault of the matrix on real processes. `make chaos CHAOS="-k row_11"` runs one; CHAOS_SEEDS chooses seeds: 1,2,3."""

import os
from collections.abc import Iterator

import pytest

from handlers.stack.local import LocalStack
from streams.wire.admin import ensure_topics
from tests.chaos.fault import Fault
from tests.chaos.matrix import FAULTS
from tests.chaos.trial import attempt, record
from tests.conftest import own_settings

pytestmark = pytest.mark.integration
SEEDS = tuple(map(int, os.environ.get("CHAOS_SEEDS", "1,2").split(",")))


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    with LocalStack(brokers=request.param) as started:
        yield started


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("stack", "fault"),
    [pytest.param(fault.brokers, fault, id=f"row_{fault.row}") for fault in sorted(FAULTS, key=lambda fault: fault.brokers)],
    indirect=["stack"],
)
async def test_nothing_is_lost_or_doubled_under(fault: Fault, stack: LocalStack, seed: int) -> None:
    settings = own_settings(stack)
    await ensure_topics(settings)
    trial = await attempt(fault, settings, seed=seed, stack=stack)
    record(trial)
    print(f"\n{trial}")

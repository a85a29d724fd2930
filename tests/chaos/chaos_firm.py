"""The shipped program under faults, on real processes: `make chaos CHAOS="-k row_27s"` runs one row; CHAOS_SEEDS as ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.stack.local import LocalStack
from streams.wire.admin import ensure_topics
from tests.chaos.chaos_faults import SEEDS
from tests.chaos.firm_faults import FIRM_FAULTS, FirmFault
from tests.chaos.firm_trial import FIRM_TRIALS, attempt_firm
from tests.chaos.trial import record
from tests.conftest import own_settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as started:
        yield started


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", FIRM_FAULTS, ids=lambda fault: f"row_{fault.row}")
async def test_a_firm_loses_nothing_and_writes_to_nobody_twice_under(
    fault: FirmFault, stack: LocalStack, seed: int, tmp_path: Path
) -> None:
    settings = own_settings(stack, clock_file=tmp_path / "clock")
    await ensure_topics(settings)
    trial = await attempt_firm(fault, settings, seed=seed, stack=stack)
    record(trial, table=FIRM_TRIALS)
    print(f"\n{trial}")

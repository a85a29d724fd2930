"""Every fault of the matrix on real processes. `make chaos CHAOS="-k row_11"` runs one; CHAOS_SEED chooses the seed."""

import os
from collections.abc import Iterator

import pytest

from handlers.stack.local import LocalStack
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.wire.admin import ensure_topics
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.trial import attempt

pytestmark = pytest.mark.integration
SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as started:
        yield started


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"row_{fault.row}")
async def test_nothing_is_lost_or_doubled_under(fault: Fault, stack: LocalStack) -> None:
    name = f"c{fresh_id()[:8]}"
    settings = Settings(
        kafka_bootstrap=stack.kafka_bootstrap,
        redis_url=stack.redis_url,
        group=name,
        namespace=name,
        topic_prefix=f"{name}.",
        partitions=2,
    )
    await ensure_topics(settings)
    print(f"\n{await attempt(fault, settings, seed=SEED, stack=stack)}")

"""Runs by seed, one after the other on one partition of a real server."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from logging import CRITICAL
from random import Random
from typing import Final

import redis
import structlog

from streams.engine.redis_fence import RedisFence
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from tests.simulator.judge import Mismatch, check_end
from tests.simulator.loop import StepLoop
from tests.simulator.oracle import Oracle
from tests.simulator.program import CountingProgram
from tests.simulator.server import DirectRedis, Server
from tests.simulator.story import Story
from tests.simulator.variants import SHIPPED, Invariant, Variant
from tests.simulator.world import SLOT, World

STEPS: Final = 300


@dataclass(frozen=True, slots=True)
class Run:
    """What one seed came to; `story` is a digest of everything that happened, in order."""

    seed: int
    records: int
    faults: Counter[str]
    mismatches: list[Mismatch]
    story: str


@dataclass(slots=True)
class Tally:
    """What many seeds came to."""

    seeds: int = 0
    steps: int = 0
    records: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[Run] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Count `run`."""
        self.seeds += 1
        self.steps += STEPS
        self.records += run.records
        self.faults += run.faults
        if run.mismatches:
            self.failed.append(run)

    def merge(self, other: "Tally") -> None:
        """Count all that `other` counted."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.records += other.records
        self.faults += other.faults
        self.failed += other.failed

    @property
    def caught_by(self) -> frozenset[Invariant]:
        """The invariants that did not hold in some run."""
        return frozenset(mismatch.invariant for run in self.failed for mismatch in run.mismatches)


class Simulator:
    """Runs stories on the server at a URL, under a namespace of its own."""

    def __init__(self, redis_url: str, *, namespace: str, variant: Variant = SHIPPED) -> None:
        """Connect to `redis_url` and simulate `variant`."""
        self._wire = redis.Redis.from_url(redis_url, single_connection_client=True)
        self._settings = Settings(
            redis_url=redis_url,
            namespace=namespace,
            partitions=1,
            batch_records=6,
            lane_records=24,
            outbox_limit=30,
            cached_states=2,  # so few that most batches load something
        )
        self._variant = variant
        self._program = CountingProgram()
        # One for all processes: it keeps nothing but the scripts.
        self._fence = RedisFence(DirectRedis(self._wire, mutate=variant.mutate), self._settings)

    def run(self, seed: int) -> Run:
        """Tell the story of `seed` and judge it."""
        server = Server(self._wire, PartitionKeys.of(self._settings, SLOT.topic, SLOT.partition))
        server.lose_everything()
        world = World(StepLoop(), server, Random(seed))
        oracle = Oracle(self._program, partitions=1)
        with quiet_logs():
            story = Story(world, variant=self._variant, fence=self._fence, settings=self._settings, oracle=oracle)
            for _ in range(STEPS):
                story.step()
                if story.mismatches:
                    break
            else:
                story.rest()
                story.mismatches += check_end(world, oracle, self._variant)
            story.end()
        digest = blake2b("\n".join(world.story).encode(), digest_size=16).hexdigest()
        return Run(seed, len(world.log), world.faults, story.mismatches, digest)

    def run_all(self, seeds: Iterable[int]) -> Tally:
        """Run `seeds`."""
        tally = Tally()
        for seed in seeds:
            tally.add(self.run(seed))
        return tally

    def close(self) -> None:
        """Delete what is stored and disconnect."""
        Server(self._wire, PartitionKeys.of(self._settings, SLOT.topic, SLOT.partition)).lose_everything()
        self._wire.close()


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Write no logs: a simulated fault is no news, and thousands of lines a second are slow."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL), cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)

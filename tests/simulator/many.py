"""Many seeds, on several cores."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from streams.runtime.clock import fresh_id
from tests.simulator.run import Simulator, Tally
from tests.simulator.variants import SHIPPED, VARIANTS, Variant

_SHOWN: Final = 5


def run_many(redis_url: str, seeds: Sequence[int], *, jobs: int = 2, variant: Variant = SHIPPED) -> Tally:
    """Run `seeds` of `variant` in `jobs` processes against one server, each on keys of its own."""
    shares = [share for share in (seeds[job::jobs] for job in range(jobs)) if share]
    tally = Tally()
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        for part in pool.map(_run_share, [redis_url] * len(shares), shares, [variant.name] * len(shares)):
            tally.merge(part)
    return tally


def _run_share(redis_url: str, seeds: Sequence[int], variant: str) -> Tally:
    simulator = Simulator(redis_url, namespace=f"sim{fresh_id()[:10]}", variant=VARIANTS[variant])
    try:
        return simulator.run_all(seeds)
    finally:
        simulator.close()


def report(tally: Tally, *, variant: Variant, seconds: float) -> str:
    """Return what came out, for people."""
    faults = ", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items()))
    caught = ", ".join(sorted(tally.caught_by)) or "none"
    lines = [
        f"{variant.name}: {tally.seeds} seeds, {tally.steps} steps, {tally.records} records",
        f"  {tally.faults.total()} faults, {len(tally.failed)} mismatches, {seconds:.0f} s",
        f"  faults: {faults}",
        f"  invariants broken: {caught}",
    ]
    for run in tally.failed[:_SHOWN]:
        lines += [f"  seed {run.seed}: {mismatch.invariant} {mismatch.detail}" for mismatch in run.mismatches]
    return "\n".join(lines)

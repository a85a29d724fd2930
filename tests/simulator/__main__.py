"""`python -m tests.simulator --seeds 5000`: many stories on a server of its own, or on the one that REDIS_URL names."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from streams.runtime.clock import monotonic
from tests.simulator.many import report, run_many
from tests.simulator.run import STEPS
from tests.simulator.valkey import lone_valkey
from tests.simulator.variants import EXTRAS, SHIPPED, VARIANTS, Variant


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many stories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at the same time")
    parser.add_argument("--variant", default=SHIPPED.name, choices=sorted(VARIANTS), help="what to simulate")
    parser.add_argument("--all", action="store_true", help="every variant, one after the other")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace) -> Iterator[Variant]:
    yield from VARIANTS.values() if arguments.all else [VARIANTS[arguments.variant]]


def main() -> int:
    """Run and print; the exit code is 1 when the design failed or a mutant was not caught."""
    arguments = _arguments()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    good = True
    with ExitStack() as stack:
        url = os.environ.get("REDIS_URL") or stack.enter_context(lone_valkey())
        for variant in _chosen(arguments):
            started = monotonic()
            tally = run_many(url, seeds, jobs=arguments.jobs, variant=variant)
            print(report(tally, variant=variant, seconds=monotonic() - started), flush=True)
            good &= variant.caught_by <= tally.caught_by if variant.caught_by else not tally.failed or variant in EXTRAS
    print(f"{STEPS} steps each; the same seed tells the same story")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

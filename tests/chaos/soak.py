"""`make soak`: half an hour of random faults under load, then the audit; memory, files, threads and tasks before and after."""

import argparse
import asyncio
import os
import re
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from handlers.stack.local import LocalStack
from streams.runtime.clock import monotonic
from streams.wire.admin import ensure_topics
from tests.chaos.audit import audit
from tests.chaos.matrix import FAULTS
from tests.chaos.site import Site, site_of
from tests.chaos.trial import artefacts, commit
from tests.conftest import own_settings
from tests.integration.engine_world import Worker
from tests.waiting import pause, until_async

_LEFT_OUT = frozenset({"4", "6", "8", "9", "18", "19", "28", "31"})
"""Rows that stop every worker, though one has to live through it all to be measured, and those that take minutes."""


_RING = 500
"""Ids that the counting program remembers per client: more than a minute of the load, where a fault repeats seconds. With all
of them, what grows would be the test's own memory."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process uses: resident memory in MiB, open files, threads; chaos' workers tell their tasks and heap too."""

    memory: int
    files: int
    threads: int
    tasks: int | None = None
    heap: str = ""

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Read it from /proc."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(status["VmRSS"].split()[0]) // 1024, files, int(status["Threads"]))


async def usage_of(worker: Worker) -> Usage:
    """Return what `worker` uses, its asyncio tasks included."""
    told = re.compile(r"asyncio tasks: (\d+); (.+)")
    before = len(told.findall(worker.log.read_text(errors="replace")))
    os.kill(worker.process.pid, signal.SIGHUP)
    await until_async(lambda: len(told.findall(worker.log.read_text(errors="replace"))) > before, what="the number of tasks")
    tasks, heap = told.findall(worker.log.read_text(errors="replace"))[-1]
    return replace(Usage.of(worker.process.pid), tasks=int(tasks), heap=heap)


class Sheltered:
    """A site whose oldest worker no fault may pick."""

    def __init__(self, site: Site, keep: Worker) -> None:
        """Shelter `keep`."""
        self._site = site
        self._keep = keep

    def __getattr__(self, name: str) -> object:
        return getattr(self._site, name)

    def living(self) -> list[Worker]:
        """Return the workers that live and may be picked."""
        others = [worker for worker in self._site.living() if worker is not self._keep]
        return others or [self._site.start()]


@dataclass(frozen=True, slots=True)
class Soaked:
    """How many faults there were, the seconds until rest after the last, and what the sheltered worker used before and after."""

    faults: int
    recovery: float
    before: Usage
    after: Usage


async def soak(site: Site, *, minutes: float, within: float, dice: Random) -> Soaked:
    """Let faults happen for `minutes`, and all come to rest `within` so many seconds."""
    keep = site.crew.workers[0]
    shelter: Site = Sheltered(site, keep)  # type: ignore[assignment] # it is one in all that faults use
    faults = [fault for fault in FAULTS if fault.row not in _LEFT_OUT and fault.plain]
    deadline = monotonic() + minutes * 60
    count = 0
    async with site.under_load():
        await pause(10)
        before = await usage_of(keep)
        while monotonic() < deadline:
            fault = dice.choice(faults)
            print(
                f"{(deadline - monotonic()) / 60:5.1f} min left, row {fault.row}: {fault.name}; {Usage.of(keep.process.pid)}",
                flush=True,
            )
            await fault.inject(shelter)
            await pause(dice.uniform(1, 5))
            site.mind()
            count += 1
    recovery = await site.recover(within=within)
    await pause(5)
    return Soaked(count, recovery, before, await usage_of(keep))


async def _run(stack: LocalStack, *, minutes: float, within: float, seed: int) -> int:
    settings = own_settings(stack, partitions=4)
    await ensure_topics(settings)
    folder = artefacts() / f"soak-{seed}"
    with site_of(settings, folder=folder, seed=seed, stack=stack, environment={"CHAOS_RING": str(_RING)}) as site:
        soaked = await soak(site, minutes=minutes, within=within, dice=Random(seed))
        found = await audit(site.settings, site.load, ring=_RING)
    told = (
        f"seed {seed}, commit {commit()}: {soaked.faults} faults in {minutes:g} min, at rest {soaked.recovery:.0f} s later,"
        f" {found}\n"
        f"before: {soaked.before}\nafter:  {soaked.after}\n"
    )
    (folder / "told.txt").write_text(told, encoding="utf-8")
    print(told)
    return int((found.lost, found.doubled) != (0, 0))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--within", type=float, default=900.0, help="seconds to come to rest: the last fault may make all be folded again"
    )
    arguments = parser.parse_args()
    # Its workers outlive a soak that is ended without a word; one in the background of a shell is born deaf to Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with LocalStack() as stack:
        return asyncio.run(_run(stack, minutes=arguments.minutes, within=arguments.within, seed=arguments.seed))


if __name__ == "__main__":
    sys.exit(main())

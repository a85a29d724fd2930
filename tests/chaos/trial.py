"""One trial: a site, a fault under load, recovery, and the audit."""

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import run
from typing import TYPE_CHECKING

from handlers.stack.folders import cache_folder
from handlers.stack.local import LocalStack
from streams.runtime.settings import Settings
from tests.chaos.audit import audit
from tests.chaos.fault import Fault
from tests.chaos.sentinels import trio_of
from tests.chaos.site import site_of
from tests.conftest import REPOSITORY
from tests.waiting import pause

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TRIALS = "trials.jsonl"
_TOLD = "trial.json"
_GIT = (("rev-parse", "--short=9", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "--", ":!docs"))
_BEFORE_SECONDS = 1.5
_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What a fault did: nothing, if all is well. `recovery` in seconds from the end of fault and load to caught up.

    `signs` counts what workers logged of it, see `Fault`; `longest_pause` is for how many seconds nothing was folded, where that
    was measured. `commit` is that of the code that ran, see `commit`.
    """

    row: str
    fault: str
    seed: int
    events: int
    records: int
    lost: int
    doubled: int
    recovery: float
    commit: str
    signs: int | None = None
    longest_pause: float | None = None


def artefacts() -> Path:
    """Return the folder where logs and results are kept."""
    folder = cache_folder() / "chaos"
    folder.mkdir(exist_ok=True)
    return folder


def row_folder(row: str, seed: int) -> Path:
    """Return a folder for the logs of a trial, without those of an earlier one: what they say is no sign of this one."""
    folder = artefacts() / f"row-{row}-seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.log"), folder / _TOLD):
        old.unlink(missing_ok=True)
    return folder


async def attempt(fault: Fault, settings: Settings, *, seed: int, stack: LocalStack | None = None) -> Trial:
    """Try `fault`; AssertionError names what did not hold, the logs lie in the artefacts."""
    folder = row_folder(fault.row, seed)
    with ExitStack() as stacked:
        trio = stacked.enter_context(trio_of(folder)) if fault.sentinel else None
        if trio is not None:
            settings = settings.model_copy(update={"redis_url": trio.url})
        site = stacked.enter_context(
            site_of(settings, folder=folder, seed=seed, stack=stack, mix=fault.mix, environment=fault.environment, trio=trio)
        )
        site.sign = fault.sign
        async with site.under_load():
            await pause(_BEFORE_SECONDS)
            await fault.inject(site)
            await pause(_AFTER_SECONDS)
        recovery = await site.recover()
        found = await audit(settings, site.load, program=fault.program, given_up=site.given_up)
        if fault.proof is not None:
            await fault.proof(site)
    figures = (found.events, found.records, found.lost, found.doubled, round(recovery, 1))
    signs = site.signs() if fault.sign else None
    idle = round(site.longest_pause, 1) or None
    trial = Trial(fault.row, fault.name, seed, *figures, commit=commit(), signs=signs, longest_pause=idle)
    keep(trial, folder)
    assert (found.lost, found.doubled) == (0, 0), trial
    assert signs != 0, f"no worker noticed the fault, so the trial proves nothing: none of {fault.sign!r} in {folder}"
    return trial


def commit() -> str:
    """Return the short hash of the commit of this tree, with a plus sign where it was changed since."""
    told = [run(["git", *command], cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout for command in _GIT]
    return told[0].strip() + "+" * bool(told[1].strip())


def keep(trial: "DataclassInstance", folder: Path) -> None:
    """Put `trial` beside its logs."""
    (folder / _TOLD).write_text(json.dumps(asdict(trial)), encoding="utf-8")


def record(trial: "DataclassInstance", *, table: str = TRIALS) -> None:
    """Add `trial` to those of the next `table`."""
    with (artefacts() / table).open("a", encoding="utf-8") as rows:
        rows.write(json.dumps(asdict(trial)) + "\n")

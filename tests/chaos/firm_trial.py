"""One trial of the shipped program: a firm's days, a fault in some of them, and the proof."""

import asyncio
from dataclasses import dataclass
from signal import SIGKILL

from handlers.demo.firm import FirmYear, firm_year
from handlers.stack.local import LocalStack
from streams.runtime.settings import Settings
from tests.chaos.firm import Firm, firm_of
from tests.chaos.firm_faults import FirmFault
from tests.chaos.firm_proof import prove, until_learned
from tests.chaos.site import count_signs
from tests.chaos.trial import commit, keep, row_folder

DAYS = 60
FIRM_TRIALS = "firm-trials.jsonl"


@dataclass(frozen=True, slots=True)
class FirmTrial:
    """What a fault did to a firm. `recovery`: seconds of the slowest day, from its last webhook until nothing was left to do."""

    row: str
    fault: str
    seed: int
    webhooks: int
    records: int
    outputs: int
    mails: int
    again: int
    ambiguous: int
    versions: int
    recovery: float
    commit: str
    signs: int | None = None


async def attempt_firm(fault: FirmFault, settings: Settings, *, seed: int, stack: LocalStack, days: int = DAYS) -> FirmTrial:
    """Try `fault`; an error names what did not hold, the logs lie in the artefacts."""
    folder = row_folder(fault.row, seed)
    year = firm_year(seed=seed, days=days)
    async with firm_of(settings, year, folder=folder, seed=seed, stack=stack) as firm:
        await _live(firm, year, fault)
        desk = await until_learned(settings)
        await firm.finish()
        proven = await prove(firm, desk)
    assert all(worker.process.returncode == -SIGKILL for worker in firm.primed), "a process never came to its bad moment"
    assert proven.ambiguous <= fault.ambiguous, proven
    assert proven.mails > 0, "nothing was mailed, so the trial proves little"
    assert proven.snapshots > 0, "nothing was learned, so the trial proves little"
    signs = count_signs(fault.sign, folder) if fault.sign else None
    figures = (firm.posts, proven.records, proven.outputs, proven.mails, proven.again, proven.ambiguous, proven.snapshots)
    trial = FirmTrial(fault.row, fault.name, seed, *figures, round(firm.slowest, 1), commit(), signs)
    keep(trial, folder)
    assert signs != 0, f"no process noticed the fault, so the trial proves nothing: none of {fault.sign!r} in {folder}"
    return trial


async def _live(firm: Firm, year: FirmYear, fault: FirmFault) -> None:
    for day, (now, webhooks) in enumerate(year.moments()):
        firm.open_day(now)
        happening = fault.days.get(day)
        trouble = None if happening is None else asyncio.create_task(happening(firm))
        await firm.post(webhooks)
        if trouble is not None:
            await trouble
        await firm.rest()

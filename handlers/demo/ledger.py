"""Adopting a receivables book after the year: replayed through the public topics, it must build states and send nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from handlers.demo.backlog import Backlogs
from handlers.demo.crew import Crew, DemoError
from handlers.demo.live import Stage
from models.events.envelope import epoch_ms

_PATIENCE_SECONDS: Final = 120.0
_TOTALS: Final = re.compile(r"^  (?P<totals>[A-Z]{3}: .*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Adopted:
    """The book that was adopted, and its totals as `rapport import --dry-run` gives them."""

    name: str
    totals: tuple[str, ...]


async def read_plan(ledger: Path, *, crew: Crew) -> tuple[str, ...]:
    """Return the totals of the book at `ledger`, one line per currency, read without sending anything."""
    return tuple(_TOTALS.findall(await crew.run("import", str(ledger), "--dry-run")))


async def adopt(ledger: Path, *, crew: Crew, backlogs: Backlogs, now: datetime, mails: Sequence[object], stage: Stage) -> None:
    """Replay the book at `ledger` and return when it is folded; raise DemoError when a mail leaves."""
    stage.say(f"adopting the receivables book {ledger} through the public topics ...")
    before = len(mails)
    await crew.run("replay", str(ledger), "--format", "csv")
    stage.say("the book is sent; waiting until it is folded ...")
    await backlogs.settle(now_ms=epoch_ms(now), patience_seconds=_PATIENCE_SECONDS)
    if len(mails) != before:
        message = f"{len(mails) - before} mails left while an old book was adopted; none should"
        raise DemoError(message)

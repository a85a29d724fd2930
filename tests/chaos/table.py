"""Puts what the trials came to into docs/chaos.md: `python -m tests.chaos.table`. Rows without a new trial stay as they are."""

import json
from collections.abc import Iterable
from typing import Any, Final

from tests.chaos.firm_faults import FIRM_FAULTS
from tests.chaos.firm_trial import FIRM_TRIALS
from tests.chaos.matrix import FAULTS
from tests.chaos.trial import TRIALS, artefacts
from tests.conftest import REPOSITORY

_PAGE: Final = REPOSITORY / "docs" / "chaos.md"
_LETTERS: Final = "abcs"
_HEAD: Final = "| row | fault | runs | seeds | events | signs | lost | doubled | recovery | commit |"
_RULE: Final = "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |"
_FIRM_HEAD: Final = "| row | fault | runs | webhooks | outputs | mails | again | ambiguous | versions | slowest | commit |"
_FIRM_RULE: Final = "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"


def rows(trials: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return one line of the table per row that has trials: sums, and the longest recovery."""
    names = {fault.row: fault.name for fault in FAULTS}
    return {row: _line(row, names[row], found) for row, found in _by_row(trials).items() if row in names}


def firm_rows(trials: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the same of the shipped program."""
    names = {fault.row: fault.name for fault in FIRM_FAULTS}
    return {row: _firm_line(row, names[row], found) for row, found in _by_row(trials).items() if row in names}


def _by_row(trials: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    by_row: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        by_row.setdefault(trial["row"], []).append(trial)
    return by_row


def _line(row: str, name: str, found: list[dict[str, Any]]) -> str:
    seeds = ", ".join(map(str, sorted({trial["seed"] for trial in found})))
    events, lost, doubled = (sum(trial[field] for trial in found) for field in ("events", "lost", "doubled"))
    recovery = max(trial["recovery"] for trial in found)
    noticed = [trial["signs"] for trial in found if trial.get("signs") is not None]
    signs = f"{sum(noticed):,}" if noticed else ""
    pause = max((trial.get("longest_pause") or 0.0 for trial in found), default=0.0)
    name += f"; nothing was folded for {pause:.1f} s at the longest" if pause else ""
    told = f"{events:,} | {signs} | {lost} | {doubled} | {recovery:.1f}"
    return f"| {row} | {name} | {len(found)} | {seeds} | {told} | {_commits(found)} |"


def _firm_line(row: str, name: str, found: list[dict[str, Any]]) -> str:
    sums = [sum(trial[field] for trial in found) for field in ("webhooks", "outputs", "mails", "again", "ambiguous", "versions")]
    told = " | ".join(f"{count:,}" for count in sums)
    return f"| {row} | {name} | {len(found)} | {told} | {max(trial['recovery'] for trial in found):.1f} | {_commits(found)} |"


def _commits(found: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({trial["commit"] for trial in found}))


def renewed(page: str, lines: dict[str, str], *, head: str = _HEAD, rule: str = _RULE) -> str:
    """Return `page` with the table under `head` renewed by `lines`, in the order of the matrix."""
    before, _, rest = page.partition(head)
    table, _, after = rest.partition("\n\n")
    known = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ") and line != rule}
    known |= lines
    wanted = {fault.row for fault in (*FAULTS, *FIRM_FAULTS)}
    order = sorted(known.keys() & wanted, key=lambda row: (int(row.rstrip(_LETTERS)), row))
    return "\n".join((before + head, rule, *(known[row] for row in order))) + "\n\n" + after


def main() -> None:
    """Write both tables."""
    page = _PAGE.read_text(encoding="utf-8")
    trials, firms = _fresh(TRIALS), _fresh(FIRM_TRIALS)
    lines, of_firms = rows(trials), firm_rows(firms)
    page = renewed(renewed(page, lines), of_firms, head=_FIRM_HEAD, rule=_FIRM_RULE)
    _PAGE.write_text(page, encoding="utf-8")
    told = len(lines) + len(of_firms)
    print(f"{told} rows of {len(trials) + len(firms)} trials are in {_PAGE.relative_to(REPOSITORY)}")


def _fresh(name: str) -> list[dict[str, Any]]:
    """Return the trials since the last table, and put them aside: the next table is of the next trials."""
    fresh = artefacts() / name
    trials = [json.loads(line) for line in fresh.read_text(encoding="utf-8").splitlines()] if fresh.exists() else []
    if trials:
        fresh.replace(artefacts() / f"told-{fresh.stat().st_mtime_ns}.jsonl")
    return trials


if __name__ == "__main__":
    main()

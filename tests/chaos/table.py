"""Puts what the trials came to into docs/chaos.md: `python -m tests.chaos.table`. Rows without a new trial stay as they are."""

import json
from collections.abc import Iterable
from typing import Any, Final

from tests.chaos.matrix import FAULTS
from tests.chaos.trial import TRIALS, artefacts
from tests.conftest import REPOSITORY

_PAGE: Final = REPOSITORY / "docs" / "chaos.md"
_HEAD: Final = "| row | fault | runs | seeds | events | signs | lost | doubled | recovery | commit |"
_RULE: Final = "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |"


def rows(trials: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return one line of the table per row that has trials: sums, and the longest recovery."""
    by_row: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        by_row.setdefault(trial["row"], []).append(trial)
    names = {fault.row: fault.name for fault in FAULTS}
    return {row: _line(row, names[row], found) for row, found in by_row.items() if row in names}


def _line(row: str, name: str, found: list[dict[str, Any]]) -> str:
    seeds = ", ".join(map(str, sorted({trial["seed"] for trial in found})))
    events, lost, doubled = (sum(trial[field] for trial in found) for field in ("events", "lost", "doubled"))
    recovery = max(trial["recovery"] for trial in found)
    commits = ", ".join(sorted({trial["commit"] for trial in found}))
    noticed = [trial["signs"] for trial in found if trial.get("signs") is not None]
    signs = f"{sum(noticed):,}" if noticed else ""
    return f"| {row} | {name} | {len(found)} | {seeds} | {events:,} | {signs} | {lost} | {doubled} | {recovery:.1f} | {commits} |"


def renewed(page: str, lines: dict[str, str]) -> str:
    """Return `page` with its table renewed by `lines`, in the order of the matrix."""
    before, _, rest = page.partition(_HEAD)
    table, _, after = rest.partition("\n\n")
    known = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ") and line != _RULE}
    known |= lines
    order = sorted((fault.row for fault in FAULTS if fault.row in known), key=lambda row: (int(row.rstrip("bc")), row))
    return "\n".join((before + _HEAD, _RULE, *(known[row] for row in order))) + "\n\n" + after


def main() -> None:
    """Write the table."""
    fresh = artefacts() / TRIALS
    trials = [json.loads(line) for line in fresh.read_text(encoding="utf-8").splitlines()] if fresh.exists() else []
    lines = rows(trials)
    _PAGE.write_text(renewed(_PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    if trials:
        fresh.replace(artefacts() / f"told-{fresh.stat().st_mtime_ns}.jsonl")  # the next table is of the next trials
    print(f"{len(lines)} rows of {len(trials)} trials are in {_PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()

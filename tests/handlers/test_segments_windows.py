"""`rapport segments windows`: when clients seem to decide, from a whole history."""

import json
from datetime import date
from pathlib import Path

import pytest

from handlers.cli import run
from handlers.commands.history import write_contracts
from models.events.union import AnyClientEvent
from tests.models.builders import START, Events


def test_the_command_proposes_from_a_whole_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seasonal, steady = Events("seasonal"), Events("steady")
    log: list[AnyClientEvent] = [seasonal.profiled(0), steady.profiled(0)]
    for year in range(1, 4):
        for month in (3, 9):
            at = (date(2024 + year - 1, month, 10) - START.date()).days
            log += [seasonal.paid(at, f"P{at}", 1_000, None)]
    log += [steady.paid(25 * place + 5, f"Q{place}", 1_000, None) for place in range(40)]
    log.append(seasonal.called(1_100))
    kept = [row.model_copy(update={"event_id": f"{row.client_id}-{row.event_id}"}) for row in log]
    book = tmp_path / "history.jsonl"
    write_contracts(sorted(kept, key=lambda row: row.received_ms), book)
    assert run(["segments", "windows", str(book), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["client_id"], row["window"]) == ("seasonal", "03-01..03-31,09-01..09-30")
    assert run(["segments", "windows", str(book)]) == 0
    assert "by chance" in capsys.readouterr().out

"""`rapport learners budget`: what contracts leave, from a history."""

import json
from pathlib import Path

import pytest

from handlers.cli import run
from handlers.commands.history import write_contracts
from models.events.union import AnyClientEvent
from tests.models.builders import Events, eur, on


def contracts(clients: int) -> list[AnyClientEvent]:
    """Return clients with a contract of a hundred a quarter that is renewed three times."""
    log: list[AnyClientEvent] = []
    for number in range(clients):
        build = Events(f"client-{number}")
        own: list[AnyClientEvent] = [build.profiled(0)]
        for quarter in range(4):
            told = build.contract(1 + 91 * quarter, renews=91 * (quarter + 1))
            own.append(told.model_copy(update={"amount": eur(30_000), "started_at": on(0)}))
        own.append(build.called(500))
        log += [event.model_copy(update={"event_id": f"{number}-{event.event_id}"}) for event in own]
    return sorted(log, key=lambda event: event.received_ms)


def test_a_history_with_contracts_is_told_per_group_with_its_definitions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "history.jsonl"
    write_contracts(contracts(3), book)
    assert run(["learners", "budget", str(book), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["definitions"] == "value-1"
    groups = {row["group"]: row for row in told["groups"]}
    assert {"firm", "type:retainer"} <= groups.keys()
    assert groups["firm"]["contracts"] == 3
    assert groups["firm"]["low"] <= groups["firm"]["expected"] <= groups["firm"]["high"]
    assert run(["learners", "budget", str(book)]) == 0
    assert "type:retainer (EUR): no shift; too little to say: 3 contracts" in capsys.readouterr().out
    write_contracts([Events().profiled(0), Events().called(5)], book)
    assert run(["learners", "budget", str(book)]) == 1
    assert "no renewal is answered yet" in capsys.readouterr().out

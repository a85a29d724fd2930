"""What workers refuse to fold, simulations and back-tests refuse too: one rule, and the same states come of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from handlers.cli import run
from handlers.commands.history import write_contracts
from handlers.commands.segments.living import Living
from handlers.commands.simulation import Simulation
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.closing import OPEN_INVOICES
from models.state.refusing import LEAST_ABSURD
from models.transition import Disposition
from streams.agents.readers import INTAKE_READERS
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.program import ClientProgram
from streams.wire.dead_letters import Reason
from streams.wire.topics import DEAD_LETTERS
from tests.models.builders import Events, on


def too_much() -> list[AnyClientEvent]:
    """Return what is told of a client with more open invoices than are kept, and of one with a sum that nobody owes."""
    build, other = Events(), Events("client-2")
    bills = [build.issued(1 + number / 300, f"I{number}", 10_000, due=90) for number in range(OPEN_INVOICES + 3)]
    return [build.profiled(0), *bills, other.issued(2, "H", LEAST_ABSURD, due=90), build.paid(3, "P", 10_000, "I0")]


def worker_s(story: Sequence[AnyClientEvent]) -> MemoryPipeline[ClientState]:
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    for event in story:
        pipeline.tell(event)
    return pipeline


def test_a_simulation_and_a_back_test_refuse_what_a_worker_makes_a_dead_letter_of() -> None:
    story = too_much()
    pipeline, simulation = worker_s(story), Simulation()
    letters = [dict(entry.headers)["reason"].decode() for entry in pipeline.entries if entry.topic == DEAD_LETTERS.name]
    assert letters == [Reason.NO_PLACE] * 3 + [Reason.BAD_SCHEMA]
    told = [row for event in story for row in simulation.feed(event)]
    refused = [row for row in told if row.disposition is Disposition.REFUSED]
    assert [row.refusal.partition(":")[0] for row in refused] == ["invoice_id"] * 3 + ["amount"]
    living = Living(DEFAULT_POLICY).live(story)
    assert simulation.states.keys() == living.states.keys() == pipeline.states.keys() == {"client-1"}
    ledgers = [states["client-1"].ledger for states in (pipeline.states, simulation.states, living.states)]
    assert ledgers == [ledgers[0]] * 3


def test_simulate_says_what_is_refused_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "history.jsonl"
    write_contracts(too_much(), file)
    assert run(["simulate", str(file)]) == 0
    said = capsys.readouterr().out
    assert "refused (a worker makes a dead letter of it): invoice_id: 200 invoices of this client are open" in said
    assert "Refused, as workers make dead letters of them: 4" in said

import asyncio
import json
import re
from pathlib import Path

import pytest

from models.triggers import Decision
from streams.runtime.settings import Settings
from streams.wire.reading import read_topic
from streams.wire.topics import DECISIONS
from tests.commands import run_rapport
from tests.integration.engine_world import until_caught_up

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SAMPLE = Path(__file__).parents[2] / "handlers" / "commands" / "sample_history.jsonl"
BOOK = "Customer,Invoice,Invoice Date,Due Date,Amount,Paid On\n" + "".join(
    f"C-{client},I-{client}-{number},2024-0{number}-01,2024-0{number}-15,{100 + number}.50,2024-0{number}-{14 + client}\n"
    for client in range(1, 6)
    for number in range(1, 7)
)


def _client(environment: dict[str, str], client_id: str) -> dict[str, object]:
    done = run_rapport(environment, "inspect", "client", client_id, "--json", "--decisions", "50")
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


@pytest.mark.usefixtures("worker")
def test_a_history_replayed_twice_is_known_once_and_a_client_is_explained_with_what_was_not_sent(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    assert run_rapport(environment, "replay", str(SAMPLE)).returncode == 0
    asyncio.run(until_caught_up(settings))
    explained = _client(environment, "kessler-print")
    assert explained["exposure"] == []
    assert _lag(environment) == 0
    assert explained["name"] == "Kessler Print GmbH"
    assert explained["segment"] in {"slow", "problem"}
    assert (explained["hour"], explained["favourable"]) == (None, [])
    decisions = explained["decisions"]
    assert isinstance(decisions, list)
    assert {"triggered", "suppressed"} <= {decision["outcome"] for decision in decisions}
    assert run_rapport(environment, "replay", str(SAMPLE), "--rate", "500").returncode == 0
    asyncio.run(until_caught_up(settings))
    assert _lag(environment) == 0
    assert _client(environment, "kessler-print") == explained
    trigger_id = next(decision["trigger_id"] for decision in decisions if decision["outcome"] == "triggered")
    told = run_rapport(environment, "inspect", "trigger", trigger_id)
    assert told.returncode == 0
    assert trigger_id in told.stdout
    assert "SEND" in told.stdout
    assert re.search(r"stations: received 20\d\d-.*, logged .* ms\), .*published .* ms\)", told.stdout)
    moved = run_rapport(environment, "segments", "movers", "--json")
    assert moved.returncode == 0, moved.stderr
    assert "kessler-print" in {row["client_id"] for row in json.loads(moved.stdout)["clients"]}
    scored = run_rapport(environment, "overrides", "report", "--json")
    assert scored.returncode == 0, scored.stderr
    assert [row["client_id"] for row in json.loads(scored.stdout)["overrides"]] == ["tiny-press"]
    _log_as_a_file(environment, settings, tmp_path)


def _log_as_a_file(environment: dict[str, str], settings: Settings, folder: Path) -> None:
    """See the log exported with the same bytes twice, told to the decisions that were made, and looked ahead from."""
    first, second = folder / "first.jsonl", folder / "second.jsonl"
    done = run_rapport(environment, "export", "--to", str(first))
    assert done.returncode == 0, done.stderr
    assert run_rapport(environment, "export", "--to", str(second)).returncode == 0
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["first.jsonl", "second.jsonl"]
    told = run_rapport(environment, "simulate", str(first), "--json")
    assert told.returncode == 0, told.stderr
    decided = [row["decision_id"] for line in told.stdout.splitlines() for row in json.loads(line)["decisions"]]
    assert sorted(decided) == sorted(asyncio.run(_decisions(settings)))
    ahead = run_rapport(environment, "policy", "forecast", "--live", "--json")
    assert ahead.returncode == 0, ahead.stderr
    said = json.loads(ahead.stdout)
    assert said["days"] == 14
    assert said["assumed"][0].startswith("3 clients as committed at ")
    lived = run_rapport(environment, "simulate", "--live", "--client", "kessler-print", "--json")
    assert lived.returncode == 0, lived.stderr
    mine = [line for line in told.stdout.splitlines() if json.loads(line)["client_id"] == "kessler-print"]
    assert lived.stdout.splitlines() == mine


async def _decisions(settings: Settings) -> list[str]:
    rows = await read_topic(settings, DECISIONS.name, partitions=list(range(settings.partitions)))
    return [Decision.model_validate_json(record.value).decision_id for records in rows.values() for record in records]


@pytest.mark.usefixtures("worker")
def test_an_imported_book_is_in_the_states_with_its_money(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    book = tmp_path / "book.csv"
    book.write_text(BOOK, encoding="utf-8")
    done = run_rapport(environment, "import", str(book), "--currency", "USD")
    assert done.returncode == 0, done.stderr
    assert "30 invoices 3120.00 USD, 30 settlements 3120.00 USD" in done.stdout
    asyncio.run(until_caught_up(settings))
    # Five clients who owed something and owe nothing: what the book says, for each of them.
    assert _client(environment, "C-5")["exposure"] == []
    assert _lag(environment) == 0


def test_an_unknown_client_is_wrong_usage_and_not_a_traceback(environment: dict[str, str]) -> None:
    done = run_rapport(environment, "inspect", "client", "nobody")
    assert done.returncode == 2
    assert done.stderr.startswith("rapport: no client 'nobody' is known")


def _lag(environment: dict[str, str]) -> int:
    done = run_rapport(environment, "lag")
    rows = [line.split("│") for line in done.stdout.splitlines() if " all " in line]
    return sum(int(row[5].strip().replace(",", "")) for row in rows) if done.returncode == 0 and rows else -1

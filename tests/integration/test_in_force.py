"""Emergency stop and activation of a policy, by the commands, on a running worker."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.wire.policy_file import default_policy_text
from tests.commands import run_rapport
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.mark.usefixtures("worker")
def test_a_stop_reaches_every_partition_holds_decisions_and_a_policy_is_activated_without_a_restart(
    environment: dict[str, str], tmp_path: Path
) -> None:
    until(
        lambda: run_rapport(environment, "halt", "all", "--reason", "drill").returncode == 0, timeout=90, what="the stop to hold"
    )
    file = tmp_path / "firm.yaml"
    file.write_text(
        default_policy_text().replace('version: "2026.1"', 'version: "firm"').replace("min_gap_days: 3", "min_gap_days: 5")
    )
    done = run_rapport(environment, "policy", "activate", str(file), "--reason", "more distance", "--yes")
    assert done.returncode == 0, done.stderr
    assert "+  min_gap_days: 5" in done.stdout
    sample = Path(__file__).parents[2] / "handlers" / "commands" / "sample_history.jsonl"
    assert run_rapport(environment, "replay", str(sample)).returncode == 0
    known = until(lambda: _client(environment), timeout=60, what="decisions")
    assert known["policy"].startswith("firm+")
    assert ["all is stopped" in line and "drill" in line for line in known["stops"]] == [True]
    told = known["decisions"]
    assert {row["outcome"] for row in told if row.get("journey")} <= {"held", "suppressed"}
    assert any("drill" in row["reasons"][0] for row in told)
    assert {row["policy_version"].partition("+")[0] for row in told} == {"firm"}
    assert run_rapport(environment, "resume", "all").returncode == 0
    assert run_rapport(environment, "halt").stdout == "Nothing is stopped.\n"


def _client(environment: dict[str, str]) -> dict[str, Any]:
    done = run_rapport(environment, "inspect", "client", "kessler-print", "--json", "--decisions", "50")
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    return said if said.get("decisions") else {}

"""Runs under way are moved to the policy in force by the command, through the log of a running worker, once."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from handlers.commands.regime_changes import read_regimes
from models.events.union import AnyClientEvent
from models.policy.document import document_of
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Trigger
from streams.runtime.clock import SystemClock
from streams.runtime.settings import Settings
from streams.wire.policy_file import write_policy
from tests.commands import run_rapport
from tests.integration.engine_world import feed, on_the_log, until_caught_up
from tests.models.builders import CLIENT, Events
from tests.models.test_journey_laws import Firm
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


OTHER = "client-2"


def _thanked(now: datetime, client: str) -> list[AnyClientEvent]:
    """Return a first payment, and the outcome of the thanks that it calls for."""
    build, firm = Events(client), Firm()
    told: list[AnyClientEvent] = []
    for row in (build.profiled(0), build.paid(1, "P1", 50_000, None)):
        told.append(row.model_copy(update={"occurred_at": now, "received_at": now}))
        firm.feed(told[-1])
    (thanks,) = [output for output in firm.outputs if isinstance(output, Trigger)]
    report = build.reported(2, thanks.trigger_id)
    return [*told, report.model_copy(update={"occurred_at": now, "received_at": now})]


def _seen(environment: dict[str, str], client: str) -> dict[str, Any]:
    done = run_rapport(environment, "inspect", "client", client, "--json", "--decisions", "20")
    said: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"decisions": []}
    return said


def _moved(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in said["decisions"] if row["outcome"] == "migrated"]


@pytest.mark.usefixtures("worker")
async def test_runs_under_way_are_shown_first_one_is_moved_by_name_and_then_all_once_on_every_partition(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    later = tuple(replace(step, after_days=2 * step.after_days) for step in DEFAULT_POLICY.journeys.onboarding)
    patient = replace(DEFAULT_POLICY, version="patient", journeys=replace(DEFAULT_POLICY.journeys, onboarding=later))
    file = tmp_path / "patient.yaml"
    file.write_text(write_policy(document_of(patient)))
    now = SystemClock().now()
    await feed(settings, on_the_log([*_thanked(now, CLIENT), *_thanked(now, OTHER)], settings))
    await until_caught_up(settings)
    activate = ("policy", "activate", str(file), "--reason", "more time", "--yes")
    until(lambda: run_rapport(environment, *activate).returncode == 0, timeout=90, what="the policy in force")

    shown = run_rapport(environment, "policy", "migrate", "--live", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["runs"], found["journeys"]["post_payment_onboarding"]["another_day"]) == (2, 2)
    assert not any(regime.migrations for regime in await read_regimes(settings))

    why = ("--live", "--reason", "the better rhythm", "--author", "mia", "--yes")
    one = run_rapport(environment, "policy", "migrate", "--client", CLIENT, "--journey", "post_payment_onboarding", *why)
    assert one.returncode == 0, one.stderr
    assert {(len(regime.migrations), len(regime.single)) for regime in await read_regimes(settings)} == {(0, 1)}
    await until_caught_up(settings)
    known = _seen(environment, CLIENT)
    (moved,) = _moved(known)
    assert moved["policy_version"].startswith("patient+")
    assert "as mia said (the better rhythm): taken thank_you; ahead outcome_check" in moved["reasons"][0]
    assert any("follows patient+" in line and "the better rhythm" in line for line in known["standing"])
    assert not _moved(_seen(environment, OTHER))

    move = ("policy", "migrate", *why)
    done = run_rapport(environment, *move)
    assert done.returncode == 0, done.stderr
    assert "in force on all 2 partitions" in done.stdout
    assert {len(regime.migrations) for regime in await read_regimes(settings)} == {1}
    await until_caught_up(settings)
    assert [len(_moved(_seen(environment, client))) for client in (CLIENT, OTHER)] == [1, 1]

    again = run_rapport(environment, *move)
    assert again.returncode == 0, again.stderr
    assert "0 runs under way" in again.stdout
    assert "Nothing was changed." in again.stdout

"""Emergency stop and activation of a policy, by the commands, on a running worker."""

import asyncio
import json
import re
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from handlers.channels.kafka_producer import KafkaSender
from handlers.commands.feeds.tail import Tail
from handlers.commands.feeds.watch import FeedWatch
from handlers.commands.history import read_controls
from handlers.commands.regime_changes import read_regimes, tell_and_wait
from models.events.control import FeedChanged, PolicyActivated
from models.events.envelope import epoch_ms
from streams.runtime.clock import SystemClock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.policy_file import default_policy_text
from streams.wire.topics import PAYMENTS
from tests.commands import run_rapport
from tests.integration.engine_world import until_caught_up
from tests.models.builders import Events
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.mark.usefixtures("worker")
def test_a_stop_reaches_every_partition_holds_decisions_and_a_policy_is_activated_without_a_restart(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    asyncio.run(until_caught_up(settings, timeout=90))
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
    asyncio.run(until_caught_up(settings))
    known = _client(environment)
    assert known["policy"].startswith("firm+")
    assert ["all is stopped" in line and "drill" in line for line in known["stops"]] == [True]
    told = known["decisions"]
    assert {row["outcome"] for row in told if row.get("journey")} <= {"held", "suppressed"}
    assert any("drill" in row["reasons"][0] for row in told)
    assert {row["policy_version"].partition("+")[0] for row in told} == {"firm"}
    assert run_rapport(environment, "resume", "all").returncode == 0
    assert run_rapport(environment, "halt").stdout == "Nothing is stopped.\n"
    _see_who_moves_before_clients_are_drawn_otherwise(environment, file)
    _see_a_silent_source_late_and_on_time_again(environment, settings)


def _see_who_moves_before_clients_are_drawn_otherwise(environment: dict[str, str], file: Path) -> None:
    """Activate a policy that puts everybody into an audience, and an alarm that moves nobody, by a worker with clients."""
    everybody = "\naudiences: [{name: all, why: everybody, all: [{figure: client_days, at_least: 0}]}]\n"
    file.write_text(file.read_text().replace("\naudiences: []\n", everybody))
    activate = ("policy", "activate", str(file), "--reason", "layers", "--yes")
    done = run_rapport(environment, *activate)
    assert (done.returncode, _client(environment)["policy"][:5]) == (2, "firm+")
    assert "join the audience all" in done.stdout
    told = re.search(r"add --movers (\d+)", done.stderr)
    assert told is not None, done.stderr
    before = _client(environment)["policy"]
    done = run_rapport(environment, *activate, "--movers", told[1])
    assert done.returncode == 0, done.stderr
    assert _client(environment)["policy"] != before
    same = run_rapport(environment, "segments", "backtest", "--live", "--policy", str(file))
    assert "nobody would stand elsewhere" in same.stdout, "it is held against the policy in force"
    file.write_text(file.read_text().replace("alarm_hold_days: 21", "alarm_hold_days: 30"))
    done = run_rapport(environment, *activate, "--without-backtest", "the phones are down")
    assert done.returncode == 0, done.stderr
    book = file.with_suffix(".jsonl")
    assert run_rapport(environment, "export", "--to", str(book)).returncode == 0
    kept = [event.reason for event in read_controls(book) if isinstance(event, PolicyActivated)]
    tried = f"layers; back-tested: {told[1]} of {told[1]} clients move"
    assert list(dict.fromkeys(kept)) == ["more distance", tried, "layers; without a back-test: the phones are down"]


def _client(environment: dict[str, str]) -> dict[str, Any]:
    done = run_rapport(environment, "inspect", "client", "kessler-print", "--json", "--decisions", "50")
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    return said if said.get("decisions") else {}


def _see_a_silent_source_late_and_on_time_again(environment: dict[str, str], settings: Settings) -> None:
    assert run_rapport(environment, "feeds", "list").stdout == "No source is late.\n"
    said = asyncio.run(_silence_and_payment(settings))
    assert [(event.feed, event.late_since is not None, event.author) for event in said] == [
        ("drillpay", True, "automatic"),
        ("drillpay", False, "automatic"),
    ]
    assert run_rapport(environment, "feeds", "late", "drillpay", "--reason", "drill").returncode == 0
    assert "drillpay is late since" in run_rapport(environment, "feeds", "list").stdout
    assert run_rapport(environment, "feeds", "on-time", "drillpay").returncode == 0
    assert run_rapport(environment, "feeds", "on-time", "drillpay").returncode == 2


async def _silence_and_payment(settings: Settings) -> list[FeedChanged]:
    """Keep the watch over a source that was heard every hour until two days ago, and let it pay once it is late everywhere."""
    watch, stopped, said = FeedWatch(), asyncio.Event(), []
    now = SystemClock().now()
    for hour in range(4 * 168):
        watch.heard("drillpay", epoch_ms(now - timedelta(days=30) + timedelta(hours=hour)))

    async def publish(event: FeedChanged) -> None:
        said.append(event)
        await tell_and_wait(settings, event)
        if event.late_since is None:
            stopped.set()
            return
        paid = Events().paid(0, "P1").model_copy(update={"source": "drillpay", "occurred_at": now, "received_at": None})
        sender = KafkaSender(settings)
        await sender.send_all(PAYMENTS.name, [(b"client-1", encode_event(paid))])
        await sender.close()

    tail = Tail(
        settings=settings,
        watch=watch,
        clock=SystemClock(),
        meter=Meter(),
        publish=publish,
        regimes=partial(read_regimes, settings),
        every_seconds=0.0,
    )
    await asyncio.wait_for(tail.run(stopped), timeout=60)
    return said

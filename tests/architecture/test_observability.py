"""Alerts, runbook and dashboards against each other and against the metrics of the code."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from typing import Any

import yaml

from handlers.cli import COMMANDS
from streams.runtime.metrics import METRICS, MetricKind
from tests.conftest import REPOSITORY

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
RULES: dict[str, Any] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
RUNBOOK = (REPOSITORY / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
DASHBOARDS: list[dict[str, Any]] = [
    json.loads(path.read_text(encoding="utf-8")) for path in (REPOSITORY / "deploy" / "grafana" / "dashboards").glob("*.json")
]
KNOWN = {
    f"{metric.full_name}{suffix}": metric
    for metric in METRICS
    for suffix in (("_bucket", "_sum", "_count") if metric.kind is MetricKind.HISTOGRAM else ("",))
}
# Labels that Prometheus itself puts on what it reads.
SCRAPED_LABELS = {"instance", "job", "le"}
WIDTH = 24
# Read by no alert and no panel, each for a reason; one that is read later leaves this list.
FOR_INSPECTION = {
    "build_info": "which versions run, asked while looking for a cause",
    "worker_generation": "tells whether workers see the same group; their rebalances are watched",
    "batch_events": "sizes of batches, for tuning",
    "offset_gaps_total": "holes that compaction and transactions leave are ordinary; what is lost halts a partition, which pages",
    "watchdog_exits_total": "gone with the process that it tells of; its restarts are watched",
    "redis_rollback_offsets_total": "how far back it was; that it happened makes a ticket",
    "outbox_depth": "how many wait; for how long is what pages",
    "outputs_suppressed_total": "what a rebuild did not send twice; the rebuild makes a ticket",
    "producer_restarts_total": "a restart mends itself; where it does not, the age of the outbox pages",
    "ticks_total": "the clock's heartbeat; its lateness is watched",
    "channel_send_duration_seconds": "how fast a provider answers; that it fails pages, that a channel is behind makes a ticket",
    "channel_triggers_waiting": "how many wait, most of them until their hours; how overdue the oldest is makes a ticket",
    "channel_outcomes_unpublished": "outcomes on their way, kept until they are acknowledged",
    "channel_circuit_open": "why a channel is spared; that its attempts fail pages",
    "triggers_duplicates_dropped_total": "ordinary after a restart",
    "contact_policy_suppressed_total": "what the rules held back, as they should",
    "decisions_total": "what was decided, for the firm, not for those on call",
    "ingest_request_duration_seconds": "how fast the gateway answers; what it turns away pages",
    "ingest_last_accepted_timestamp_seconds": "when a source was last heard; the watch of feeds knows when that is too long",
    "link_requests_total": "what clients choose, for the firm",
    "portal_requests_total": "what the firm's portal asked; whoever runs it sees refusals itself",
    "ingest_bytes_in_flight": "memory that waits for Kafka; beyond its bound webhooks are turned away, which pages",
}


def expressions() -> list[str]:
    panels = [target["expr"] for board in DASHBOARDS for panel in board["panels"] for target in panel["targets"]]
    return [*(alert["expr"] for alert in ALERTS), *panels]


def test_every_metric_asked_for_exists_in_the_code() -> None:
    asked = {name for expression in expressions() for name in re.findall(r"\brapport_\w+", expression)}
    assert asked
    assert asked - KNOWN.keys() == set()


def test_every_metric_of_the_code_is_read_by_an_alert_or_a_panel_or_said_to_be_for_inspection() -> None:
    read = {KNOWN[name].name for expression in expressions() for name in re.findall(r"\brapport_\w+", expression)}
    assert {metric.name for metric in METRICS} - read == FOR_INSPECTION.keys()


def test_every_label_asked_for_is_one_of_the_metrics_in_the_expression() -> None:
    for expression in expressions():
        labels = set(SCRAPED_LABELS)
        for name in re.findall(r"\brapport_\w+", expression):
            labels |= set(KNOWN[name].labels)
        grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
        matched = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression))
        assert grouped | matched <= labels, expression


def test_counters_are_only_ever_asked_for_their_growth() -> None:
    for expression in expressions():
        for name in re.findall(r"\brapport_\w+_total\b", expression):
            assert re.search(rf"(?:rate|increase)\({name}(?:{{[^}}]*}})?\[", expression), expression


def test_every_alert_says_how_urgent_it_is_and_has_an_entry_in_the_runbook() -> None:
    names = [alert["alert"] for alert in ALERTS]
    assert len(set(names)) == len(names)
    entries = re.findall(r"^### (\w+)$", RUNBOOK, flags=re.MULTILINE)
    assert sorted(entries) == sorted(names)
    pages, tickets = RUNBOOK.split("\n## Tickets\n")
    for alert in ALERTS:
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["runbook"] == f"deploy/RUNBOOK.md#{alert['alert'].lower()}"
        assert f"### {alert['alert']}\n" in (pages if alert["labels"]["severity"] == "page" else tickets)


def test_every_entry_of_the_runbook_gives_something_to_do() -> None:
    for entry in re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]:
        assert "Do:" in entry or "do as" in entry, entry.splitlines()[0]


def test_the_runbook_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"`rapport ([a-z-]+)", RUNBOOK)) | set(re.findall(r"\$\(rapport ([a-z-]+)", RUNBOOK))
    assert {"doctor", "lag", "dead-letters"} <= named
    assert named <= {command.name for command in COMMANDS}


def test_every_alert_is_tried_on_series_that_raise_it_and_on_some_that_do_not() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    alerts = {alert["alert"] for alert in ALERTS}
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == alerts
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == alerts


def test_rules_and_their_tests_hold_where_promtool_is_there() -> None:
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "rules", "rules.yml"], cwd=PROMETHEUS, check=True)
        subprocess.run([promtool, "test", "rules", "rules_test.yml"], cwd=PROMETHEUS, check=True)


def test_dashboards_are_told_apart_and_tell_where_their_data_is_from() -> None:
    uids = [board["uid"] for board in DASHBOARDS]
    assert uids
    assert len(set(uids)) == len(uids)
    for board in DASHBOARDS:
        variables = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
        assert variables["datasource"] == "datasource"
        assert board["title"]
        assert board["description"]
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
        assert used - {"__rate_interval", "__range"} <= variables.keys()


def test_panels_say_what_they_show_and_in_which_unit() -> None:
    for board in DASHBOARDS:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in board["panels"]:
            assert panel["title"]
            assert len(panel["description"]) > 20
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
            assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_panels_stay_within_the_grid_and_do_not_cover_each_other() -> None:
    for board in DASHBOARDS:
        places = [panel["gridPos"] for panel in board["panels"]]
        assert all(at["x"] >= 0 and at["x"] + at["w"] <= WIDTH and at["h"] > 0 for at in places)
        for one, other in combinations(places, 2):
            apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert apart_x or apart_y


def test_alerts_that_panels_mention_exist_and_thresholds_are_theirs() -> None:
    by_name = {alert["alert"]: alert for alert in ALERTS}
    for board in DASHBOARDS:
        for panel in board["panels"]:
            for name, limit in re.findall(r"Alert (Rapport\w+) above (\d+)", panel["description"]):
                steps = {step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]}
                assert re.search(rf"> {limit}\b", by_name[name]["expr"])
                # A threshold is reached at its value, an alert above it.
                assert {int(limit), int(limit) + 1} & {step for step in steps if step is not None}
            for name in re.findall(r"Rapport[A-Z]\w+", panel["description"]):
                assert name in by_name

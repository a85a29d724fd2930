"""Alerts, runbook and dashboards against each other and against the metrics of the code."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from streams.runtime.metrics import METRICS, MetricKind
from tests.conftest import REPOSITORY

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
RULES: dict[str, Any] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))
EVERY_RULE: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in EVERY_RULE if "alert" in rule]
RECORDED = {rule["record"] for rule in EVERY_RULE if "record" in rule}
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
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
WIDTH = 24
# Read by no alert and no panel, each for a reason; one that is read later leaves this list.
FOR_INSPECTION = {
    "ingest_last_accepted_timestamp_seconds": "when a source was last heard; the watch of feeds knows when that is too long",
    "ingest_bytes_in_flight": "memory that waits for Kafka; beyond its bound webhooks are turned away, which pages",
}


def expressions() -> list[str]:
    panels = [target["expr"] for board in DASHBOARDS for panel in board["panels"] for target in panel["targets"]]
    return [*(rule["expr"] for rule in EVERY_RULE), *panels]


def panels_of_all() -> list[dict[str, Any]]:
    return [panel for board in DASHBOARDS for panel in board["panels"]]


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


def test_what_rules_record_is_asked_for_by_its_name_and_bounds_are_bounds_of_the_histogram() -> None:
    recorded = {name for expression in expressions() for name in re.findall(r"\bslo:[\w:]+", expression)}
    assert recorded == RECORDED
    bounds = [found for at in expressions() for found in re.findall(r'(rapport_\w+)_bucket{le="([^"]+)"', at)]
    assert bounds
    for name, bound in bounds:
        assert float(bound) in KNOWN[f"{name}_bucket"].buckets
        assert str(float(bound)) == bound  # as the client writes it


def test_every_label_in_a_legend_is_one_that_the_query_keeps() -> None:
    for panel in panels_of_all():
        for target in panel["targets"]:
            kept = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in group.split(",")}
            kept |= {"slo"} if "slo:" in target["expr"] else set()
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept, panel["title"]


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


def test_the_runbook_names_only_panels_services_and_alerts_that_exist() -> None:
    titles = {board["title"] for board in DASHBOARDS} | {panel["title"] for panel in panels_of_all()}
    named = {" ".join(title.split()) for title in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", RUNBOOK)}
    assert "Rapport: lag" in named
    assert named - titles == set()
    services = set(re.findall(r"`docker compose (?:ps|exec|logs(?: --tail \d+)?) ([a-z-]+)", RUNBOOK))
    assert "worker" in services
    assert services - COMPOSE["services"].keys() == set()
    assert set(re.findall(r"\bRapport[A-Z]\w+", RUNBOOK)) == {alert["alert"] for alert in ALERTS}


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


def test_every_query_of_a_panel_is_understood_where_promtool_is_there(tmp_path: Path) -> None:
    queries = [target["expr"] for panel in panels_of_all() for target in panel["targets"]]
    assert len(queries) > 80
    plain = [
        re.sub(r"\$__(rate_interval|range)", "5m", query).replace("$topic", ".*").replace("$channel", ".*") for query in queries
    ]
    assert not any("$" in query for query in plain)
    if promtool := shutil.which("promtool"):
        rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(plain)]
        file = tmp_path / "panels.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
        subprocess.run([promtool, "check", "rules", str(file)], check=True, capture_output=True)


def test_there_is_a_dashboard_for_each_part_of_the_way() -> None:
    assert {board["uid"] for board in DASHBOARDS} == {
        f"rapport-{name}" for name in ("overview", "lag", "worker", "redis", "channels", "learning")
    }
    # Grafana drops what it does not know and asks for what it misses: the fields that its documentation names.
    fields = {"uid", "title", "description", "tags", "schemaVersion", "version", "editable", "refresh", "time", "timezone"}
    for board in DASHBOARDS:
        assert board.keys() == fields | {"graphTooltip", "links", "annotations", "templating", "panels"}


def test_panels_lead_to_the_runbook_entries_of_the_alerts_that_they_name() -> None:
    (grafana,) = (service for name, service in COMPOSE["services"].items() if name == "grafana")
    for board in DASHBOARDS:
        (runbook,) = (variable for variable in board["templating"]["list"] if variable["name"] == "runbook")
        assert any(volume.endswith(f"{runbook['query']}:ro") for volume in grafana["volumes"])
        assert {link["url"] for link in board["links"] if link["type"] == "link"} == {"${runbook}"}
        for panel in board["panels"]:
            named = set(re.findall(r"Rapport[A-Z]\w+", panel["description"]))
            assert {link["title"] for link in panel.get("links", ())} == named, panel["title"]
            assert all(link["url"] == f"${{runbook}}#{link['title'].lower()}" for link in panel.get("links", ()))


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

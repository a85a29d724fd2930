"""`rapport segments backtest`: who would stand elsewhere under another policy, since when and why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.cli import run
from handlers.commands.history import write_contracts
from handlers.commands.segments.shifts import compare, tell
from models.events.union import AnyClientEvent
from models.policy.audiences import Audience, Between, Figure, OneOf, Trait
from models.policy.policy import DEFAULT_POLICY, Policy, SegmentRules, stamped
from models.state.client import Segment
from tests.models.builders import Events
from tests.models.test_segments import monthly
from tests.models.views import fold

RULES = DEFAULT_POLICY.segments
LATE = {
    "prompt": (-2.0,) * 9,
    "halfway": (12.0, -2.0, -2.0) * 3,
    "turned": (-2.0, -2.0, -2.0, -2.0, 12.0, 12.0, 12.0, 12.0, 12.0),
}


def history() -> list[AnyClientEvent]:
    log: list[AnyClientEvent] = []
    for client, days in LATE.items():
        build = Events(client)
        own: list[AnyClientEvent] = [build.profiled(0)]
        for month, late in enumerate(days):
            own += monthly(build, 1, late=late, first=month)
        own.append(build.called(330))
        log += [event.model_copy(update={"event_id": f"{client}-{event.event_id}"}) for event in own]
    return sorted(log, key=lambda event: event.received_ms)


def changed(rules: SegmentRules = RULES) -> Policy:
    return stamped(replace(DEFAULT_POLICY, version="new", segments=rules))


def test_the_same_policy_moves_nobody_elsewhere() -> None:
    found = compare(history(), DEFAULT_POLICY, changed())
    assert (found.shifts, found.belongings) == ((), ())
    assert found.moves[0] == found.moves[1] > 0
    assert list(tell(found))[-1] == "nobody would stand elsewhere at the end of this history"


@pytest.mark.parametrize(
    "rules",
    [
        replace(RULES, slow_share=0.3, reliable_share=0.1),
        replace(RULES, reliable_share=0.7, slow_share=0.9),
        replace(RULES, persist_days=300),
    ],
)
def test_movers_are_those_who_end_elsewhere_by_the_fold_itself(rules: SegmentRules) -> None:
    log, new = history(), changed(rules)
    found = compare(log, DEFAULT_POLICY, new)
    ends = {}
    for policy in (DEFAULT_POLICY, new):
        for client in LATE:
            ends[policy.version, client] = fold([row for row in log if row.client_id == client], policy=policy)[
                -1
            ].state.care.segment
    elsewhere = {
        client: (ends[DEFAULT_POLICY.version, client].value, ends[new.version, client].value)
        for client in LATE
        if ends[DEFAULT_POLICY.version, client] is not ends[new.version, client]
    }
    assert {row.client_id: (row.before, row.after) for row in found.shifts} == elsewhere
    assert found.movers == elsewhere.keys()
    assert elsewhere
    assert all(row.cause for row in found.shifts)


def test_a_move_that_is_not_made_any_more_is_told_as_such() -> None:
    (row,) = [
        row
        for row in compare(history(), DEFAULT_POLICY, changed(replace(RULES, persist_days=300))).shifts
        if row.client_id == "turned"
    ]
    assert (row.before, row.after) == (Segment.SLOW, Segment.RELIABLE)
    assert row.cause.startswith("it does not move to slow: ")


def test_who_joins_and_leaves_an_audience_is_told_with_the_monday_and_the_reason() -> None:
    late = Audience("late", "late lately", (Between(Figure.LATE_SHARE, 0.5),))
    old = stamped(replace(DEFAULT_POLICY, audiences=(late,)))
    new = stamped(replace(DEFAULT_POLICY, audiences=(Audience("good", "who pays", (OneOf(Trait.SEGMENT, ("reliable",)),)),)))
    found = compare(history(), old, new)
    told = {(row.client_id, row.audience, row.joins) for row in found.belongings}
    assert {("turned", "late", False), ("prompt", "good", True)} <= told
    assert all(row.since.weekday() == 0 for row in found.belongings)
    assert found.movers == {row.client_id for row in found.belongings}
    assert "segment reliable" in "\n".join(tell(found))


def test_who_would_join_an_audience_that_takes_its_time_is_told_before_it_is_activated() -> None:
    late = Audience("late", "late lately", (Between(Figure.LATE_SHARE, 0.4),))
    since = {}
    for days in (0, 60):
        new = stamped(replace(DEFAULT_POLICY, audiences=(replace(late, dwell_days=days),)))
        rows = compare(history(), DEFAULT_POLICY, new).belongings
        since[days] = {row.client_id: row.since for row in rows if row.joins}
    assert since[60].keys() <= since[0].keys()
    assert "turned" in since[60]
    assert all(53 <= (at - since[0][name]).days <= 120 for name, at in since[60].items())
    never = stamped(replace(DEFAULT_POLICY, audiences=(replace(late, dwell_days=180),)))
    assert "turned" not in {row.client_id for row in compare(history(), DEFAULT_POLICY, never).belongings}


def test_both_commands_name_movers_before_anything_is_activated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book, policy = tmp_path / "history.jsonl", tmp_path / "new.yaml"
    write_contracts(history(), book)
    policy.write_text("version: new\nsegments: {persist_days: 300}\n", encoding="utf-8")
    told = []
    for group in ("segments", "policy"):
        assert run([group, "backtest", "--policy", str(policy), "--history", str(book), "--json"]) == 0
        told.append({row["client_id"]: (row["from"], row["to"]) for row in json.loads(capsys.readouterr().out)["movers"]})
        assert run([group, "backtest", "--policy", str(policy), "--history", str(book)]) == 0
        assert "would stand in another segment" in capsys.readouterr().out
    assert told[0] == told[1]
    assert told[0]["turned"] == ("slow", "reliable")

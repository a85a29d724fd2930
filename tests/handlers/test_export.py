"""The client log as a file: its order, its lines, what it leaves out, and that a fold of it decides what was decided."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.cli import EXIT_USAGE, run
from handlers.commands.history import read_controls, read_lines
from handlers.commands.log_file import LogLines, Parties
from models.events.control import ClockTicked
from models.events.union import AnyClientEvent, AnyLogEvent
from models.triggers import Decision
from streams.engine.oracle import fold_partition, published
from streams.engine.program import ClientProgram
from streams.runtime.settings import load_settings
from streams.wire.codec import encode_event
from streams.wire.merged import InOrder
from streams.wire.partitioning import partition_of
from streams.wire.policy_file import policy_in_force
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, DECISIONS
from tests.models.builders import Events, ms, on
from tests.models.controls import halt

PARTITIONS: Final = 2
NAMES: Final = ("ada", "bob", "cyd", "dot")


def _record(event: AnyLogEvent, *, partition: int, offset: int, logged: datetime) -> PlainRecord:
    key = getattr(event, "client_id", "").encode() or CONTROL_KEY
    at = round(logged.timestamp() * 1000)
    return PlainRecord(
        topic=CLIENT_EVENTS.name, partition=partition, offset=offset, timestamp=at, key=key, value=encode_event(event)
    )


def _life(name: str, *, first: int) -> list[AnyClientEvent]:
    """Return invoices of a client, of which one is paid late and one stays open."""
    client = Events(name)
    return [
        client.profiled(first, email=f"{name}@client.example"),
        client.issued(first, f"{name}-1", due=first + 14),
        client.paid(first + 30, f"{name}-p", invoice=f"{name}-1"),
        client.issued(first + 31, f"{name}-2", due=first + 45),
    ]


def _log(*more: AnyLogEvent) -> list[PlainRecord]:
    """Return the log of some clients in the order of arrival: a tick a day on each partition, and a stop for some days."""
    events: list[tuple[datetime, int, AnyLogEvent]] = []
    for place, name in enumerate(NAMES):
        events += [(row.received_at or row.occurred_at, partition_of(name, PARTITIONS), row) for row in _life(name, first=place)]
    for day, halted in ((50, True), (58, False)):
        stop = halt(day, halted=halted)
        events += [(on(day), partition, stop) for partition in range(PARTITIONS)]
    for day in range(90):
        at = on(day + 0.3)
        for partition in range(PARTITIONS):
            tick = ClockTicked(event_id=f"t{day}-{partition}", source="rapport", occurred_at=at, received_at=at)
            events.append((at, partition, tick))
    for row in more:
        home = partition_of(row.client_id, PARTITIONS) if isinstance(row, AnyClientEvent) else 0
        events.append((row.received_at or row.occurred_at, home, row))
    found, offsets = [], [0] * PARTITIONS
    for at, partition, event in sorted(events, key=lambda row: (row[0], row[1])):
        found.append(_record(event, partition=partition, offset=offsets[partition], logged=at))
        offsets[partition] += 1
    return found


def _write(path: Path, log: Sequence[PlainRecord], lines: LogLines | None = None) -> Path:
    parties = Parties()
    for record in log:
        parties.see(record)
    lines = lines or LogLines(partitions=PARTITIONS)
    lines.forgotten = parties.forgotten()
    path.write_bytes(lines.head() + b"".join(lines.line(record) or b"" for record in log))
    return path


def _decided(log: Iterable[PlainRecord]) -> list[str]:
    """Return the ids of what workers decide over the log, of all clients."""
    program, rows = ClientProgram(policy_in_force(load_settings())), list(log)
    found = []
    for partition in range(PARTITIONS):
        folded = fold_partition(program, [row for row in rows if row.partition == partition], partitions=PARTITIONS)
        found += [Decision.model_validate_json(value) for _, _, value in published(folded.outputs, DECISIONS.name)]
    return sorted(row.decision_id for row in found)


def test_an_exported_log_told_by_simulate_gives_the_decisions_that_were_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = _log()
    file = _write(tmp_path / "history.jsonl", log)
    assert run(["simulate", str(file), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    decisions = [row for happening in told for row in happening["decisions"]]
    assert sorted(row["decision_id"] for row in decisions) == _decided(log)
    assert {"triggered", "held"} <= {row["outcome"] for row in decisions}
    assert {row["client_id"] for row in told} == set(NAMES)


def test_the_controls_of_an_export_are_read_once_each_and_its_time_by_nobody_who_makes_his_own(tmp_path: Path) -> None:
    file = _write(tmp_path / "history.jsonl", _log())
    assert [row.event_id for row in read_controls(file)] == ["halt-50", "halt-58"]
    with file.open("rb") as lines:
        events = [event for delivery in read_lines(lines) for event in getattr(delivery, "events", ())]
    assert {row.kind for row in events} == {"client.profiled", "invoice.issued", "payment.received"}
    assert len(events) == sum(len(_life(name, first=0)) for name in NAMES)


def test_whoever_was_forgotten_is_absent_with_everybody_who_was_part_of_it_and_nobody_else(tmp_path: Path) -> None:
    merged, split, gone = Events("bob").merged(60, into="ada"), Events("bob").split(70), Events("ada").erased(65)
    text = _write(tmp_path / "history.jsonl", _log(merged, split, gone)).read_text()
    assert '"ada' not in text
    assert '"bob' not in text
    assert text.count('"client_id":"cyd"') == text.count('"client_id":"dot"') == len(_life("cyd", first=0))


def test_a_client_is_told_with_who_was_ever_part_of_it_and_a_range_with_what_held_before_it() -> None:
    log = _log(Events("bob").merged(60, into="ada"), Events("bob").split(70))
    parties = Parties()
    for record in log:
        parties.see(record)
    only = frozenset(parties.ever_in("ada"))
    assert only == {"ada", "bob"}
    lines = LogLines(partitions=PARTITIONS, only=only, since_ms=ms(55), until_ms=ms(65))
    told = [json.loads(line) for record in log if (line := lines.line(record))]
    events = [row.get("event", row) for row in told]
    assert {row["client_id"] for row in events if "client_id" in row} == {"bob"}
    assert [row["event_id"] for row in events if row["kind"] == "halt.changed"].count("halt-50") == len(
        {partition_of(name, PARTITIONS) for name in only}
    )
    ticks = [row["occurred_at"] for row in events if row["kind"] == "clock.ticked"]
    assert on(55).isoformat()[:10] <= min(ticks)[:10] <= max(ticks)[:10] <= on(65).isoformat()[:10]


def test_what_no_worker_could_read_is_counted_and_left_out() -> None:
    log, lines = _log(), LogLines(partitions=PARTITIONS)
    astray = next(row for row in log if row.key == b"ada")
    for bad in (replace(astray, value=b"{"), replace(astray, key=b"bob"), replace(astray, partition=1 - astray.partition)):
        assert lines.line(bad) is None
    assert (lines.told, lines.unreadable) == (0, 3)


@settings(max_examples=30)
@given(st.data())
def test_the_order_of_an_export_does_not_depend_on_how_the_broker_cut_it_and_keeps_each_partition(data: st.DataObject) -> None:
    stamps = st.lists(st.integers(0, 20), max_size=8)
    event = encode_event(Events("ada").profiled(0, email="a@client.example"))
    parts = {
        partition: [
            PlainRecord(topic="t", partition=partition, offset=at, timestamp=stamp, key=b"ada", value=event)
            for at, stamp in enumerate(data.draw(stamps))
        ]
        for partition in range(3)
    }
    latest: list[tuple[int, int, int]] = []
    for partition, records in parts.items():
        seen = [max(row.timestamp for row in records[: at + 1]) for at in range(len(records))]
        latest += [(stamp, partition, at) for at, stamp in enumerate(seen)]
    merge, told = InOrder(parts), []
    while not merge.is_over:
        for partition in merge.hungry:
            if not parts[partition]:
                merge.end(partition)
                continue
            cut = data.draw(st.integers(1, len(parts[partition])))
            merge.feed(partition, parts[partition][:cut])
            del parts[partition][:cut]
        told += [(row.partition, row.offset) for row in merge.ready()]
    assert told == [(partition, at) for _, partition, at in sorted(latest)]


def test_a_history_and_live_at_once_and_neither_are_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _write(tmp_path / "history.jsonl", _log())
    assert run(["simulate", str(file), "--live"]) == EXIT_USAGE
    assert "are two histories" in capsys.readouterr().err
    assert run(["segments", "evaluate"]) == EXIT_USAGE
    assert "--live" in capsys.readouterr().err
    assert run(["policy", "forecast", "--live", "--history", str(file)]) == EXIT_USAGE
    assert "leave out --history" in capsys.readouterr().err


def test_trial_commands_take_an_export_as_any_other_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(_write(tmp_path / "history.jsonl", _log()))
    assert run(["policy", "forecast", "--history", file, "--as-of", f"{on(47):%Y-%m-%d}", "--days", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contacts"]
    assert run(["segments", "evaluate", file, "--json"]) in {0, 1}
    assert json.loads(capsys.readouterr().out)
    assert run(["evaluate", file]) == 1
    assert "16 events" in capsys.readouterr().out
    later = on(200) + timedelta(days=1)
    assert run(["simulate", file, "--policy", "/nowhere.yaml", "--until", f"{later:%Y-%m-%d}"]) == EXIT_USAGE


def test_a_line_that_is_none_of_the_log_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _write(tmp_path / "history.jsonl", _log())
    file.write_bytes(file.read_bytes() + b'{"partition":0}\n')
    assert run(["simulate", str(file)]) == EXIT_USAGE
    assert f"line {len(_log()) + 2} of {file} is not a line of the log" in capsys.readouterr().err


def test_a_log_is_read_until_the_day_that_was_asked_for_and_what_was_told_of_it_does_not_depend_on_what_came_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    until = f"{on(60):%Y-%m-%d}"
    whole = _write(tmp_path / "whole.jsonl", _log())
    assert run(["simulate", str(whole), "--until", until, "--json"]) == 0
    told = capsys.readouterr().out
    assert len(told.splitlines()) > 0
    assert max(json.loads(line)["at"] for line in told.splitlines()) < f"{on(61):%Y-%m-%d}"
    short = _write(tmp_path / "short.jsonl", [row for row in _log() if row.timestamp < ms(63)])
    short.write_bytes(short.read_bytes() + b"what nobody reads\n")
    assert run(["simulate", str(short), "--until", until, "--json"]) == 0
    assert capsys.readouterr().out == told

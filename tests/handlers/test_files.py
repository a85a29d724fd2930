"""Files that commands read and write: whatever is wrong with one is told in one line that names it, and nothing is left of it."""

import stat
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.cli import EXIT_USAGE, run
from handlers.commands.files import check_target, replacing, writing
from handlers.commands.history import write_contracts
from streams.runtime.errors import UsageError
from tests.models.builders import Events

COMMANDS: Final = (
    "simulate",
    "replay --dry-run",
    "overrides report",
    "experiments holdouts",
    "experiments steps",
    "policy forecast --history",
    "policy adopt",
    "learners budget",
    "evaluate",
    "segments evaluate",
    "segments windows",
)
HEAD: Final = b'# client.events {"partitions":2,"whole":true}\n'
UNREADABLE: Final = {
    "empty": b"",
    "not json": b"not json\n",
    "no objects": b'[1,2]\n"x"\n',
    "bytes": bytes(range(128, 256)) * 9,
    "a head alone": HEAD,
    "a head that is cut": HEAD[:30],
    "a head that lacks a word": b'# client.events {"partitions":8}\n{}\n',
    "a head of no partitions": b'# client.events {"partitions":0,"whole":true}\n{"client_id":"a"}\n',
    "a head of too many": b'# client.events {"partitions":999999999,"whole":true}\n{"client_id":"a"}\n',
    "a line of a partition that is cut": HEAD + b'{"partition":0,"logged_ms":1,"event":{"kind":"policy.activated","event_i',
    "a line of a partition without an event": HEAD + b'{"partition":0,"kind":"policy.activated"}\n',
    "a line of no partition there is": HEAD + b'{"partition":7,"logged_ms":1,"event":{"kind":"clock.ticked"}}\n',
    "a stop that is cut": b'{"kind":"halt.changed","event_i',
    "a stop that says too little": b'{"kind":"policy.activated"}\n',
    "a kind that is no word": b'{"kind":5}\n{"kind":"halt.changed","kind":[1]}\n',
    "a moment beyond time": b'{"object":"event","created":1e30}\n',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_history_that_cannot_be_read_is_refused_by_name(
    command: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(content)
    assert run([*command.split(), str(file)]) == EXIT_USAGE
    said = capsys.readouterr()
    (line,) = [line for line in said.err.splitlines() if line.startswith("rapport: ")]
    assert str(file) in line
    assert "would send" not in said.out


@pytest.mark.parametrize("command", [*COMMANDS, "import", "evaluate-renewals", "learners cohorts", "learners seasons"])
def test_what_is_no_file_is_refused_by_name(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "nothing.jsonl", tmp_path, Path("a" * 5000), Path("/dev/null")):
        assert run([*command.split(), str(path)]) == EXIT_USAGE
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{path} is not a file that can be read" in line


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_was_done_to_a_file_it_is_told_or_refused(
    data: st.DataObject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, file = Events(), tmp_path / "history.jsonl"
    write_contracts([build.profiled(0), build.issued(1, "I1", due=10), build.paid(20, "P1", invoice="I1")], file)
    content = bytearray((HEAD if data.draw(st.booleans()) else b"") + file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
    file.write_bytes(content)
    assert run(["simulate", str(file)]) in {0, EXIT_USAGE}
    said = capsys.readouterr()
    assert said.out or str(file) in said.err


@pytest.mark.parametrize("place", ["nowhere/history.jsonl", ".", "file/history.jsonl"])
def test_where_nothing_can_be_written_is_told_before_a_server_is_asked(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    assert run(["export", "--to", str(tmp_path / place)]) == EXIT_USAGE
    assert "name another place with --to" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_device_is_written_to_and_never_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    device = Path("/dev/null")
    check_target(device, "--report")
    assert run(["export", "--to", str(device)]) == EXIT_USAGE
    assert "it is no plain file" in capsys.readouterr().err


def test_a_file_is_replaced_when_all_is_written_and_not_before_and_keeps_its_rights(tmp_path: Path) -> None:
    file, link = tmp_path / "history.jsonl", tmp_path / "link"
    with replacing(file) as new:
        new.write(b"one")
        assert not file.exists()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    link.symlink_to(file)
    with replacing(link) as new:
        new.write(b"two")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), link.is_symlink()) == (b"two", 0o640, True)


def test_a_disk_that_fills_up_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"before")
    with pytest.raises(UsageError, match=r"No space left on device.*--to"), writing(file, "--to"), replacing(file):
        Path("/dev/full").write_bytes(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == b"before"


@pytest.mark.parametrize(
    "command",
    [
        "simulate FILE --policy",
        "overrides report FILE --policy",
        "experiments holdouts FILE --policy",
        "experiments steps FILE --policy",
        "policy backtest --history FILE --policy",
        "policy forecast --history FILE --policy",
        "policy adopt FILE --policy",
        "learners budget FILE --policy",
        "learners budget --policy",
        "segments evaluate FILE --policy",
        "segments movers FILE --policy",
        "segments observe FILE --policy",
        "segments tiers FILE --policy",
        "segments backtest --history FILE --policy",
    ],
)
def test_a_policy_that_cannot_be_read_is_told_before_anything_long_is_read(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, policy = tmp_path / "history.jsonl", tmp_path / "firm.yaml"
    words = [str(history) if word == "FILE" else word for word in command.split()]
    assert run([*words, str(policy)]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert str(policy) in said
    assert str(history) not in said


@pytest.mark.parametrize("command", ["experiments holdouts", "experiments steps", "segments movers"])
def test_a_policy_under_which_nothing_is_lived_through_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command.split(), "--policy", str(tmp_path / "firm.yaml")]) == EXIT_USAGE
    assert "leave it out" in capsys.readouterr().err


def test_a_book_beside_a_made_up_firm_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate-renewals", "--synthetic", "3", "--book", "nowhere.csv"]) == EXIT_USAGE
    assert "--book nowhere.csv goes with a CSV of contracts" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "evaluate FILE --report",
        "evaluate-renewals FILE --report",
        "evaluate-renewals --synthetic 9999 --report",
        "segments movers FILE --report",
        "segments observe FILE --report",
        "policy adopt FILE --holds",
    ],
)
def test_where_no_report_can_be_written_is_told_before_anything_long_is_read(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, report = tmp_path / "history.jsonl", tmp_path / "nowhere" / "report"
    words = [str(history) if word == "FILE" else word for word in command.split()]
    assert run([*words, str(report)]) == EXIT_USAGE
    assert f"cannot write {report} (there is no folder {report.parent})" in capsys.readouterr().err

import json
from pathlib import Path

import pytest

from handlers.cli import run
from streams.wire.catalogue import CONTRACTS


def test_written_contracts_agree_with_the_code_and_writing_again_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "contracts")
    assert run(["contracts", "write", "--to", folder]) == 0
    assert run(["contracts", "check", "--at", folder]) == 0
    capsys.readouterr()
    assert run(["contracts", "write", "--to", folder]) == 0
    assert "0 of them changed" in capsys.readouterr().out


def test_check_says_what_differs_and_how_to_mend_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["contracts", "write", "--to", str(tmp_path)])
    (tmp_path / "README.md").write_text("old")
    (tmp_path / "payment.dreamt.v1.schema.json").write_text("{}")
    capsys.readouterr()
    assert run(["contracts", "check", "--at", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "README.md differs from the code" in said
    assert "payment.dreamt.v1.schema.json" in said
    assert "fix: rapport contracts write" in said


def test_of_a_missing_folder_one_line_says_the_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contracts", "check", "--at", str(tmp_path / "nowhere")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"fix: rapport contracts write --to {tmp_path / 'nowhere'}" in line


def test_a_change_that_breaks_a_published_version_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["contracts", "write", "--to", str(tmp_path)])
    file = tmp_path / "payment.received.v1.schema.json"
    published = json.loads(file.read_text())
    published["properties"]["colour"] = {"type": "string"}
    file.write_text(json.dumps(published))
    assert run(["contracts", "write", "--to", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "payment.received v1: colour: was removed or renamed" in said
    assert "upcast" in said
    assert json.loads(file.read_text()) == published
    assert run(["contracts", "check", "--at", str(tmp_path)]) == 1


def test_show_prints_one_schema_with_its_example_or_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contracts", "show", "invoice.issued"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"][0]["kind"] == "invoice.issued"
    assert run(["contracts", "show"]) == 0
    listed = capsys.readouterr().out
    assert all(kind in listed for kind in CONTRACTS)


def test_a_mistyped_kind_is_met_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contracts", "show", "payment.recieved"]) == 2
    assert "did you mean 'payment.received'" in capsys.readouterr().err

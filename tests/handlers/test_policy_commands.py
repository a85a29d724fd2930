import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from handlers.cli import run
from handlers.commands.policies.activation import Tried, check_movers, check_unchanged, differences, sound_policy, tried
from handlers.commands.policies.moving import draws
from models.policy.document import document_of, policy_of
from models.policy.policy import DEFAULT_POLICY, stamped
from models.regime import ActivePolicy
from models.triggers import Journey
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.wire.policy_file import default_policy_text


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_show_says_who_gets_what_when_in_which_tone_and_what_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show"]) == 0
    said = capsys.readouterr().out
    assert DEFAULT_POLICY.version in said
    assert "10 days after clear_dates" in said
    assert "5 days after a colleague has asked" in said
    assert "14 days before it renews" in said
    assert "payment is promised or under way" in said
    assert "Found later than that, because nothing ran: taken when found\n" in said
    assert "Found later than that, because nothing ran: left out\n" in said
    assert "At least 3 days between any two contacts" in said


def test_what_show_writes_as_yaml_is_the_same_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show", "--yaml"]) == 0
    file = _write(tmp_path / "firm.yaml", capsys.readouterr().out)
    assert run(["policy", "show", "--json", "--policy", file]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["version"] == DEFAULT_POLICY.version
    assert sorted(row["journey"] for row in shown["journeys"]) == sorted({*Journey} - {Journey.STATEMENT})  # off by default


def test_a_sound_policy_passes_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "lint", _write(tmp_path / "firm.yaml", default_policy_text())]) == 0
    assert f"is sound: version {DEFAULT_POLICY.version}" in capsys.readouterr().out


def test_lint_exits_with_one_for_wrong_content_and_wrong_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harsh = default_policy_text().replace("tone: structured", "tone: firm", 1)
    assert run(["policy", "lint", _write(tmp_path / "harsh.yaml", harsh)]) == 1
    said = capsys.readouterr().err
    line = harsh[: harsh.index("tone: firm")].count("\n") + 1
    assert f"harsh.yaml:{line}: journeys.delayed_payment_support.ladders.slow.steps[0].tone: firm is firmer" in said
    assert run(["policy", "lint", _write(tmp_path / "typo.yaml", "version: a\nsupport: {grace: 2}\n")]) == 1
    assert "typo.yaml:2: support.grace: 'grace' is not known here; fix: write grace_days" in capsys.readouterr().err


def test_lint_exits_with_two_when_there_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "lint", str(tmp_path / "nowhere.yaml")]) == 2
    assert "cannot read the policy" in capsys.readouterr().err


def test_lint_speaks_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _write(tmp_path / "firm.yaml", "version: a\ncontact: {contacts_per_month: 90}\n")
    assert run(["policy", "lint", file, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["severity"] == "warning"


def test_a_simulation_decides_by_the_policy_it_is_given_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _write(tmp_path / "late.yaml", "version: late\nsupport: {grace_days: 20}\n")
    assert run(["simulate", "--json", "--policy", file]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    decisions = [decision for happening in told for decision in happening["decisions"]]
    assert {decision["policy_version"].partition("+")[0] for decision in decisions} == {"late"}
    assert run(["simulate", "--json"]) == 0
    usual = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert decisions != [decision for happening in usual for decision in happening["decisions"]]


def test_a_wrong_policy_stops_a_simulation_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _write(tmp_path / "loud.yaml", default_policy_text().replace("tone: gentle", "tone: firm"))
    assert run(["simulate", "--policy", file]) == 2
    assert "firmer than" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "moves"),
    [
        ("support: {grace_days: 5}", False),
        ("segments: {review_day: 9}", False),
        ("max_age: {score_days: 9}", False),
        ("segments: {new_labels: 4}", True),
        ("segments: {alarm_hold_days: 30}", True),
        ("max_age: {segment_days: 90}", True),
        ("support: {small_share: 0.2}", True),
        ("support: {small_units: 50}", True),
        ("audiences: [{name: big, why: who owes much, all: [{figure: open_units, at_least: 9}]}]", True),
    ],
)
def test_what_draws_clients_otherwise_is_told_from_what_does_not(tmp_path: Path, said: str, moves: bool) -> None:
    read = sound_policy(Path(_write(tmp_path / "firm.yaml", f"version: other\n{said}\n")), Settings())
    assert any(line.startswith(("+ ", "+audiences")) for line in differences(Settings(), None, read))
    assert (draws(policy_of(read.document)) != draws(DEFAULT_POLICY)) == moves
    document = document_of(policy_of(read.document)).model_dump_json(exclude_none=True)
    again = list(differences(Settings(), ActivePolicy("other", document, 0), read))
    assert again == [f"{read.name} says the same as other, under another name."]


REDRAWN: Final = stamped(replace(DEFAULT_POLICY, version="redrawn", small_units=50))


def test_with_a_yes_beforehand_no_more_clients_move_than_were_named() -> None:
    check_movers(Tried(3), yes=True, most=3)
    check_movers(Tried(3), yes=False, most=0)  # whoever is asked has seen the list
    with pytest.raises(UsageError, match=r"3 clients would stand elsewhere.*--movers 3"):
        check_movers(Tried(3), yes=True, most=2)


def test_what_came_into_force_while_somebody_looked_is_not_replaced_unseen() -> None:
    seen, other = (ActivePolicy(name, "{}", 0) for name in ("seen", "other"))
    check_unchanged(seen, seen)
    check_unchanged(None, None)
    for before, now in ((seen, other), (None, other), (seen, ActivePolicy("seen", "{}", 1))):
        with pytest.raises(UsageError, match="came into force"):
            check_unchanged(before, now)


def test_whoever_leaves_the_back_test_out_says_why_and_it_is_kept() -> None:
    assert tried(Settings(), None, REDRAWN, without="the letters are wrong").note == "without a back-test: the letters are wrong"
    with pytest.raises(UsageError, match="say why"):
        tried(Settings(), None, REDRAWN, without=" ")
    assert tried(Settings(), None, stamped(replace(DEFAULT_POLICY, version="same")), without=None) == Tried()

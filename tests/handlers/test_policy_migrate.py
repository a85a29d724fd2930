"""`rapport policy migrate` shows what changes for runs under way, and changes nothing by itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.cli import run
from models.events.union import AnyClientEvent, AnyControlEvent
from models.policy.document import document_of
from models.policy.policy import DEFAULT_POLICY, stamped
from models.state.client import Segment
from models.triggers import Tone
from streams.wire.codec import encode_event
from streams.wire.policy_file import write_policy
from tests.models.builders import Events
from tests.models.controls import policy_activated, runs_migrated


def _history(path: Path, *controls: AnyControlEvent) -> str:
    """Write a history of two clients with an invoice that is overdue, and one who has just paid for the first time."""
    rows: list[AnyClientEvent | AnyControlEvent] = []
    for name in ("ada", "börek"):
        build = Events(name)
        rows += [build.profiled(0), build.issued(1, f"I-{name}", 10_000, due=10)]
    build = Events("cleo")
    rows += [build.profiled(0), build.paid(14, "P-cleo", 50_000, None), build.called(16)]
    unique = [row.model_copy(update={"event_id": f"e{number}"}) for number, row in enumerate(rows)]
    path.write_bytes(b"".join(encode_event(row) + b"\n" for row in [*unique, *controls]))
    return str(path)


_LADDER = DEFAULT_POLICY.journeys.delay[Segment.NEW]
_HELP = _LADDER.steps[1]
_MORE = (
    _LADDER.steps[0],
    replace(_HELP, after_days=20, tone=Tone.GENTLE),
    replace(_HELP, id="friendly_note", after_days=9, tone=Tone.GENTLE),
)
PATIENT = stamped(
    replace(
        DEFAULT_POLICY,
        version="patient",
        journeys=replace(
            DEFAULT_POLICY.journeys,
            delay={**DEFAULT_POLICY.journeys.delay, Segment.NEW: replace(_LADDER, steps=_MORE)},
            onboarding=DEFAULT_POLICY.journeys.onboarding[:1],
        ),
    )
)


def _file(tmp_path: Path) -> str:
    path = tmp_path / "patient.yaml"
    path.write_text(write_policy(document_of(PATIENT)), encoding="utf-8")
    return str(path)


def test_it_shows_per_client_and_journey_which_steps_are_gained_lost_on_another_day_or_in_another_tone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = _history(tmp_path / "history.jsonl")
    assert run(["policy", "migrate", _file(tmp_path), "--history", history, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["policy"], found["from"], found["runs"], found["clients"]) == (
        PATIENT.version,
        [DEFAULT_POLICY.version],
        3,
        3,
    )
    support, thanks = found["journeys"]["delayed_payment_support"], found["journeys"]["post_payment_onboarding"]
    assert support == {"runs": 2, "gained": 2, "lost": 0, "another_day": 2, "another_tone": 2, "another_way": 0}
    assert (thanks["runs"], thanks["lost"]) == (1, 1)
    (ada,) = [row for row in found["moves"] if row["client_id"] == "ada"]
    assert ada["taken"] == ["explain_terms"]
    steps = {row["step"]: row for row in ada["steps"]}
    assert steps["offer_help"]["before"] == {"day": "2024-02-01", "tone": "educational", "channel": "email"}
    assert steps["offer_help"]["after"] == {"day": "2024-02-12", "tone": "gentle", "channel": "email"}
    assert steps["friendly_note"]["before"] is None
    assert run(["policy", "migrate", _file(tmp_path), "--history", history]) == 0
    said = capsys.readouterr().out
    assert "3 runs under way would go on by it; 3 clients" in said
    assert "~ offer_help" in said
    assert "+ friendly_note" in said
    assert "- outcome_check" in said
    assert "Nothing was changed" in said


def test_one_client_is_shown_alone_and_one_that_is_not_known_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = _history(tmp_path / "history.jsonl")
    assert run(["policy", "migrate", _file(tmp_path), "--history", history, "--client", "börek", "--json"]) == 0
    assert [row["client_id"] for row in json.loads(capsys.readouterr().out)["moves"]] == ["börek"]
    both = ["--client", "börek", "--client", "cleo"]
    assert run(["policy", "migrate", _file(tmp_path), "--history", history, *both]) == 0
    said = capsys.readouterr().out
    assert "2 runs under way would go on by it; 2 clients" in said
    assert "ada" not in said
    assert "rapport policy migrate --live --client börek --client cleo --reason" in " ".join(said.split()).replace("'", "")
    assert run(["policy", "migrate", _file(tmp_path), "--history", history, "--client", "nobody"]) == 2
    assert "no client 'nobody' is known here" in capsys.readouterr().err


def test_one_journey_is_shown_alone_with_the_clients_that_are_named_and_one_that_is_not_known_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show = ["policy", "migrate", _file(tmp_path), "--history", _history(tmp_path / "history.jsonl")]
    for words, clients in (
        (["--journey", "post_payment_onboarding"], ["cleo"]),
        (["--journey", "post_payment_onboarding", "--journey", "delayed_payment_support"], ["ada", "börek", "cleo"]),
        (["--journey", "post_payment_onboarding", "--client", "ada"], []),
    ):
        assert run([*show, *words, "--json"]) == 0
        assert sorted(row["client_id"] for row in json.loads(capsys.readouterr().out)["moves"]) == clients
    assert run([*show, "--journey", "onboarding"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no journey 'onboarding' is known here; there are: bank_debit" in said


def test_what_was_moved_of_a_single_client_in_a_history_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ada = runs_migrated(15.6, PATIENT, DEFAULT_POLICY, clients=("ada",))
    history = _history(tmp_path / "moved.jsonl", policy_activated(15.5, PATIENT), ada)
    assert run(["policy", "migrate", "--history", history, "--json"]) == 0
    assert sorted(row["client_id"] for row in json.loads(capsys.readouterr().out)["moves"]) == ["börek", "cleo"]


def test_a_client_that_was_merged_is_named_as_what_it_is_part_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = Path(_history(tmp_path / "history.jsonl"))
    merged = Events("ada").merged(17, "cleo")
    history.write_bytes(history.read_bytes() + encode_event(merged.model_copy(update={"event_id": "merged"})) + b"\n")
    assert run(["policy", "migrate", _file(tmp_path), "--history", str(history), "--client", "ada"]) == 2
    assert "name cleo" in " ".join(capsys.readouterr().err.split())


def test_what_was_activated_and_moved_in_a_history_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = _history(tmp_path / "activated.jsonl", policy_activated(15.5, PATIENT))
    assert run(["policy", "migrate", "--history", history, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 3
    moved = _history(tmp_path / "moved.jsonl", policy_activated(15.5, PATIENT), runs_migrated(15.6, PATIENT, DEFAULT_POLICY))
    assert run(["policy", "migrate", "--history", moved, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 0
    assert run(["policy", "backtest", "--history", moved, "--policy", _file(tmp_path)]) == 0
    assert run(["policy", "forecast", "--history", moved]) == 0
    assert run(["simulate", moved, "--until", "2024-03-10"]) == 0
    assert "goes on by policy patient" in " ".join(capsys.readouterr().out.split())


def test_where_no_other_policy_was_ever_in_force_there_is_nothing_to_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "migrate", "--history", _history(tmp_path / "history.jsonl")]) == 0
    assert "Nothing to move" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--yes", "--reason", "so"], "add --live"),
        (["--live", "--yes"], "say why"),
        (["--live", "--yes", "--reason", "so", *(word for n in range(21) for word in ("--client", f"c{n}"))], "20 can be moved"),
        (["FILE", "--live", "--yes", "--reason", "so"], "first: rapport policy activate"),
        (["--live", "--as-of", "2024-03-01"], "leave out --history and --as-of"),
        (["missing.yaml"], "missing.yaml"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_fix(
    tmp_path: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [_file(tmp_path) if word == "FILE" else word for word in words]
    assert run(["policy", "migrate", *said]) == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_a_history_without_a_line_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert run(["policy", "migrate", _file(tmp_path), "--history", str(empty)]) == 2
    assert "empty.jsonl" in capsys.readouterr().err

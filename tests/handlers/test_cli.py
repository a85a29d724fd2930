import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cyclopts import App
from redis.exceptions import ResponseError

from handlers.cli import (
    COMMANDS,
    EXIT_BROKEN_PIPE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Command,
    build_app,
    load_command,
    run,
)
from streams.runtime.errors import RetryError, UsageError

RAPPORT = (sys.executable, "-m", "handlers.cli")
HEAVY = ("aiokafka", "faust", "pydantic", "redis", "fastapi", "river", "httpx", "stripe", "jinja2", "numpy")


def _fail_with(error: BaseException) -> int:
    app = build_app()

    @app.default
    def fail() -> None:
        raise error

    return run([], app=app)


def test_help_lists_every_command_with_what_it_is_for_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in said
        assert command.summary.split(",")[0][:40] in said
    assert "Exit codes" in said


def test_help_imports_no_command_and_nothing_heavy() -> None:
    look = f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    code = f"import sys, handlers.cli; handlers.cli.run(['--help']); {look}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_version_is_the_version_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("rapport 0.")


def test_an_unknown_command_is_one_line_with_a_near_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulat"]) == EXIT_USAGE
    assert capsys.readouterr().err == "rapport: unknown command 'simulat', did you mean 'simulate'? See: rapport --help\n"


def test_a_setting_with_a_slip_in_its_name_is_told_and_the_command_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPPORT_PARTITONS", "64")
    monkeypatch.setenv("RAPPORT_PARTITIONS", "8")
    assert run(["contracts", "show", "client.erased"]) == 0
    assert capsys.readouterr().err == (
        "rapport: RAPPORT_PARTITONS is set, and no setting is called so; did you mean RAPPORT_PARTITIONS?\n"
    )
    run(["contracts", "show", "--help"])
    assert not capsys.readouterr().err


def test_a_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", "--nope", "x.csv"]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert said.startswith("rapport: ")
    assert said.count("\n") == 1


def test_a_terminal_that_lacks_a_letter_of_a_name_still_shows_the_rest(tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("Client,Échéance,Montant,Date\nŁódź,2024-03-31,10.00,2024-03-01\n", encoding="utf-8")
    command = [*RAPPORT, "import", str(book), "--dry-run"]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"due_on          <- ?ch?ance" in done.stdout


def test_wrong_usage_says_where_the_command_is_taught(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["learners", "activate"]) == EXIT_USAGE
    assert capsys.readouterr().err.endswith("See: rapport learners activate --help\n")


@pytest.mark.parametrize("port", ["99999", "-4"])
@pytest.mark.parametrize("words", ["worker", "run-trainer", "run-lag-exporter", "feeds watch"])
def test_a_port_that_is_none_is_refused_before_anything_is_asked(
    words: str, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert run([*words.split(), "--metrics-port", port]) == EXIT_USAGE
    assert "METRICS_PORT" in capsys.readouterr().err


ASKING = (
    "after-paid", "dead-letters list", "experiments list", "experiments report", "experiments steps", "feeds list", "fence show",
    "halt", "inspect client ada", "inspect trigger abc", "lag", "learners check", "learners cohorts", "learners list",
    "learners pin", "learners promote", "learners regenerate", "learners show", "overrides list", "overrides report",
    "segments movers", "tasks list",
)  # fmt: skip


@pytest.mark.parametrize("words", ASKING)
def test_servers_that_are_away_are_one_line_with_what_to_check(
    words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert run(words.split()) == EXIT_FAILED
    said = capfd.readouterr().err
    assert said.startswith("rapport: "), said
    assert said.count("\n") == 1
    assert "KAFKA_BOOTSTRAP" in said or "REDIS_URL" in said or "rapport doctor" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("no such file"), EXIT_USAGE), (RetryError("Kafka is away"), EXIT_FAILED)],
)
def test_errors_with_a_fix_are_one_line_and_an_exit_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert _fail_with(error) == code
    assert capsys.readouterr().err == f"rapport: {error}\n"


def test_what_redis_refuses_is_one_line_and_what_nobody_foresaw_is_not_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert _fail_with(ResponseError("DB index is out of range")) == EXIT_FAILED
    said = capsys.readouterr().err
    assert said.startswith("rapport: Redis refuses it (ResponseError: DB index is out of range); check REDIS_URL")
    assert said.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        _fail_with(ZeroDivisionError())


def test_ctrl_c_ends_with_one_word_and_the_code_of_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    assert _fail_with(KeyboardInterrupt()) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "Stopped.\n"


@pytest.mark.parametrize("words", ["--help", "policy show", "contracts show payment.received", "import {book} --dry-run"])
def test_a_reader_that_leaves_early_ends_the_command_quietly(words: str, tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("Customer,Date,Amount\n" + "C1,2024-05-02,10\n" * 3, encoding="utf-8")
    with _pipe_nobody_reads() as pipe:
        done = subprocess.run([*RAPPORT, *words.format(book=book).split()], stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (EXIT_BROKEN_PIPE, b"")


def test_a_reader_of_complaints_that_leaves_early_ends_the_command_quietly() -> None:
    with _pipe_nobody_reads() as pipe:
        done = subprocess.run([*RAPPORT, "nonsense"], stdout=subprocess.PIPE, stderr=pipe, check=False)
    assert (done.returncode, done.stdout) == (EXIT_BROKEN_PIPE, b"")


@pytest.mark.parametrize("words", ["--help", "simulate"])
def test_a_command_started_without_an_output_does_its_work(words: str) -> None:
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *RAPPORT, *words.split()], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@contextmanager
def _pipe_nobody_reads() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_teaches_what_for_an_example_or_subcommands_and_its_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert len(said) > 150
    assert "xample" in said or "COMMAND" in said
    assert "xit code" in said or "COMMAND" in said


def _runnable(command: Command) -> Iterator[tuple[str, App]]:
    """Whatever can be run of a command, by the words that run it: itself, or each of its subcommands."""
    app = build_app(chosen=command.name)[command.name]
    if isinstance(load_command(command), App):
        yield from ((f"{command.name} {name}", app[name]) for name in app if not name.startswith("-"))
    else:
        yield command.name, app


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_whatever_can_be_run_shows_an_example_of_itself_and_says_what_each_word_means(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, app in _runnable(command):
        assert run([*words.split(), "--help"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        written = [" ".join(line.split()) for line in (app.default_command.__doc__ or "").splitlines()]
        examples = [line for line in written if line.startswith("rapport ")]
        assert [line for line in examples if line not in said] == [], words
        assert said.count(f"rapport {words}") > 1, f"{words}: only its usage names it"
        assert not any(noise in said for noise in ("[default: False]", "[default: ()]", '[default: ""]', "--empty-")), words
        assert [each.name for each in app.assemble_argument_collection() if each.show and not each.parameter.help] == [], words

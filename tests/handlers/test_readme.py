import ast
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from handlers.webhooks.signatures import Refusal, StandardVerifier
from streams.runtime.settings import Settings
from streams.sources.registry import read_body
from tests.commands import environment_of
from tests.readme.parts import PARTS, README, REPOSITORY, names, renewed

TEXT = README.read_text(encoding="utf-8")
FENCES = re.compile(r"^```(?P<kind>\w+)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = [line for fence in FENCES.finditer(TEXT) if fence["kind"] == "sh" for line in fence["content"].splitlines()]

# Commands that run for minutes, for ever, or need a machine of their own, and the test that runs the same.
EQUIVALENTS = {
    "make demo": "tests/integration/test_demo.py::"
    "test_the_demo_loses_nothing_to_a_killed_worker_adopts_an_old_book_silently_and_ends_with_lag_zero",
    "make test": "tests/handlers/test_readme.py::test_every_command_in_the_readme_runs",
    'eval "$(rapport stack up)"': "tests/handlers/test_stack.py::test_a_named_stack_keeps_its_data_and_addresses",
    "rapport stack status": "tests/handlers/test_stack.py::test_a_named_stack_keeps_its_data_and_addresses",
    "rapport stack down": "tests/handlers/test_stack.py::test_a_named_stack_keeps_its_data_and_addresses",
    """RAPPORT_WEBHOOK_SECRETS='{"stripe": ["whsec_..."]}' rapport serve-webhooks""": "tests/integration/test_gateway.py::"
    "test_sigterm_lets_the_request_finish_and_the_process_ends_well",
    "rapport worker": "tests/integration/test_engine_crew.py::"
    "test_a_worker_told_to_stop_leaves_with_code_0_and_never_listens_on_faust_s_port",
    "rapport run-trainer": "tests/integration/test_trainer.py::"
    "test_a_trainer_killed_anywhere_learns_each_example_once_and_workers_score_as_the_log_says",
    "rapport run-channels": "tests/integration/test_channels.py::"
    "test_tasks_for_people_are_written_to_a_file_and_a_stopped_process_leaves_with_zero",
    'rapport inspect client "Hollis & Wray"': "tests/integration/test_replay_and_inspect.py::"
    "test_a_history_replayed_twice_is_known_once_and_a_client_is_explained_with_what_was_not_sent",
}


def _exists(test: str) -> bool:
    path, _, name = test.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in ast.walk(tree))


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_every_command_in_the_readme_runs(settings: Settings, tmp_path: Path) -> None:
    (book,) = [fence["content"] for fence in FENCES.finditer(TEXT) if fence["kind"] == "csv"]
    (tmp_path / "book.csv").write_text(book, encoding="utf-8")
    environment = environment_of(settings, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    executed = [command for command in COMMANDS if command not in EQUIVALENTS]
    assert len(executed) >= 8
    for command in executed:
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # noqa: S602 (our README)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_commands_that_are_not_run_here_have_a_test_that_runs_the_same() -> None:
    assert set(EQUIVALENTS) <= set(COMMANDS)
    assert [test for test in EQUIVALENTS.values() if not _exists(test)] == []


def test_the_webhook_that_is_signed_by_hand_is_believed_and_read() -> None:
    (script,) = [fence["content"] for fence in FENCES.finditer(TEXT) if fence["kind"] == "bash"]
    (secret,) = re.findall(r'{"generic": \["(whsec_[^"]+)"\]}', TEXT)
    called = "curl() { printf '%s\\0' \"$@\"; }; rapport() { :; }\n" + script
    done = subprocess.run(["bash", "-euc", called], capture_output=True, text=True, check=True)
    words = done.stdout.split("\0")
    headers = dict(word.split(": ", 1) for flag, word in pairwise(words) if flag == "-H")
    body = words[words.index("--data-binary") + 1].encode()
    signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert words[1] == "http://127.0.0.1:8080/webhooks/generic"
    assert headers["content-type"] == "application/json"
    assert StandardVerifier([secret]).refusal(body, headers, now=signed_at) is None
    assert StandardVerifier([secret]).refusal(body + b" ", headers, now=signed_at) is Refusal.MISMATCH
    (event,) = read_body("generic", body, received_at=signed_at).told()
    assert (event.kind, event.client_id) == ("invoice.issued", "hollis-wray")


@pytest.mark.parametrize("document", PARTS, ids=lambda document: document.name)
def test_the_parts_made_from_the_code_are_up_to_date(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert sorted(names(text)) == sorted(PARTS[document])
    assert renewed(document) == text, "make them anew: .venv/bin/python -m tests.readme"


def test_every_promise_names_a_test_that_exists() -> None:
    promised = re.findall(r"`(tests/\S+::test_\w+)`", TEXT)
    assert len(promised) >= 12
    assert [test for test in promised if not _exists(test)] == []


def test_every_file_that_the_pictures_in_the_readme_name_exists() -> None:
    named = re.findall(r"\b((?:handlers|models|streams|tests)/[\w/]+\.(?:py|txt))\b", TEXT)
    assert [path for path in named if not (REPOSITORY / path).exists()] == []

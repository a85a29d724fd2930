"""Rules that no linter knows: they are read from the syntax tree, so that prose may mention what code must not do."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import BEGIN_FIRST, REPOSITORY

PACKAGES = ("models", "streams", "handlers")
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
CLOCK = Path("streams/runtime/clock.py")
CONNECTING = Path("streams/wire/kafka.py")
# The one place in which tests wait.
WAITING = Path("tests/waiting.py")
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}
CLOCK_READS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("random", "random"),
    ("random", "choice"),
    ("random", "randint"),
    ("secrets", "token_hex"),
    ("secrets", "token_bytes"),
}
WALL_CLOCK = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow")}
SLEEPS = {("time", "sleep"), ("asyncio", "sleep")}
SKIPS = {("monkeypatch", "setattr"), ("pytest", "skip"), ("pytest", "xfail"), ("pytest", "importorskip")}


def modules(*folders: str) -> list[Path]:
    found = [path.relative_to(REPOSITORY) for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    return sorted(path for path in found if "__pycache__" not in path.parts)


@cache
def text_of(path: Path) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text_of(path))))


def dotted_calls(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Every call `a.b(...)` or `x.a.b(...)` as (a, b) and where it is."""
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if node.func.attr == "sleep" and [ast.unparse(each) for each in node.args] == ["0"]:
                continue  # lets other tasks run and waits for nothing
            yield (name, node.func.attr), f"{path}:{node.lineno} {name}.{node.func.attr}"


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_top_level_is_the_fixed_one() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {name.split("/")[0] for name in listed if "/" in name and not name.startswith(".")}
    assert folders == {*PACKAGES, "tests", "deploy", "docs"}


def test_modules_are_short_and_say_what_they_are() -> None:
    for path in modules(*PACKAGES):
        assert text_of(path).count("\n") <= LONGEST_MODULE, path
        assert path.stem not in VAGUE, path
        assert ast.get_docstring(ast.parse(text_of(path))), path


def test_functions_are_short() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in modules(*PACKAGES)
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_only_one_module_reads_the_clock_or_throws_dice() -> None:
    sources = [path for path in modules(*PACKAGES) if path != CLOCK]
    assert [where for path in sources for call, where in dotted_calls(path) if call in CLOCK_READS] == []


def test_an_init_file_holds_a_docstring_and_nothing_else() -> None:
    for path in modules(*PACKAGES):
        if path.name == "__init__.py":
            (only,) = ast.parse(text_of(path)).body
            assert isinstance(only, ast.Expr), path


def test_no_error_is_swallowed_whole() -> None:
    swallowed = [
        f"{path}:{node.lineno}"
        for path in modules(*PACKAGES)
        for node in nodes_of(path)
        if isinstance(node, ast.ExceptHandler)
        and all(isinstance(step, ast.Pass) for step in node.body)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    assert swallowed == []


def test_no_stub_is_left() -> None:
    for path in modules(*PACKAGES):
        assert "NotImplementedError" not in {node.id for node in nodes_of(path) if isinstance(node, ast.Name)}, path
        assert not any(word in text_of(path) for word in ("TO" + "DO", "FIX" + "ME")), path


def test_tests_mock_nothing_and_skip_nothing() -> None:
    for path in modules("tests"):
        assert not any(name.startswith(("unittest." + "mock", "mock", "pytest_mock")) for name in imported(path)), path
        assert [where for call, where in dotted_calls(path) if call in SKIPS] == []
        marks = {node.attr for node in nodes_of(path) if isinstance(node, ast.Attribute)}
        assert {"skip", "skipif", "xfail"}.isdisjoint(marks), path


def test_tests_do_not_sleep_and_do_not_read_the_wall_clock() -> None:
    tests = [path for path in modules("tests") if path != WAITING]
    assert [where for path in tests for call, where in dotted_calls(path) if call in SLEEPS | WALL_CLOCK] == []


def test_nobody_opens_a_connection_to_kafka_but_as_the_settings_say() -> None:
    clients = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "AIOKafkaClient"}
    opened, otherwise = 0, []
    for path in modules(*PACKAGES):
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in clients:
                opened += 1
                spread = [ast.unparse(word.value) for word in node.keywords if word.arg is None]
                if not any(each.startswith("kafka_options(") for each in spread):
                    otherwise.append(f"{path}:{node.lineno}")
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "create_conn" and path != CONNECTING:
                otherwise.append(f"{path}:{node.lineno}")
    assert otherwise == []
    assert opened > 0


def test_the_files_that_begin_first_are_there_and_named_once() -> None:
    assert [file for file in BEGIN_FIRST if not (REPOSITORY / file).is_file()] == []
    assert len(set(BEGIN_FIRST)) == len(BEGIN_FIRST)

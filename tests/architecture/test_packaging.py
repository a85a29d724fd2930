"""The architecture's import contracts, and the wheel that people install."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from handlers.cli import COMMANDS
from tests.conftest import REPOSITORY

SCRIPTS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, str(folder)], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return folder / done.stdout.split()[-1]


def test_the_import_contracts_hold() -> None:
    done = subprocess.run([SCRIPTS / "lint-imports", "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_the_three_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"models", "streams", "handlers", f"{wheel.name.split('-py3')[0]}.dist-info"}
    source = {
        str(path.relative_to(REPOSITORY))
        for package in ("models", "streams", "handlers")
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == source


def test_the_installed_command_works_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    zipfile.ZipFile(wheel).extractall(site)
    # Dependencies are lent from here: installing them anew would test the package index, not us. The checkout is not lent.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [home / "bin" / "python", "-I", "-c", "from handlers.cli import main; main()", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    where = "import handlers, models, streams; print(handlers.__file__, models.__file__, streams.__file__)"
    found = subprocess.run([home / "bin" / "python", "-I", "-c", where], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert all(path.startswith(str(home)) for path in found.stdout.split()), found.stdout
    shown = run("--help")
    assert shown.returncode == 0, shown.stderr
    assert all(command.name in shown.stdout for command in COMMANDS)
    assert run("stack", "--help").returncode == 0


@pytest.mark.parametrize(
    ("loaded", "heavy"),
    [
        ("streams.app, streams.engine.program", {"numpy", "scipy", "river", "holidays"}),
        ("handlers.commands.tasks, handlers.commands.segments.reviewing", {"numpy", "scipy", "river"}),
        ("handlers.commands.segments.commands, handlers.commands.learners.commands", {"pandas", "sklearn", "river.drift"}),
    ],
    ids=["a worker", "the list of tasks", "segments and learners"],
)
def test_nobody_loads_what_others_reckon_with_before_it_is_needed(loaded: str, heavy: set[str]) -> None:
    look = f"import sys, {loaded}; print(sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", look], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

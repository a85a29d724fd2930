"""Fixtures of tests that run the program's commands on real servers."""

import subprocess
from collections.abc import Iterator

import pytest

from streams.runtime.settings import Settings
from tests.commands import RAPPORT, environment_of


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """Environment of commands about this test's own deployment."""
    return environment_of(settings)


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A running `rapport worker`, stopped after the test."""
    process = subprocess.Popen([*RAPPORT, "worker"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    process.terminate()
    process.wait(60)

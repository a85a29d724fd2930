"""Fixtures of tests that run the program's commands on real servers."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from handlers.demo.smtp_sink import SmtpSink
from streams.runtime.clock import FileClock
from streams.runtime.settings import Settings
from tests.commands import RAPPORT, environment_of
from tests.conftest import SettingsMaker


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


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    """A mail server that keeps what it is given."""
    async with SmtpSink() as made:
        yield made


@pytest.fixture
def settings_with_links(make_settings: SettingsMaker, tmp_path: Path) -> Callable[[datetime], Settings]:
    """Make settings of a gateway whose links work, under a clock that stands."""

    def make(now: datetime) -> Settings:
        clock_file = tmp_path / "clock"
        FileClock.write(clock_file, now)
        return make_settings(
            clock_file=clock_file,
            webhook_secrets={"stripe": [SecretStr("whsec_links")]},
            webhook_port=0,
            link_secrets=["k" * 40],
            link_url="http://127.0.0.1:8080",
        )

    return make

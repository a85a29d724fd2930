"""The pitfalls of stock Faust that need minutes or processes of their own: rows 20, 22 and 28 of docs/chaos.md."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.stack.ports import free_ports
from handlers.stack.threads import run_apart
from streams.runtime.settings import Settings
from streams.wire.admin import admin_client
from tests.chaos.listening import listens
from tests.conftest import SettingsMaker
from tests.integration.stock_faust import Stock, numbers, produce, raw_topic, stock_app
from tests.waiting import pause, until, until_async

pytestmark = pytest.mark.integration

PROGRAM = """
import sys

import faust

app = faust.App({group!r}, broker="kafka://{bootstrap}", store="memory://", web_enabled=False, autodiscover=False,
                topic_disable_leader=True, topic_allow_declare=False, datadir={folder!r}, stream_wait_empty=True)

@app.agent(app.topic({topic!r}, value_serializer="raw"))
async def agent(stream):
    async for value in stream:
        print("got", value, flush=True)
        if {leaves}:
            sys.exit(3)

app.main()
"""


def _program(settings: Settings, folder: Path, *, leaves: bool) -> Path:
    path = folder / "stock.py"
    text = PROGRAM.format(
        group=settings.group,
        bootstrap=settings.kafka_bootstrap,
        folder=str(folder / "data"),
        topic=settings.topic("payments"),
        leaves=leaves,
    )
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def alone(make_settings: SettingsMaker) -> Settings:
    return make_settings(partitions=1)


def test_row_20_a_worker_that_wants_to_exit_hangs_while_it_stops(alone: Settings, tmp_path: Path) -> None:
    run_apart(produce(alone, numbers(3)))
    command = [sys.executable, str(_program(alone, tmp_path, leaves=True)), "worker", "--without-web"]
    log = tmp_path / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as worker:
        try:
            until(lambda: "got" in log.read_text(), what="the first event")
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(15)
        finally:
            worker.kill()


def test_row_28_a_worker_with_web_enabled_off_listens_all_the_same(alone: Settings, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, str(_program(alone, tmp_path, leaves=False)), "worker", "--web-port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as worker:
        try:
            until(lambda: listens(port), what="its web server")
        finally:
            worker.kill()


async def test_row_22_a_worker_without_partitions_leaves_the_group_and_never_takes_over(alone: Settings) -> None:
    short = {"broker_max_poll_interval": 4.0, "broker_session_timeout": 6, "broker_heartbeat_interval": 1}
    first, spare = stock_app(alone, **short), stock_app(alone, **short)
    for app in (first, spare):
        app.agent(raw_topic(app, alone))(_read)
    for app in (first, spare):
        app.finalize()
        await app.start()
    try:
        await until_async(lambda: _members(alone, 2), timeout=60, what="both members")
        await until_async(lambda: first.consumer.assignment() or spare.consumer.assignment(), what="an owner")
        await until_async(lambda: _members(alone, 1), timeout=60, what="the idle member to leave")
        owner, idle = (first, spare) if first.consumer.assignment() else (spare, first)
        await owner.stop()
        await pause(10)
        assert not idle.consumer.assignment()
    finally:
        await first.stop()
        await spare.stop()


async def _read(stream: Stock) -> None:
    async for _ in stream:
        await asyncio.Event().wait()


async def _members(settings: Settings, count: int) -> bool:
    async with admin_client(settings) as client:
        described = await client.describe_consumer_groups([settings.group])
    return len(described[0].groups[0][5]) == count

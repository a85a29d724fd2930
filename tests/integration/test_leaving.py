"""Workers that are asked to leave at a bad moment: they end with 0, whatever the group or the servers do just then."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from streams.runtime.settings import Settings
from streams.wire.admin import admin_client
from tests.integration.engine_world import crew_of
from tests.waiting import until, until_async

pytestmark = pytest.mark.integration


async def test_a_worker_leaves_while_the_group_waits_for_a_member_that_hangs(settings: Settings, tmp_path: Path) -> None:
    patient = {"RAPPORT_SESSION_SECONDS": "120"}
    with crew_of(settings, tmp_path) as crew:
        first = crew.start(**patient)
        await asyncio.to_thread(first.until_working)
        second = crew.start(**patient)
        await asyncio.to_thread(second.until_working)
        await until_async(lambda: first.log.read_text().count("partitions assigned") == 2, what="both to share")
        second.process.send_signal(signal.SIGSTOP)
        crew.start(**patient)
        await until_async(lambda: first.log.read_text().count("partitions revoked") == 2, timeout=90, what="the third to join")
        assert await asyncio.to_thread(first.stop) == 0
        # Of the group remain the one that does not answer and the one that joins.
        await until_async(lambda: members_of(settings, 2), what="the group to know that one has left")


async def members_of(settings: Settings, count: int) -> bool:
    async with admin_client(settings) as admin:
        (answer,) = await admin.describe_consumer_groups([settings.group])
    ((_, _, _, _, _, members, *_),) = answer.groups
    return len(members) == count


async def test_a_worker_that_is_asked_again_and_again_while_it_stops_still_ends_with_code_0(
    settings: Settings, tmp_path: Path
) -> None:
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start().until_working()
        numbers = cycle((signal.SIGTERM, signal.SIGINT))

        def ended() -> bool:
            worker.process.send_signal(next(numbers))
            return worker.process.poll() is not None

        until(ended, timeout=60, what="the end")
        assert worker.process.wait() == 0


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that takes connections and never answers, as a broker that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.mark.parametrize("module", ["tests.streams.counting_worker", "handlers.cli worker", "handlers.cli run-trainer"])
def test_who_still_waits_for_kafka_leaves(module: str, silent_server: socket.socket, tmp_path: Path) -> None:
    settings = Settings(kafka_bootstrap=f"127.0.0.1:{silent_server.getsockname()[1]}", redis_url="redis://127.0.0.1:1")
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start(module=module)
        with silent_server.accept()[0]:
            assert worker.stop() == 0

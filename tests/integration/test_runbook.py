"""The commands that deploy/RUNBOOK.md tells an operator to run, run as it tells them, on a system in that state."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from redis.asyncio import Redis

from streams.runtime.lifecycle import EXIT_FAILED
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire.admin import admin_client
from streams.wire.codec import encode_event
from streams.wire.topics import CLIENT_EVENTS, PAYMENTS, TRIGGERS
from tests.chaos.proxy import Proxy
from tests.conftest import REPOSITORY, SettingsMaker
from tests.integration.engine_world import (
    Worker,
    accepted,
    assert_equals_oracle,
    crew_of,
    environment,
    feed,
    on_the_log,
    payment,
    read_topic,
    to_topic,
    until_caught_up,
)
from tests.streams.counting import CountingProgram
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

RUNBOOK = (REPOSITORY / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
LOOKS_OFTEN = {"RAPPORT_IDLE_CHECK_SECONDS": "0.5"}


@pytest.fixture
def alone(make_settings: SettingsMaker) -> Settings:
    return make_settings(partitions=1)


def told(start: str) -> str:
    """Return the command in the runbook that begins with `start`, as it stands there."""
    (command,) = {line for line in re.findall(r"`rapport ([^`]+)`", RUNBOOK) if line.startswith(start)}
    return str(command)


def run(settings: Settings, command: str) -> "subprocess.CompletedProcess[str]":
    arguments = [sys.executable, "-m", "handlers.cli", *command.split()]
    return subprocess.run(
        arguments, cwd=REPOSITORY, env=environment(settings, COLUMNS="200"), capture_output=True, text=True, check=False
    )


async def delete_all(settings: Settings, topic: str) -> None:
    async with admin_client(settings) as client:
        await client.delete_records({TopicPartition(settings.topic(topic), 0): RecordsToDelete(-1)})


async def forget_group(settings: Settings, *, generation: int) -> None:
    redis: Redis = connect_redis(settings)
    await redis.hset(
        PartitionKeys.of(settings, CLIENT_EVENTS.name, 0).fence,
        mapping={"gen": generation, "own": "a worker of the group that was deleted"},
    )
    await redis.aclose()


async def spoil_states(settings: Settings) -> None:
    redis: Redis = connect_redis(settings)
    states = PartitionKeys.of(settings, CLIENT_EVENTS.name, 0).states
    blobs = await redis.hgetall(states)
    first, second, *_ = blobs
    await redis.hset(states, first, blobs[second])
    await redis.aclose()


async def test_wrong_states_are_rebuilt_by_the_runbook_s_command_and_nothing_is_published_again(
    alone: Settings, tmp_path: Path
) -> None:
    await feed(alone, on_the_log([payment(number) for number in range(300)], alone))
    with crew_of(alone, tmp_path) as crew:
        crew.start(**LOOKS_OFTEN)
        await until_caught_up(alone)
        await spoil_states(alone)
        answer = run(alone, told("fence rebuild"))
        assert "is folded again" in answer.stdout, answer.stderr
        await until_caught_up(alone)
    await assert_equals_oracle(alone, CountingProgram())
    (records,) = (await read_topic(alone, TRIGGERS["email"])).values()
    assert len(accepted(records)) == len(records)


async def test_a_fence_of_higher_generations_than_the_group_s_is_superseded_by_the_runbook_s_command(
    alone: Settings, tmp_path: Path
) -> None:
    await feed(alone, on_the_log([payment(number) for number in range(50)], alone))
    with crew_of(alone, tmp_path) as crew:
        crew.start(**LOOKS_OFTEN)
        await until_caught_up(alone)
        await forget_group(alone, generation=999)
        answer = run(alone, told("fence supersede"))
        assert "new incarnation" in answer.stdout, answer.stderr
        await feed(alone, on_the_log([payment(number) for number in range(50, 80)], alone))
        await until_caught_up(alone)
    await assert_equals_oracle(alone, CountingProgram())


async def test_a_partition_that_retention_passed_halts_until_the_runbook_s_command_accepts_exactly_what_is_lost(
    alone: Settings, tmp_path: Path
) -> None:
    payments = [to_topic(PAYMENTS, encode_event(payment(number)), key=b"k") for number in range(60)]
    with crew_of(alone, tmp_path) as crew:
        first = crew.start(**LOOKS_OFTEN)
        await feed(alone, payments[:20])
        await until_caught_up(alone)
        first.stop()
        await feed(alone, payments[20:50])
        await delete_all(alone, PAYMENTS.name)
        second = crew.start(**LOOKS_OFTEN)
        until(lambda: second.said("partition halted"), timeout=120, what="the halt")
        await feed(alone, payments[50:])
        shown = run(alone, told("fence show"))
        assert (shown.returncode, "deleted before folded" in shown.stdout) == (1, True)
        command = told("fence accept-loss")
        wrong = run(alone, command.replace(" N", " 7"))
        assert (wrong.returncode, "say --records 30" in wrong.stderr) == (2, True)
        assert run(alone, command.replace(" N", " 30")).returncode == 0
        await until_caught_up(alone)
        assert run(alone, told("fence show")).returncode == 0
    log = (await read_topic(alone, CLIENT_EVENTS))[0]
    assert len({record.value for record in log if record.key != b""}) == 30


async def test_a_worker_whose_partition_does_not_move_exits_by_itself_with_code_70(alone: Settings, tmp_path: Path) -> None:
    await feed(alone, on_the_log([payment(number) for number in range(20)], alone))
    with Proxy(int(alone.redis_url.rsplit(":", 1)[1].split("/")[0])) as redis, crew_of(alone, tmp_path) as crew:
        behind = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "RAPPORT_STALL_SECONDS": "3", "RAPPORT_EXIT_SECONDS": "3"}
        worker: Worker = crew.start(**LOOKS_OFTEN, **behind)
        redis.set(silent=True)
        assert worker.until_dead() == EXIT_FAILED
        assert worker.said("does not move")
    assert "exits by itself after `RAPPORT_STALL_SECONDS`, with code 70" in " ".join(RUNBOOK.split())

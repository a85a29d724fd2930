"""The local stack as people and tests use it: real servers, real processes, real kills."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from handlers.stack.errors import StackError
from handlers.stack.local import LocalStack, delete_stack
from handlers.stack.threads import run_apart
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.wire.admin import admin_client, ensure_topics, read_topics
from streams.wire.topics import TOPICS
from tests.conftest import Servers
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def name() -> Iterator[str]:
    """Name of a stack of this test's own, deleted afterwards."""
    name = f"test-{fresh_id()[:10]}"
    yield name
    LocalStack(name=name).stop()
    delete_stack(name)


def rapport(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in {"KAFKA_BOOTSTRAP", "REDIS_URL"}}
    return subprocess.run(
        [sys.executable, "-c", "from handlers.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**inherited, **environment},
    )


def settings_of(stack: LocalStack) -> Settings:
    return Settings(kafka_bootstrap=stack.kafka_bootstrap, redis_url=stack.redis_url, partitions=2)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def pids(stack: LocalStack) -> list[int]:
    return [server.pid for server in stack.servers() if server.pid is not None]


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


async def coordinator(settings: Settings) -> int:
    async with admin_client(settings) as client:
        return int(await client.find_coordinator(settings.group))


def test_two_stacks_side_by_side_do_not_see_each_other() -> None:
    with LocalStack() as one, LocalStack() as other:
        run_apart(ensure_topics(settings_of(one)))
        assert run_apart(coordinator(settings_of(one))) >= 0, "who joins a group of a new broker next need not ask twice"
        assert len(run_apart(read_topics(settings_of(one)))) == len(TOPICS)
        assert run_apart(read_topics(settings_of(other))) == {}
        folders = one.folder, other.folder
        processes = [*pids(one), *pids(other)]
        assert len(set(processes)) == 4
    assert not any(map(alive, processes))
    assert not any(folder.exists() for folder in folders)


def test_servers_can_be_killed_and_halted_and_go_on_with_their_data() -> None:
    with LocalStack() as stack, Redis.from_url(stack.redis_url) as redis:
        run_apart(ensure_topics(settings_of(stack)))
        redis.set("kept", "yes")
        stack.kill("valkey")
        stack.halt("kafka-1")
        assert pids(stack) == []
        stack.resume("valkey")
        stack.resume("kafka-1")
        assert redis.get("kept") == b"yes"
        assert len(run_apart(read_topics(settings_of(stack)))) == len(TOPICS)


def test_nothing_outlives_a_process_that_is_killed_without_warning() -> None:
    program = (
        "import sys\n"
        "from handlers.stack.local import LocalStack\n"
        "stack = LocalStack()\n"
        "stack.start()\n"
        "print(stack.folder, *(server.pid for server in stack.servers()), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, *processes = parent.stdout.readline().split()
        parent.send_signal(signal.SIGKILL)
    assert len(processes) == 2
    until(lambda: not any(alive(int(pid)) for pid in processes), what="the servers to die with their parent")
    until(lambda: not Path(folder).exists(), what="their data to be deleted")


def test_nothing_outlives_a_supervisor_that_is_killed_without_warning(name: str) -> None:
    stack = LocalStack(name=name, detached=True)
    stack.start()
    processes = pids(stack)
    supervisor = os.getsid(processes[0])
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not any(map(alive, processes)), what="the servers to die with their supervisor")
    until(lambda: not stack.is_running(), what="the lock to be free")
    assert stack.servers() == []
    done = rapport("stack", "status", "--name", name)
    assert (done.returncode, "stopped" in done.stdout) == (1, True)


def test_a_named_stack_keeps_its_data_and_addresses(name: str) -> None:
    up = rapport("stack", "up", "--name", name)
    assert up.returncode == 0, up.stderr
    again = rapport("stack", "up", "--name", name)
    assert (again.stdout, "already ran" in again.stderr) == (up.stdout, True)
    exports = dict(line.removeprefix("export ").split("=", 1) for line in up.stdout.splitlines())
    assert set(exports) == {"KAFKA_BOOTSTRAP", "REDIS_URL"}
    with Redis.from_url(exports["REDIS_URL"]) as redis:
        redis.set("kept", "yes")
    processes = pids(LocalStack(name=name))
    down = rapport("stack", "down", "--name", name)
    assert (down.returncode, any(map(alive, processes))) == (0, False)
    assert "does not run" in rapport("stack", "down", "--name", name).stderr

    # The shell still has the addresses of this very stack: they must not be taken for somebody else's servers.
    assert rapport("stack", "up", "--name", name, **exports).stdout == up.stdout
    with Redis.from_url(exports["REDIS_URL"]) as redis:
        assert redis.get("kept") == b"yes"
    settings = Settings(kafka_bootstrap=exports["KAFKA_BOOTSTRAP"], redis_url=exports["REDIS_URL"])
    assert run_apart(ensure_topics(settings)) == []
    status = rapport("stack", "status", "--name", name)
    assert status.returncode == 0
    assert exports["KAFKA_BOOTSTRAP"] in status.stdout
    assert "valkey.log" in rapport("stack", "logs", "valkey", "--name", name).stdout
    doctor = rapport("doctor", **exports)
    assert (doctor.returncode, "Nothing is missing" in doctor.stdout) == (0, True), doctor.stdout


def test_a_stack_whose_port_was_taken_meanwhile_starts_elsewhere_with_its_data(name: str) -> None:
    stack = LocalStack(name=name)
    stack.start()
    run_apart(ensure_topics(settings_of(stack)))
    before = stack.kafka_bootstrap
    stack.stop()
    with listening(int(before.rsplit(":", 1)[1])):
        stack.start()
        assert stack.kafka_bootstrap != before
        assert len(run_apart(read_topics(settings_of(stack)))) == len(TOPICS)


def test_a_server_that_cannot_start_is_named_with_the_end_of_its_log(name: str) -> None:
    stack = LocalStack(name=name)
    stack.start()
    stack.stop()
    (stack.folder / "data" / "kafka-1" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    with pytest.raises(StackError, match=r"(?s)kafka-1 ended with code 1; from .*node id 7"):
        stack.start()
    assert not stack.is_running()


def test_three_brokers_keep_three_copies(name: str) -> None:
    with LocalStack(brokers=3) as stack:
        settings = settings_of(stack)
        run_apart(ensure_topics(settings))

        async def copies() -> set[int]:
            async with admin_client(settings) as client:
                topics = await client.describe_topics([TOPICS[0].name])
            return {len(partition["replicas"]) for topic in topics for partition in topic["partitions"]}

        assert run_apart(copies()) == {3}
    single = LocalStack(name=name)
    single.start()
    single.stop()
    with pytest.raises(StackError, match="1 brokers, now 3"):
        LocalStack(name=name, brokers=3).start()


def test_existing_servers_are_checked_and_nothing_is_started(servers: Servers, name: str) -> None:
    prefix = f"{name}."
    done = rapport(
        *("stack", "up", "--name", name),
        KAFKA_BOOTSTRAP=servers.kafka_bootstrap,
        REDIS_URL=servers.redis_url,
        RAPPORT_TOPIC_PREFIX=prefix,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert servers.kafka_bootstrap in done.stderr
    assert not LocalStack(name=name).is_running()
    settings = Settings(kafka_bootstrap=servers.kafka_bootstrap, topic_prefix=prefix)
    assert len(run_apart(read_topics(settings))) == len(TOPICS)


def test_existing_servers_that_are_away_are_named_with_the_fix(name: str) -> None:
    away = rapport("stack", "up", "--name", name, KAFKA_BOOTSTRAP="127.0.0.1:1", REDIS_URL="redis://127.0.0.1:1/0")
    assert (away.returncode, "no Kafka answers at 127.0.0.1:1" in away.stderr) == (1, True)
    half = rapport("stack", "up", "--name", name, KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert (half.returncode, "REDIS_URL is not" in half.stderr) == (2, True)
    doctor = rapport("doctor", KAFKA_BOOTSTRAP="127.0.0.1:1", REDIS_URL="redis://:hush@127.0.0.1:1/0")
    assert (doctor.returncode, "2 missing" in doctor.stdout, "rapport stack up" in doctor.stdout) == (1, True, True)
    assert "hush" not in doctor.stdout
    assert doctor.stdout.index("RAPPORT_LOG_LEVEL") < doctor.stdout.index("no Kafka answers") < doctor.stdout.index("2 missing")

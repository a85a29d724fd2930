"""Fixtures that need the outside: real servers, settings of a test's own, the shared data. And the order of a run."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from redis import Redis
from xdist.workermanage import WorkerController

from handlers.stack.local import LocalStack
from handlers.stack.progress import Display
from handlers.stack.threads import run_apart
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.wire.admin import admin_client, ensure_topics
from streams.wire.topics import TOPICS
from tests.docker_servers import docker_answers, docker_servers
from tests.lent import Lender, borrow

# Timings are never asserted. In CI the examples are the same in each run; at home they are drawn anew.
hypothesis_settings.register_profile("rapport", deadline=None, derandomize="CI" in os.environ)
hypothesis_settings.load_profile("rapport")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(os.environ.get("RAPPORT_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SettingsMaker = Callable[..., Settings]
MOST_WORKERS = 6
BEGIN_FIRST = (
    "tests/simulator/test_simulator.py",
    "tests/integration/test_demo.py",
    "tests/integration/test_channels.py",
    "tests/models/test_journey_laws.py",
    "tests/handlers/test_stack.py",
    "tests/integration/test_trainer.py",
    "tests/handlers/test_learners_regenerate.py",
    "tests/integration/test_replay_and_inspect.py",
    "tests/integration/test_secured_kafka.py",
    "tests/integration/test_reviews.py",
    "tests/handlers/test_learning_floors.py",
    "tests/integration/test_engine_crew.py",
    "tests/integration/test_runbook.py",
    "tests/handlers/test_evaluate.py",
    "tests/integration/test_in_force.py",
    "tests/integration/test_engine_kills.py",
    "tests/handlers/test_readme.py",
    "tests/handlers/test_segments_command.py",
    "tests/integration/test_gateway.py",
    "tests/chaos/test_chaos.py",
)
"""The files that take longest, those that wait among those that reckon: with one of these at the end, a run would wait for it."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses of a real Kafka and a real Redis or Valkey that all tests of a session share."""

    kafka_bootstrap: str
    redis_url: str
    session_seconds: float = 6.0  # as brokers allow by default


_LENDER = pytest.StashKey[Lender[Servers]]()


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """The servers of this run. All its workers use the same: a broker for each would only take memory and cores."""
    address = getattr(pytestconfig, "workerinput", {}).get("lender")
    if address is None:
        with running_servers() as running:
            yield running
    else:
        yield borrow(address, Servers)


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Existing servers if both addresses are in the environment; else containers; else the local stack. Never none."""
    if {"KAFKA_BOOTSTRAP", "REDIS_URL"} <= os.environ.keys():
        yield Servers(os.environ["KAFKA_BOOTSTRAP"], os.environ["REDIS_URL"])
    elif docker_answers():
        with docker_servers() as (kafka_bootstrap, redis_url):
            yield Servers(kafka_bootstrap, redis_url)
    else:
        with LocalStack(display=Display()) as stack:
            yield Servers(stack.kafka_bootstrap, stack.redis_url, session_seconds=3.0)


def own_settings(servers: Servers | LocalStack, **fields: object) -> Settings:
    """Return settings for `servers` with a group, a namespace and topics of their own, which do not exist yet."""
    name = f"t{fresh_id()[:10]}"
    own = {"group": name, "namespace": name, "topic_prefix": f"{name}.", "partitions": 2}
    at = {"kafka_bootstrap": servers.kafka_bootstrap, "redis_url": servers.redis_url}
    return Settings.model_validate({**own, **at, **fields})


@pytest.fixture
def make_settings(servers: Servers) -> Iterator[SettingsMaker]:
    """Make settings with topics, group and namespace of their own on the shared servers; the topics exist already.

    Fields can be given, e.g. `make_settings(partitions=4)`. Topics and keys are deleted after the test.
    """
    with ExitStack() as cleanups:

        def make(**fields: object) -> Settings:
            settings = own_settings(servers, **{"session_seconds": servers.session_seconds, **fields})
            cleanups.callback(_delete, settings)
            run_apart(ensure_topics(settings))
            return settings

        yield make


@pytest.fixture
def settings(make_settings: SettingsMaker) -> Settings:
    """Settings of this test's own, with two partitions."""
    return make_settings()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of recorded webhooks and histories, which lies beside the repository."""
    return SHARED_DATA


def pytest_configure() -> None:
    """Learn on one thread, as the command does: on a busy machine the threads of the matrix library wait for each other."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers that workers shared."""
    if lender := config.stash.get(_LENDER, None):
        lender.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker whom to ask for servers."""
    lender = node.config.stash.get(_LENDER, None)
    if lender is None:
        lender = node.config.stash[_LENDER] = Lender(running_servers)
    node.workerinput["lender"] = lender.address


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two cores: a test that waits for a server leaves its core to another. Each takes half a gigabyte."""
    cores = len(os.sched_getaffinity(0))
    return min(MOST_WORKERS, cores + (cores + 1) // 2)


def pytest_collection_finish() -> None:
    """Let the collector of cycles pass over all that was made to collect the tests: none of it goes before the end."""
    gc.freeze()


@pytest.fixture
def chromium() -> str:
    """Return where Chromium is; who asks for it is left out where there is none."""
    assert CHROMIUM is not None
    return CHROMIUM


def pytest_report_header() -> list[str]:
    """Say whether the recorded payloads are there, and a browser."""
    recorded = str(SHARED_DATA)
    if not SHARED_DATA.is_dir():
        recorded = f"none at {SHARED_DATA}; tests that read them are deselected (RAPPORT_SHARED_DATA)"
    browser = CHROMIUM or "none; tests that look at pages in it are deselected (Debian: apt-get install chromium)"
    return [f"recorded webhooks and histories: {recorded}", f"Chromium: {browser}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs the recordings, which are not part of the repository, or a browser, where there is none.

    What takes long begins first (with --no-loadscope-reorder); all other files stay in the order that was drawn.
    """
    missing = {name for name, there in (("shared_data", SHARED_DATA.is_dir()), ("chromium", CHROMIUM is not None)) if not there}
    needing = [item for item in items if not missing.isdisjoint(getattr(item, "fixturenames", ()))]
    if needing:
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]
    places = {file: place for place, file in enumerate(BEGIN_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def _delete(settings: Settings) -> None:
    async def delete_topics() -> None:
        async with admin_client(settings) as client:
            await client.delete_topics([settings.topic(topic.name) for topic in TOPICS])

    run_apart(delete_topics())
    with Redis.from_url(settings.redis_url) as redis:
        keys = list(redis.scan_iter(match=f"*{settings.namespace}*", count=1000))
        if keys:
            redis.delete(*keys)

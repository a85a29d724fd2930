"""Where the demo runs: its servers, its deployment on them, its folder of logs. What it made is gone afterwards."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis import Redis

from handlers.demo.firm import YEAR_START
from handlers.demo.live import Stage
from handlers.stack.folders import cache_folder
from handlers.stack.local import LocalStack, delete_stack
from handlers.stack.progress import Display
from handlers.stack.threads import run_apart
from streams.runtime.clock import FileClock, fresh_id
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.admin import admin_client, ensure_topics
from streams.wire.kafka import security_of
from streams.wire.topics import TOPICS

PARTITIONS: Final = 4
KEPT_STACK: Final = "demo"
_LOGS_KEPT: Final = 5
_SESSION_SECONDS: Final = {True: 3, False: 6}
"""How long a killed worker keeps its partitions, on our own servers and on others: brokers refuse less than 6 by default."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses of Kafka and Redis, and whether they are the demo's own."""

    kafka_bootstrap: str
    redis_url: str
    own: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Settings of the demo's deployment, the shared clock, the folder of logs."""

    settings: Settings
    clock: Path
    logs: Path
    session_seconds: int


def log_folder() -> Path:
    """Return a new folder for the logs of this run; the oldest runs' are deleted."""
    folder = cache_folder() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    runs = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in runs[: max(len(runs) - _LOGS_KEPT + 1, 0)]:
        shutil.rmtree(old, ignore_errors=True)
    mine = folder / fresh_id()[:8]
    mine.mkdir()
    return mine


@contextmanager
def servers(stage: Stage, *, keep: bool) -> Iterator[Servers]:
    """Give running servers: those of the environment where it names them, else a local stack that ends with the block.

    With `keep`, the local stack is called `demo`, begins empty, and goes on running.
    """
    given = {name: os.environ[name] for name in ("KAFKA_BOOTSTRAP", "REDIS_URL") if os.environ.get(name)}
    if len(given) == 1:
        message = f"only {next(iter(given))} is set; set both KAFKA_BOOTSTRAP and REDIS_URL to use existing servers, or none"
        raise UsageError(message)
    if given:
        stage.say(f"using the servers at {given['KAFKA_BOOTSTRAP']} and {given['REDIS_URL']}")
        yield Servers(given["KAFKA_BOOTSTRAP"], given["REDIS_URL"], own=False)
    elif keep:
        LocalStack(name=KEPT_STACK).stop()
        delete_stack(KEPT_STACK)
        stage.say("starting Kafka and Valkey (they stay) ...")
        stack = LocalStack(name=KEPT_STACK, detached=True, display=Display())
        stack.start()
        with ExitStack() as unless_done:
            unless_done.callback(stack.stop)
            yield Servers(stack.kafka_bootstrap, stack.redis_url, own=True)
            unless_done.pop_all()  # only what went well stays
    else:
        stage.say("starting Kafka and Valkey ...")
        with LocalStack(display=Display()) as stack:
            yield Servers(stack.kafka_bootstrap, stack.redis_url, own=True)


@contextmanager
def deployment(on: Servers, *, logs: Path) -> Iterator[Place]:
    """Name a deployment on the servers and make its topics; on servers of others, all of it is deleted afterwards."""
    name = f"demo-{fresh_id()[:8]}"
    clock = logs / "clock"
    FileClock.write(clock, YEAR_START)
    names = {} if on.own else {"group": name, "namespace": name, "topic_prefix": f"{name}."}
    settings = Settings.model_validate(
        {
            **({} if on.own else security_of(load_settings())),
            "kafka_bootstrap": on.kafka_bootstrap,
            "redis_url": on.redis_url,
            "partitions": PARTITIONS,
            "clock_file": clock,
            **names,
        }
    )
    try:
        run_apart(ensure_topics(settings))
        yield Place(settings=settings, clock=clock, logs=logs, session_seconds=_SESSION_SECONDS[on.own])
    finally:
        if not on.own:
            _delete(settings)


def _delete(settings: Settings) -> None:
    async def delete_topics() -> None:
        async with admin_client(settings) as client:
            await client.delete_topics([settings.topic(topic.name) for topic in TOPICS])

    run_apart(delete_topics())
    with Redis.from_url(settings.redis_url) as redis:
        for key in redis.scan_iter(match=f"{{{settings.namespace}:*", count=1000):
            redis.delete(key)

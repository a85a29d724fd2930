"""A primary, a replica and a sentinel on loopback, as real processes, and the faults that only they can have."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from handlers.stack.ports import free_ports
from handlers.stack.valkey import find_valkey, valkey_server
from streams.state.redis_store import SENTINEL_SCHEME
from tests.chaos.site import Site
from tests.waiting import pause, until, until_async

_NAME: Final = "rapport"
_SENTINEL: Final = """\
port {sentinel}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} 127.0.0.1 {primary} 1
sentinel down-after-milliseconds {name} 2000
sentinel failover-timeout {name} 6000
sentinel parallel-syncs {name} 1
"""


@dataclass(frozen=True, slots=True)
class Trio:
    """Three servers; which of the first two is the primary, only the sentinel knows."""

    sentinel: int
    servers: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address for `REDIS_URL`."""
        return f"{SENTINEL_SCHEME}127.0.0.1:{self.sentinel}/{_NAME}/0"

    def primary(self) -> int:
        """Return the port of the primary, as the sentinel sees it."""
        with redis.Redis(port=self.sentinel, decode_responses=True) as wire:
            address: Any = wire.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _NAME)
        return int(address[1])

    def pid(self, port: int) -> int:
        """Return the process that listens on `port`."""
        return self.servers[port].pid


@contextmanager
def trio_of(folder: Path) -> Iterator[Trio]:
    """Start the three below `folder`; they are killed in the end."""
    _, binary = find_valkey()
    primary, replica, sentinel = free_ports(3)
    trio = Trio(sentinel)
    with ExitStack() as stack:

        def start(*command: str, name: str) -> "subprocess.Popen[bytes]":
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
            stack.callback(process.kill)
            return process

        for port, more in ((primary, ()), (replica, ("--replicaof", f"127.0.0.1 {primary}"))):
            home = folder / str(port)
            home.mkdir(parents=True, exist_ok=True)
            trio.servers[port] = start(*valkey_server(binary, folder=home, port=port).command, *more, name=f"valkey-{port}")
        until(lambda: _linked(replica), what="the replica")
        config = folder / "sentinel.conf"
        config.write_text(_SENTINEL.format(sentinel=sentinel, folder=folder, name=_NAME, primary=primary), encoding="utf-8")
        start(binary, str(config), "--sentinel", name="sentinel")
        until(lambda: _knows_a_replica(sentinel), what="the sentinel to know both")
        yield trio


def _linked(replica: int) -> bool:
    try:
        with redis.Redis(port=replica, decode_responses=True) as wire:
            told: Any = wire.info("replication")
    except redis.RedisError:
        return False
    return bool(told.get("master_link_status") == "up")


def _knows_a_replica(sentinel: int) -> bool:
    try:
        with redis.Redis(port=sentinel, decode_responses=True) as wire:
            found: Any = wire.execute_command("SENTINEL", "REPLICAS", _NAME)
    except redis.RedisError:
        return False
    return bool(found)


async def failed_over(site: Site) -> None:
    """Stop the primary until the replica takes its place; then let it go on, and for a while believe it still were."""
    trio = site.trio
    assert trio is not None
    for _ in range(2):
        old = trio.primary()
        os.kill(trio.pid(old), signal.SIGSTOP)
        await until_async(partial(_is_promoted, trio, old), timeout=60, what="the replica to be promoted")
        await pause(site.dice.uniform(0.5, 3))
        os.kill(trio.pid(old), signal.SIGCONT)  # two primaries now, until the sentinel has told this one
        await until_async(partial(_linked, old), timeout=60, what="the old primary to follow the new one")
        await pause(3)


def _is_promoted(trio: Trio, old: int) -> bool:
    return trio.primary() != old

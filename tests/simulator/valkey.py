"""A Valkey or Redis of one's own, without Kafka: for the simulator on the command line."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from handlers.stack import launch
from handlers.stack.ports import free_ports
from handlers.stack.valkey import find_valkey, valkey_server
from tests.waiting import until


@contextmanager
def lone_valkey() -> Iterator[str]:
    """Start a server on a free port and yield its URL; it dies with us, and its data goes."""
    _, binary = find_valkey()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="rapport-simulator-") as folder:
        server = valkey_server(binary, folder=Path(folder), port=port)
        with subprocess.Popen(
            [sys.executable, launch.__file__, str(os.getpid()), *server.command], stdout=subprocess.DEVNULL
        ) as process:
            url = f"redis://127.0.0.1:{port}/0"
            try:
                until(lambda: _answers(url), what="the server to answer")
                yield url
            finally:
                process.terminate()


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

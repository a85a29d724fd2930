"""Where the local stack keeps things: one cache folder per user, in it one folder per stack."""

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from handlers.stack.errors import StackError
from streams.runtime.errors import UsageError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/rapport`, else `~/.cache/rapport`; makes it. StackError if that place cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "rapport"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f"cannot write to the cache folder {folder} ({error.strerror}); fix: set XDG_CACHE_HOME to a writable folder"
        raise StackError(message) from error
    return folder


def stacks_folder() -> Path:
    """Return the folder that holds one folder per stack."""
    return cache_folder() / "stacks"


def stack_folder(name: str) -> Path:
    """Return where the stack called `name` lives, whether or not it exists."""
    if not _NAME.fullmatch(name):
        message = f"a stack's name is lower-case letters, digits and dashes, at most 41 of them; got {name!r}"
        raise UsageError(message)
    return stacks_folder() / name


def require_room(folder: Path, *, megabytes: int, what: str) -> None:
    """Raise StackError unless `megabytes` are free where `folder` is; `what` says for what."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < megabytes:
        message = (
            f"the disk of {folder} has {free} MB free, {what} needs {megabytes} MB; "
            "fix: free some space, or set XDG_CACHE_HOME to a folder on another disk"
        )
        raise StackError(message)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file at `path`; waits for other processes. The lock dies with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Say whether a living process holds the lock on `path`."""
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def write_json(path: Path, value: object) -> None:
    """Replace the file at `path` in one step, so that a reader sees the old or the new, never a half."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(json.dumps(value, indent=1), encoding="utf-8")
    fresh.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in the file at `path`, None if there is no readable one."""
    with suppress(OSError, json.JSONDecodeError):
        value = json.loads(path.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else None
    return None


def size_of(folder: Path) -> int:
    """Return the bytes that the files below `folder` occupy on disk (sparse files count what they really use)."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # a running broker deletes segments while we look
            total += path.lstat().st_blocks * 512  # POSIX counts in blocks of 512 bytes
    return total

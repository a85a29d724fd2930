"""Writes measured tables into docs/benchmarks.md, each between marks of its own, with the machine they were measured on."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from streams.runtime.clock import SystemClock
from tests.conftest import REPOSITORY

DOCUMENT: Final = REPOSITORY / "docs" / "benchmarks.md"
_LIBRARIES: Final = ("faust-streaming", "aiokafka", "redis")


def machine() -> str:
    """Return what the figures depend on: cores, how busy they were, versions, the day."""
    versions = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    day = SystemClock().now().date().isoformat()
    return f"{os.cpu_count()} cores, {load}, Python {platform.python_version()}, {versions}, {day}"


def write_part(name: str, lines: Sequence[str]) -> None:
    """Put `lines` between the marks of part `name`; raises ValueError where the document has no such part."""
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    text = DOCUMENT.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        message = f"{DOCUMENT} has no part {name!r}: put the lines {begin} and {end} where its table belongs"
        raise ValueError(message)
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    DOCUMENT.write_text(f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}", encoding="utf-8")

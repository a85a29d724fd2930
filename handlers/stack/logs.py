"""Ends of log files, and what is added to them."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.3
_BYTES_PER_LINE: Final = 400  # generous; a longer line only makes the tail shorter


def tail(path: Path, *, lines: int) -> str:
    """Return about the last `lines` lines of the file at `path`; reads no more than it must. Empty if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - lines * _BYTES_PER_LINE))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def follow(paths: Sequence[Path]) -> None:
    """Print what is added to the files at `paths`, until Ctrl-C."""
    places = {path: path.stat().st_size for path in paths}
    while True:
        time.sleep(_LOOK_SECONDS)
        for path, place in places.items():
            with path.open("rb") as file:
                file.seek(place)
                added = file.read()
                places[path] = file.tell()
            if added:
                print(added.decode("utf-8", errors="replace"), end="", flush=True)

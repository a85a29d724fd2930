"""Files that commands read and write: what stands in their way is told in one line, with the fix, before any work is done."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO

from streams.runtime.errors import UsageError


def needed_file(path: Path, what: str = "a history to read") -> Path:
    """Return `path` if it is a file that can be read; UsageError says why it is not."""
    try:
        if path.is_file():
            with path.open("rb"):
                return path
        why = "it is a folder" if path.is_dir() else "no such file"
    except OSError as error:
        why = _said(error)
    message = f"{path} is not a file that can be read ({why}); name {what}"
    raise UsageError(message)


@contextmanager
def opened(path: Path, what: str = "a history to read") -> Iterator[BinaryIO]:
    """Give the bytes of a file; UsageError where it cannot be read, also half-way."""
    needed_file(path, what)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        message = f"{path} cannot be read ({_said(error)}); name {what}"
        raise UsageError(message) from error


def check_target(path: Path | None, option: str, *, replaced: bool = False) -> None:
    """Raise UsageError, which asks for another place by `option`, where no file can be written; nothing is written yet.

    `replaced`: the file is written beside it and then takes its place, which only plain files can be asked.
    """
    if path is None:
        return
    folder = path.absolute().parent
    try:
        if path.is_dir():
            why = "it is a folder"
        elif not folder.is_dir():
            why = f"there is no folder {folder}"
        elif replaced and path.exists() and not path.is_file():
            why = "it is no plain file"
        else:
            asked = path if path.exists() and not replaced else folder
            why = "" if os.access(asked, os.W_OK) else f"you may not write to {asked}"
    except OSError as error:
        why = _said(error)
    if why:
        raise _unwritable(path, why, option)


@contextmanager
def writing(path: Path, option: str) -> Iterator[None]:
    """Tell what stops the writing of `path` in its body, such as a full disk, as UsageError that names another place."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, _said(error), option) from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file beside `path` that takes its place when all is written; on any error, or Ctrl-C, nothing is left of it.

    It is for whoever runs this alone, as it may hold what clients said; a file that was there keeps its own rights.
    """
    place = path.resolve()
    with NamedTemporaryFile(dir=place.parent, prefix=f"{place.stem[:50]}-", suffix=".part", delete=False) as file:
        beside = Path(file.name)
        try:
            yield file.file
            file.flush()
            if place.exists():
                beside.chmod(place.stat().st_mode & 0o777)
            beside.replace(place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _unwritable(path: Path, why: str, option: str) -> UsageError:
    return UsageError(f"cannot write {path} ({why}); name another place with {option}")


def _said(error: OSError) -> str:
    return error.strerror or str(error)

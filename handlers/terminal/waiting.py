"""A line that shows how far something is, for people at a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def shown(things: Iterable[T], words: str, *, total: int | None = None) -> Iterator[T]:
    """Yield `things` while a terminal shows `words` and how far it is; a file of errors gets nothing of it."""
    screen = Console(stderr=True)
    yield from track(things, words, total, console=screen, transient=True, disable=not screen.is_terminal)

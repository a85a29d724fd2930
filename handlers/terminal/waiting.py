"""A line that shows how far something is, for people at a terminal."""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias, TypeVar

from rich.console import Console
from rich.progress import Progress, track

T = TypeVar("T")


def shown(things: Iterable[T], words: str, *, total: int | None = None) -> Iterator[T]:
    """Yield `things` while a terminal shows `words` and how far it is; a file of errors gets nothing of it.

    How many there are is `total`, or what they say themselves.
    """
    screen = Console(stderr=True)
    if total is None and isinstance(things, Sized):
        total = len(things)
    yield from track(things, words, total, console=screen, transient=True, disable=not screen.is_terminal)


Counted: TypeAlias = Callable[..., AbstractContextManager[Callable[..., None]]]
"""`counted`, or `uncounted` where nobody looks."""


@contextmanager
def uncounted(words: str, *, total: int | None) -> Iterator[Callable[..., None]]:
    """Take the same as `counted` and show nothing: in a process that stands, whose terminal is for its log."""
    del words, total

    def count(things: int = 1) -> None:
        del things

    yield count


@contextmanager
def counted(words: str, *, total: int | None) -> Iterator[Callable[..., None]]:
    """Show the same of what is counted elsewhere: call what is given for each thing, or with how many they were.

    Without a `total` it is only shown that something happens.
    """
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(words, total=total)

        def count(things: int = 1) -> None:
            progress.advance(task, things)

        yield count

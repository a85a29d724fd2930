"""A line that shows how far something is, for people at a terminal."""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import TypeAlias, TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

T = TypeVar("T")


class TimeToGo(ProgressColumn):
    """What the rest will take if it goes on as it went so far: one night of a history takes longer than the day after it."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return hours, minutes and seconds."""
        words = "-:--:--"
        if task.total and task.completed and task.elapsed is not None:
            words = str(timedelta(seconds=round(task.elapsed * max(0.0, task.total / task.completed - 1))))
        return Text(words, style="progress.remaining")


def bar(screen: Console, *, clock: Callable[[], float] | None = None) -> Progress:
    """Return a line of words, how far it is, and the time to go by `clock`; seen on a terminal, and gone afterwards."""
    columns = (*Progress.get_default_columns()[:-1], TimeToGo())
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal, get_time=clock)


def shown(things: Iterable[T], words: str, *, total: int | None = None) -> Iterator[T]:
    """Yield `things` while a terminal shows `words` and how far it is; a file of errors gets nothing of it.

    How many there are is `total`, or what they say themselves.
    """
    screen = Console(stderr=True)
    if total is None and isinstance(things, Sized):
        total = len(things)
    with bar(screen) as progress:
        yield from progress.track(things, total, description=words)


Counted: TypeAlias = Callable[..., AbstractContextManager[Callable[..., None]]]
"""`counted`, or `uncounted` where nobody looks."""


@contextmanager
def uncounted(words: str, *, total: int | None) -> Iterator[Callable[..., None]]:
    """Take the same as `counted` and show nothing: in a process that stands, whose terminal is for its log."""
    del words, total

    def count(things: float = 1, *, words: str | None = None) -> None:
        del things, words

    yield count


@contextmanager
def counted(words: str, *, total: int | None) -> Iterator[Callable[..., None]]:
    """Show the same of what is counted elsewhere: call what is given for each thing, or with how many they were.

    It may be told other `words` as well, of what is at work now. Without a `total` it is only shown that something happens.
    """
    screen = Console(stderr=True)
    with bar(screen) as progress:
        task = progress.add_task(words, total=total)

        def count(things: float = 1, *, words: str | None = None) -> None:
            progress.update(task, advance=things, description=words)

        yield count

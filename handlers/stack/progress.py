"""What a person sees while servers are fetched and started: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class Display:
    """Speaks to standard error, so that standard output stays fit for scripts."""

    def __init__(self) -> None:
        """Write to standard error."""
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def download(self, what: str, *, total: int) -> Iterator[Callable[[int], None]]:
        """Show a download of `total` bytes; call the yielded function with the bytes of each piece, from any thread."""
        if not self._console.is_terminal:
            self.say(f"Fetching {what} ({total / 1e6:.0f} MB) ...")
            yield lambda _bytes: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(f"Fetching {what}", total=total)
            yield lambda count: progress.advance(task, count)


class SilentDisplay(Display):
    """Says nothing: for callers with their own display."""

    def say(self, text: str) -> None:
        """Drop the line."""

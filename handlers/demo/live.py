"""What a person sees while the year passes: one moving line on a terminal, a plain line every two seconds elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from streams.runtime.clock import monotonic

_PLAIN_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the demo stands: the day, what was posted, mails received, and what is still to do."""

    day: datetime
    done: int
    days: int
    posted: int
    mails: int
    workers: int


class Stage:
    """Shows scenes and says lines; on a terminal the moving line stays below what is said."""

    def __init__(self, console: Console | None = None) -> None:
        """Speak on `console`; without one, on standard output."""
        self.console = console or Console()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._shown_at = float("-inf")
        self._started = monotonic()

    def say(self, line: str = "") -> None:
        """Print one line, with the seconds since the start."""
        self.console.print(f"[{monotonic() - self._started:5.1f} s] {line}", markup=False, highlight=False, soft_wrap=True)

    def line(self, line: str = "") -> None:
        """Print one line as it is."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def year(self, *, days: int) -> Iterator[None]:
        """Show a moving line for `days` days while the block runs."""
        if not self.console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.fields[day]}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            self._progress = progress
            self._task = progress.add_task("year", total=days, day="", said="")
            try:
                yield
            finally:
                self._progress = None

    def show(self, scene: Scene) -> None:
        """Show where the demo stands; cheap enough to be called for every day."""
        said = f"{scene.posted:,} webhooks, {scene.mails:,} mails, {scene.workers} workers"
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=scene.done, day=f"{scene.day:%d %b %Y}", said=said)
        elif monotonic() - self._shown_at >= _PLAIN_SECONDS:
            self._shown_at = monotonic()
            self.say(f"{scene.day:%d %b %Y} ({scene.done} of {scene.days} days): {said}")

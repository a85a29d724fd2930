"""Whole topics read for a person who waits."""

from collections.abc import Callable
from typing import Any

from handlers.terminal.waiting import counted
from streams.runtime.settings import Settings
from streams.wire.reading import read_each


async def read_shown(settings: Settings, topic: str, words: str, *, partitions: list[int], see: Callable[[Any], None]) -> None:
    """Do as `read_each` while a terminal shows `words`, and that something happens."""
    with counted(words, total=None) as count:

        def shown(record: Any) -> None:  # noqa: ANN401 - what a client library returned
            see(record)
            count()

        await read_each(settings, topic, partitions=partitions, see=shown)

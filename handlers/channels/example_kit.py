"""A kit to learn from: the console channel, writing to a file that the kit can read and take away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from handlers.channels.conformance import Kit
from handlers.channels.console import ConsoleChannel


@asynccontextmanager
async def console(folder: Path) -> AsyncIterator[Kit]:
    """Yield the channel with its file as the provider: each line is a message taken, the folder gone is the provider away."""
    path = folder / "out" / "messages.jsonl"
    path.parent.mkdir()

    async def take_away() -> None:
        path.unlink(missing_ok=True)
        path.parent.rmdir()

    def seen() -> list[str]:
        return [orjson.loads(line)["trigger_id"] for line in path.read_bytes().splitlines()]

    yield Kit(ConsoleChannel(out=path), seen, take_away)

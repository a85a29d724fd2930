"""The memory twin of the directory, for simulation and tests."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from models.events.envelope import epoch_ms
from streams.runtime.clock import Clock
from streams.state.ports import RETENTION
from streams.wire.facts import FURTHEST, LINKS, Facts, Known, address

_RETENTION_MS: Final = RETENTION // timedelta(milliseconds=1)


class MemoryDirectory:
    """What was told about ids, in memory; forgets by `clock`."""

    def __init__(self, clock: Clock) -> None:
        """Know nothing yet."""
        self._clock = clock
        self._entries: dict[str, tuple[int, dict[str, str]]] = {}  # by address: when last told, and what; the oldest first

    async def exchange(self, learned: Known, wanted: Collection[str]) -> Known:
        """Remember and answer."""
        return self.answer(learned, wanted)

    def answer(self, learned: Known, wanted: Collection[str]) -> Known:
        """Do what `exchange` does, at once."""
        now_ms = epoch_ms(self._clock.now())
        self._forget(now_ms)
        for place, told in learned.items():
            if told:
                _, before = self._entries.pop(place, (0, {}))
                self._entries[place] = (now_ms, before | dict(told))
        found: dict[str, Facts] = {}
        for asked in wanted:
            self._tell(asked, found)
        return found

    def _tell(self, asked: str, found: dict[str, Facts]) -> None:
        source, _, _ = asked.partition(":")
        waiting = [asked]
        for place in waiting:  # grows while it is walked
            _, told = self._entries.get(place, (0, {}))
            if told:
                found[place] = dict(told)
            linked = [address(source, told[name]) for name in LINKS if name in told]
            waiting += [other for other in linked if other not in waiting and len(waiting) < FURTHEST]

    def _forget(self, now_ms: int) -> None:
        while self._entries:
            place, (told_ms, _) = next(iter(self._entries.items()))
            if told_ms + _RETENTION_MS > now_ms:
                return
            del self._entries[place]

"""The events of a history on disk, as the bytes of our contract: each is decoded when its day comes."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from tempfile import TemporaryFile
from typing import Final, overload

from handlers.commands.book.ordering import by_arrival
from models.events.union import EVENT_ADAPTER, AnyClientEvent

_BLOCK: Final = 1 << 20


class Held(Sequence[AnyClientEvent]):
    """A history in a temporary file that vanishes with this. Iterating decodes it anew each time, also several times at once."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Hold events that are bytes already, in the order given."""
        self._file = TemporaryFile()  # noqa: SIM115 (closed when nothing refers to it any more)
        self._ends = array("q", [0])
        for line in lines:
            self._ends.append(self._ends[-1] + self._file.write(line + b"\n"))
        self._file.flush()

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> AnyClientEvent: ...
    @overload
    def __getitem__(self, place: slice) -> list[AnyClientEvent]: ...
    def __getitem__(self, place: int | slice) -> AnyClientEvent | list[AnyClientEvent]:
        """Return the event at a place, or a list of several."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        each = range(len(self))[place]
        start, end = self._ends[each : each + 2]
        return _event(os.pread(self._file.fileno(), end - start, start))

    def __iter__(self) -> Iterator[AnyClientEvent]:
        """Yield the events in order."""
        place, rest = 0, b""
        while block := os.pread(self._file.fileno(), _BLOCK, place):
            place += len(block)
            *lines, rest = (rest + block).split(b"\n")
            yield from map(_event, lines)


def held(events: Iterable[AnyClientEvent]) -> Held:
    """Return events in the order given."""
    return Held(EVENT_ADAPTER.dump_json(event, exclude_none=True) for event in events)


def held_by_arrival(events: Iterable[AnyClientEvent]) -> Held:
    """Return events in order of `received_at`, those of one moment in the order given; however many, few are in memory."""
    return Held(by_arrival(events))


def _event(line: bytes) -> AnyClientEvent:
    event: AnyClientEvent = EVENT_ADAPTER.validate_json(line)  # type: ignore[assignment]  # only events of clients are held
    return event

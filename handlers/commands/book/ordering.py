"""Events of a book in order of arrival, whatever the order and the size of the file: sorted runs on disk, merged."""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Final, TypeAlias

from models.events.union import EVENT_ADAPTER, AnyClientEvent

RUN_EVENTS: Final = 100_000  # about 200 MB of events in memory at most

_Keyed: TypeAlias = tuple[int, int, bytes]


def by_arrival(events: Iterable[AnyClientEvent], *, run_events: int = RUN_EVENTS) -> Iterator[bytes]:
    """Yield each event as JSON in order of `received_at`; events of one moment keep their order.

    A client's own time never runs backwards, so a book sorted by invoice number would otherwise age its clients at once.
    At most `run_events` are held in memory; longer books go through temporary files that vanish with the iterator.
    """
    with ExitStack() as stack:
        runs: list[Iterator[_Keyed]] = []
        run: list[_Keyed] = []
        for place, event in enumerate(events):
            run.append((event.received_ms, place, EVENT_ADAPTER.dump_json(event, exclude_none=True)))
            if len(run) >= run_events:
                runs.append(_spill(sorted(run), stack))
                run.clear()
        for _, _, value in heapq.merge(*runs, iter(sorted(run))):
            yield value


def _spill(run: list[_Keyed], stack: ExitStack) -> Iterator[_Keyed]:
    file: IO[bytes] = stack.enter_context(TemporaryFile())  # noqa: SIM115 (the stack closes it when the merge is done)
    for received_ms, place, value in run:
        file.write(b"%d %d %s\n" % (received_ms, place, value))
    file.seek(0)
    return (_keyed(line) for line in file)


def _keyed(line: bytes) -> _Keyed:
    received_ms, place, value = line.rstrip(b"\n").split(b" ", 2)
    return int(received_ms), int(place), value

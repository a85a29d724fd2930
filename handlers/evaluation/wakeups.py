"""Timers of a history that is lived through in memory: each client is woken when its earliest timer is due, in order of time."""

import heapq
from collections.abc import Iterator
from itertools import count

from models.events.control import ClockTicked
from models.transition import Transition
from models.workdays import moment


class Wakeups:
    """When each client must be woken next. A tick wakes one client; of equal times the client's id decides."""

    def __init__(self) -> None:
        """Start with nobody to wake."""
        self._due: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self._numbers = count()

    def note(self, client: str, result: Transition) -> None:
        """Wake `client` when the transition asks for it, in the place of what was noted before."""
        if result.next_due_ms is None:
            self._due.pop(client, None)
        elif self._due.get(client) != result.next_due_ms:
            self._due[client] = result.next_due_ms
            heapq.heappush(self._queue, (result.next_due_ms, client))

    def until(self, until_ms: int) -> Iterator[tuple[str, ClockTicked]]:
        """Yield who is woken up to `until_ms`, with the tick; what is noted between two of them counts as well."""
        while self._queue and self._queue[0][0] <= until_ms:
            due, client = heapq.heappop(self._queue)
            if self._due.get(client) != due:
                continue
            del self._due[client]
            at = moment(due)
            yield client, ClockTicked(event_id=f"tick-{next(self._numbers)}", source="history", occurred_at=at, received_at=at)

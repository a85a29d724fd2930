"""How often one reader is written to, over all clients that they read for: a place for each message, in a day and in a week.

A client's budget knows its own contacts alone (models.policy.budget). Who reads for several companies is known where the address
is: here. A place is taken before a message leaves and given back when it did not. What has none waits for the next one, as it
waits for an hour. Messages about open work take no place and wait for none; neither do receipts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from models.workdays import DAY_MS

WEEK_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Places:
    """How many messages one address takes within any 24 hours and any seven days; 0: as many as come."""

    per_day: int = 0
    per_week: int = 0

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The limits there are, each with its span in ms, the longest last."""
        both = ((self.per_day, DAY_MS), (self.per_week, WEEK_MS))
        return tuple((limit, span) for limit, span in both if limit)

    def next_for(self, trigger_id: str, taken: Mapping[str, int], *, now_ms: int) -> int:
        """Return when the next place is free, 0 for a message that has one, or where one is; `taken` tells who took one when."""
        spans = self.spans
        if not spans or taken.get(trigger_id, 0) > now_ms - spans[-1][1]:
            return 0
        return max(_free_from(taken.values(), limit, span, now_ms) for limit, span in spans)


class Readers(Protocol):
    """Places by address, in business time. Each call is atomic and may be repeated; all raise RetryError while the store is away.

    A process that dies between a place and its message leaves it taken, for a week at most: fewer messages, never more.
    """

    async def reserve(self, address: str, trigger_id: str, *, now_ms: int) -> int:
        """Take a place at an address (its digest) for a message and return 0, or when the next one is free.

        A message that has a place keeps it.
        """
        ...

    async def next_place(self, address: str, trigger_id: str, *, now_ms: int) -> int:
        """Return what `reserve` would, and take nothing."""
        ...

    async def refund(self, address: str, trigger_id: str) -> None:
        """Give the place of a message that did not leave back; nothing where it has none."""
        ...


class MemoryReaders:
    """The memory twin, for tests and where nobody counts."""

    def __init__(self, places: Places) -> None:
        """Have so many places at every address."""
        self._places = places
        self._taken: dict[str, dict[str, int]] = {}

    async def reserve(self, address: str, trigger_id: str, *, now_ms: int) -> int:
        """See `Readers.reserve`."""
        if not self._places.spans:
            return 0
        taken = self._taken.get(address, {})
        until = self._places.next_for(trigger_id, taken, now_ms=now_ms)
        if not until:
            kept = {name: at for name, at in taken.items() if at > now_ms - self._places.spans[-1][1]}
            self._taken[address] = {trigger_id: now_ms, **kept}
        return until

    async def next_place(self, address: str, trigger_id: str, *, now_ms: int) -> int:
        """See `Readers.next_place`."""
        return self._places.next_for(trigger_id, self._taken.get(address, {}), now_ms=now_ms)

    async def refund(self, address: str, trigger_id: str) -> None:
        """See `Readers.refund`."""
        self._taken.get(address, {}).pop(trigger_id, None)


def _free_from(taken: Iterable[int], limit: int, span: int, now_ms: int) -> int:
    """Return from when on fewer than `limit` places were taken within `span`, 0 where that is so now."""
    within = sorted(at for at in taken if at > now_ms - span)
    return within[-limit] + span if len(within) >= limit else 0

"""How a translator asks what earlier deliveries told, and what it hands back. Pure: a question is only noted.

A translation is tried first with nothing known. If it had to ask, the caller looks the addresses up and translates again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from models.events.union import AnyClientEvent
from streams.runtime.errors import DeadLetterError
from streams.wire.facts import FURTHEST, LINKS, NOTHING, Facts, Known, address
from streams.wire.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one record says.

    `refusal` says why it, or a part of it, became no event. `learned` are facts by address that later deliveries may need.
    `wanted` are the addresses of facts that the record lacks: with them known it may say more.
    """

    events: Sequence[AnyClientEvent] = ()
    refusal: DeadLetterError | None = None
    learned: Known = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()

    def told(self) -> list[AnyClientEvent]:
        """Return the events; raises the refusal if there is one."""
        if self.refusal is not None:
            raise self.refusal
        return list(self.events)


Reader: TypeAlias = Callable[[Record, Known], Reading]
"""Turns a record into what it says, with known facts filled in; never raises for a record. Pure."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is `known` to one source, and a note of what was `asked`."""

    source: str
    known: Known
    asked: set[str] = field(default_factory=set)

    def about(self, named: str) -> Facts:
        """Return what is known about one id."""
        place = address(self.source, named)
        self.asked.add(place)
        return self.known.get(place, NOTHING)

    def all_about(self, *named: str) -> Facts:
        """Return what is known about the ids and what they link to, in one: of one name, the nearer telling counts."""
        found: dict[str, str] = {}
        waiting = list(dict.fromkeys(named))
        for one in waiting:  # grows while it is walked
            said: Mapping[str, str] = self.about(one)
            found = {**said, **found}
            linked = (said[name] for name in LINKS if name in said)
            waiting += [other for other in linked if other not in waiting and len(waiting) < FURTHEST]
        return found

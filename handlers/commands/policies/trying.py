"""A history lived through under a policy in memory: which contacts would have reached whom, when and why.

The same transition, timers and gate as in production (`handlers.commands.simulation`). What clients did is taken as it was:
nobody knows whether they would have paid sooner or later under another policy.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from handlers.commands.history import read_controls
from handlers.commands.simulation import INNER_SOURCES, Happening, Simulation
from handlers.terminal.waiting import shown
from models.events.control import WAKING
from models.events.signals import DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent, AnyControlEvent
from models.policy.policy import Policy
from models.triggers import Decision, DecisionOutcome, Trigger
from models.workdays import moment

_NO_SILENCE: Final = frozenset({DecisionOutcome.TRIGGERED, DecisionOutcome.MIGRATED})


@dataclass(frozen=True, slots=True)
class Contact:
    """A message that left, to a client or to a colleague about one. `key` is what it was about, whatever the day."""

    client_id: str
    at: datetime
    trigger: Trigger

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Client, journey, anchor and step."""
        row = self.trigger
        return (self.client_id, row.journey.value, row.anchor, row.step)

    def as_json(self) -> dict[str, Any]:
        """Return what a program needs to know of it."""
        row = self.trigger
        return {
            "client_id": self.client_id,
            "day": self.at.date().isoformat(),
            "journey": row.journey.value,
            "step": row.step,
            "channel": row.channel,
            "tone": row.tone.value,
            "segment": row.segment,
            "anchor": row.anchor,
            "invoice_ids": list(row.invoice_ids),
            "reasons": list(row.reasons),
        }


@dataclass(slots=True)
class Life:
    """A history under one policy: what left, and what was decided against leaving; `moves` are the last ones of clients."""

    policy: Policy
    contacts: list[Contact] = field(default_factory=list)
    silences: dict[tuple[str, str, str], Decision] = field(default_factory=dict)
    moves: dict[str, Decision] = field(default_factory=dict)
    simulation: Simulation = field(default_factory=Simulation)
    undelivered: dict[str, Trigger] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The time the simulation stands at."""
        return moment(self.simulation.now_ms)

    def expect(self, triggers: Iterable[Trigger]) -> None:
        """Take messages that were decided before this life began: when they leave they are its contacts."""
        self.undelivered |= {trigger.trigger_id: trigger for trigger in triggers}

    def take(self, happenings: Iterable[Happening]) -> None:
        """Note what left and what did not."""
        for happening in happenings:
            self._note(happening)

    def _note(self, happening: Happening) -> None:
        event = happening.event
        if isinstance(event, DeliveryReported) and event.source in INNER_SOURCES:
            trigger = self.undelivered.pop(event.trigger_id, None)
            if trigger is not None and event.outcome is DeliveryOutcome.SENT:
                self.contacts.append(Contact(happening.client_id, event.occurred_at, trigger))
        for output in happening.outputs:
            if isinstance(output, Trigger):
                self.undelivered[output.trigger_id] = output
            elif isinstance(output, Decision) and output.outcome is DecisionOutcome.SEGMENT_CHANGED:
                self.moves[output.client_id] = output
            elif isinstance(output, Decision) and output.outcome not in _NO_SILENCE and output.journey:
                self.silences[output.client_id, output.journey.value, output.anchor or ""] = output


def live(
    policy: Policy, events: Iterable[AnyClientEvent], *, until_ms: int | None = None, controls: Iterable[AnyControlEvent] = ()
) -> Life:
    """Return the life of a history under `policy`, up to `until_ms` or its last event; `controls` held for everybody then."""
    life = Life(policy, simulation=Simulation(policy=policy))
    life.take(lived(life.simulation, without_outcomes(shown(events, "living the history")), controls, until_ms=until_ms))
    life.policy = life.simulation.policy
    return life


def lived(
    simulation: Simulation, events: Iterable[AnyClientEvent], controls: Iterable[AnyControlEvent], *, until_ms: int | None = None
) -> Iterator[Happening]:
    """Yield what happens in a history with what held for everybody in it, up to `until_ms` or its last event."""
    waiting = deque(controls)
    for event in events:
        if until_ms is not None and event.received_ms > until_ms:
            break
        while waiting and waiting[0].received_ms <= event.received_ms:
            yield from simulation.govern(waiting.popleft())
        yield from simulation.feed(event)
    while waiting and until_ms is not None and waiting[0].received_ms <= until_ms:
        yield from simulation.govern(waiting.popleft())
    if until_ms is not None:
        yield from simulation.run_until(until_ms)


def held_in(history: Path | None, *, fixed: bool) -> list[AnyControlEvent]:
    """Return the stops, late sources and activations that a history tells; a policy that was named (`fixed`) keeps all runs."""
    return [event for event in read_controls(history) if not (fixed and isinstance(event, WAKING))]


def without_outcomes(events: Iterable[AnyClientEvent]) -> Iterator[AnyClientEvent]:
    """Leave out what became of messages of the past: under another policy other messages leave, and the simulation delivers."""
    return (event for event in events if not isinstance(event, DeliveryReported))

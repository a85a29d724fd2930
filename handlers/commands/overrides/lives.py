"""A client's history lived through up to the end of one override, as it was or without it: what was sent, what was known before.

What had happened by then is all that is read, and policies and learners are those that were in force, so that nothing said or
changed later moves a reckoning of what is over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeAlias

from handlers.commands.simulation import Happening, Simulation
from models.events.envelope import ClientEvent
from models.events.signals import DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent, AnyControlEvent
from models.learners.scorer import Score
from models.state.client import ClientState
from models.triggers import RenewalExample, Trigger
from models.workdays import DAY_MS, moment

Row: TypeAlias = AnyClientEvent | AnyControlEvent


@dataclass(frozen=True, slots=True)
class Said:
    """A message that left."""

    at_ms: int
    trigger: Trigger

    @property
    def words(self) -> str:
        """The message for people."""
        return f"{self.trigger.step} by {self.trigger.channel} on {moment(self.at_ms):%-d %b %Y}"

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What makes two messages the same to the client: the step, through what, in which tone, on which day."""
        return self.trigger.trigger_id, self.trigger.channel, self.trigger.tone.value, self.at_ms // DAY_MS


@dataclass(frozen=True, slots=True)
class Life:
    """The messages to the client from the override on, what was known before it, and the renewals that ended in its time."""

    sent: tuple[Said, ...]
    before: ClientState | None
    score: Score | None
    renewals: tuple[RenewalExample, ...]

    def only(self, other: "Life") -> list[Said]:
        """Return the messages that left here and not, or not so, in the other life."""
        known = {row.identity for row in other.sent}
        return [row for row in self.sent if row.identity not in known]


@dataclass(slots=True)
class Story:
    """A client's story, lived row by row in the order in which it arrived. At any moment it can go on in more than one way."""

    simulation: Simulation
    _undelivered: dict[str, Trigger] = field(default_factory=dict)
    _sent: list[Said] = field(default_factory=list)
    _renewals: list[RenewalExample] = field(default_factory=list)

    def take(self, row: Row) -> None:
        """Live through the next row."""
        self._see(self.simulation.feed(row) if isinstance(row, ClientEvent) else self.simulation.govern(row))

    def run_until(self, at_ms: int) -> None:
        """Let time pass."""
        self._see(self.simulation.run_until(at_ms))

    def life(self, later: Iterable[Row], *, until_ms: int) -> Life:
        """Return what comes of it from here up to `until_ms` if `later` arrives, in that order; the story stays as it is."""
        before = next(iter(self.simulation.states.values()), None)
        score = self.simulation.scorer.score(before) if before else None
        on = Story(self.simulation.twin(), dict(self._undelivered))
        for row in takewhile(lambda row: row.received_ms <= until_ms, later):
            on.take(row)
        on.run_until(until_ms)
        internal = on.simulation.policy.internal_channels
        sent = tuple(row for row in on._sent if row.trigger.channel not in internal)
        return Life(sent, before, score, tuple(on._renewals))

    def _see(self, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            event = happening.event
            self._undelivered |= {output.trigger_id: output for output in happening.outputs if isinstance(output, Trigger)}
            self._renewals += (output for output in happening.outputs if isinstance(output, RenewalExample))
            if isinstance(event, DeliveryReported) and event.outcome is DeliveryOutcome.SENT:
                trigger = self._undelivered.pop(event.trigger_id, None)
                if trigger is not None:
                    self._sent.append(Said(happening.at_ms, trigger))

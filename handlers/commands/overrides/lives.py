"""A client's history lived through up to the end of one override, as it was or without it: what was sent, what was known before.

What had happened by then is all that is read, and policies and learners are those that were in force, so that nothing said or
changed later moves a reckoning of what is over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from handlers.commands.simulation import Happening, Simulation
from models.events.envelope import ClientEvent
from models.events.signals import DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent, AnyControlEvent
from models.learners.scorer import Score, Scorer
from models.policy.policy import Policy
from models.state.client import ClientState
from models.triggers import RenewalExample, Trigger
from models.workdays import DAY_MS, moment


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


Rows: TypeAlias = Sequence[AnyClientEvent | AnyControlEvent]


def live(earlier: Rows, later: Rows, policy: Policy, scorer: Scorer, *, set_ms: int, until_ms: int) -> Life:
    """Live a client's story, in the order in which it arrived, up to `until_ms`.

    `earlier` had come when the override was set, at `set_ms`; `later` begins with it, or leaves it out for the life without.
    """
    simulation = Simulation(policy=policy, scorer=scorer)
    seen: list[Happening] = []
    for row in earlier:
        seen += _happen(simulation, row)
    seen += simulation.run_until(set_ms)
    before = next(iter(simulation.states.values()), None)
    score = simulation.scorer.score(before) if before else None
    for row in later:
        if row.received_ms <= until_ms:
            seen += _happen(simulation, row)
    seen += simulation.run_until(until_ms)
    sent = [row for row in _sent(seen) if row.at_ms >= set_ms and row.trigger.channel not in policy.internal_channels]
    ended = (output for row in seen if row.at_ms >= set_ms for output in row.outputs)
    return Life(tuple(sent), before, score, tuple(output for output in ended if isinstance(output, RenewalExample)))


def _happen(simulation: Simulation, row: AnyClientEvent | AnyControlEvent) -> Iterator[Happening]:
    return simulation.feed(row) if isinstance(row, ClientEvent) else simulation.govern(row)


def _sent(seen: Sequence[Happening]) -> Iterator[Said]:
    decided: dict[str, Trigger] = {}
    for row in seen:
        decided |= {output.trigger_id: output for output in row.outputs if isinstance(output, Trigger)}
        event = row.event
        if isinstance(event, DeliveryReported) and event.outcome is DeliveryOutcome.SENT and event.trigger_id in decided:
            yield Said(row.at_ms, decided.pop(event.trigger_id))

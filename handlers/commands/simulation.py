"""The whole program in memory: the fold, the timers, and channels that deliver what the gate still allows. No server, no clock.

The same `transition` and the same gate as in production; time is the time of the history. A trigger is handed over at the
first moment at which a channel worker would, and its outcome comes back as an event, as it would.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from models.events.control import WAKING, ClockTicked
from models.events.envelope import ClientEvent, epoch_ms
from models.events.signals import DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent, AnyControlEvent, AnyEvent
from models.ids import derive
from models.learners.baseline import BASELINE
from models.learners.scorer import Scorer
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY, Policy
from models.state.client import ClientState
from models.transition import Disposition, transition
from models.triggers import AnyOutput, Retraction, Trigger
from models.workdays import HOUR_MS
from streams.engine.program import ClientProgram

SOURCE: Final = "simulation"
INNER_SOURCES: Final = frozenset({SOURCE, "clock"})
"""Sources of the events that the simulation makes itself: outcomes of deliveries, and time."""

_Due: TypeAlias = tuple[int, int, str, Trigger | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event and what it did: the state before (none for a new client) and after, and the outputs in order.

    `refusal` says why a worker would make a dead letter of it; empty where it would not.
    """

    at_ms: int
    event: AnyEvent
    client_id: str
    before: ClientState | None
    after: ClientState
    outputs: tuple[AnyOutput, ...]
    disposition: Disposition
    refusal: str = ""


@dataclass(slots=True)
class Simulation:
    """All clients of one firm. Feed events in order of `received_at`; earlier ones are taken as late arrivals, as in life."""

    policy: Policy = DEFAULT_POLICY
    scorer: Scorer = BASELINE
    states: dict[str, ClientState] = field(default_factory=dict)
    now_ms: int = 0
    _due: list[_Due] = field(default_factory=list)
    _count: int = 0
    _retracted: set[str] = field(default_factory=set)
    _program: ClientProgram | None = None
    _regime: bytes = b""

    def feed(self, event: AnyClientEvent) -> Iterator[Happening]:
        """Yield what becomes due before `event`, then what the event itself does."""
        yield from self.run_until(event.received_ms)
        yield from self._follow(self._think(event.client_id, event, at_ms=self.now_ms))

    def twin(self) -> "Simulation":
        """Return one that goes on from here by itself: what happens to either is nothing to the other."""
        return replace(self, states=dict(self.states), _due=list(self._due), _retracted=set(self._retracted))

    def resume(self, states: Iterable[ClientState], waiting: Iterable[Trigger], *, now_ms: int) -> None:
        """Go on from states as they stand at `now_ms`, with messages that were decided and have not left."""
        self.now_ms = now_ms
        for state in states:
            self.states[state.client_id] = state
            if state.care.timers:
                self._note(state.care.timers[0].due_ms, state.client_id)
        for trigger in waiting:
            self._note(max(now_ms, epoch_ms(trigger.not_before)), trigger.client_id, trigger)

    def govern(self, event: AnyControlEvent) -> Iterator[Happening]:
        """Put a control event in force as a partition does: what is due before it comes first, an activation wakes everybody."""
        yield from self.run_until(event.received_ms)
        before = self._regime
        if self._program is None:
            self._program = ClientProgram(policy=self.policy, scorer=self.scorer)
        self._regime = self._program.govern(before, event)
        bound = self._program.under(self._regime)
        self.policy, self.scorer = bound.policy, bound.scorer
        if isinstance(event, WAKING) and self._regime != before:
            for client_id in sorted(self.states):
                yield self._think(client_id, _tick(self.now_ms), at_ms=self.now_ms)

    @property
    def bound(self) -> ClientProgram:
        """The program under what is in force now."""
        program = self._program or ClientProgram(policy=self.policy, scorer=self.scorer)
        return program.under(self._regime)

    def run_until(self, until_ms: int) -> Iterator[Happening]:
        """Yield everything that happens up to `until_ms` if nothing arrives: timers, deliveries, their outcomes."""
        while self._due and self._due[0][0] <= until_ms:
            due_ms, _, client_id, trigger = heapq.heappop(self._due)
            self.now_ms = max(self.now_ms, due_ms)
            if trigger is not None:
                yield from self._deliver(trigger)
            elif self._next_due(client_id) == due_ms:  # otherwise the plan has changed since, and the new one is noted as well
                yield self._think(client_id, _tick(due_ms), at_ms=self.now_ms)
        self.now_ms = max(self.now_ms, until_ms)

    def _think(self, client_id: str, event: AnyEvent, *, at_ms: int) -> Happening:
        before = self.states.get(client_id)
        thought = transition(before, event, policy=self.policy, scorer=self.scorer)
        if before is not None or thought.refusal is None:
            self.states[client_id] = thought.state
        if thought.next_due_ms is not None:
            self._note(thought.next_due_ms, client_id)
        for output in thought.outputs:
            match output:
                case Trigger():
                    self._note(max(at_ms, epoch_ms(output.not_before)), client_id, output)
                case Retraction():
                    self._retracted.add(output.trigger_id)
                case _:
                    pass
        return Happening(
            at_ms=at_ms,
            event=event,
            client_id=client_id,
            before=before,
            after=thought.state,
            outputs=thought.outputs,
            disposition=thought.disposition,
            refusal=thought.refusal.cause if thought.refusal else "",
        )

    def _deliver(self, trigger: Trigger) -> Iterator[Happening]:
        if trigger.trigger_id in self._retracted:
            return
        state = self.states[trigger.client_id]
        answer = may_leave(state, known_as(state, trigger), now_ms=self.now_ms, policy=self.policy)
        if answer.verdict is Verdict.HOLD:
            again = self.now_ms + HOUR_MS if answer.is_open_ended else answer.until_ms
            self._note(again, trigger.client_id, trigger)
            return
        outcome = DeliveryOutcome.SENT if answer.verdict is Verdict.LEAVE else DeliveryOutcome.SUPPRESSED
        moment = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        report = DeliveryReported(
            event_id=derive("delivery", trigger.trigger_id, outcome.value, 1),
            source=SOURCE,
            client_id=trigger.client_id,
            occurred_at=moment,
            received_at=moment,
            trigger_id=trigger.trigger_id,
            channel=trigger.channel,
            outcome=outcome,
            reason="; ".join(answer.reasons) or None,
        )
        yield from self._follow(self._think(trigger.client_id, report, at_ms=self.now_ms))

    def _follow(self, happening: Happening) -> Iterator[Happening]:
        """Yield it, and then what comes of the events that the client passed on to another one."""
        yield happening
        for output in happening.outputs:
            if isinstance(output, ClientEvent):
                yield from self._follow(self._think(output.client_id, output, at_ms=self.now_ms))

    def _note(self, due_ms: int, client_id: str, trigger: Trigger | None = None) -> None:
        self._count += 1  # keeps equal times in the order in which they were planned
        heapq.heappush(self._due, (due_ms, self._count, client_id, trigger))

    def _next_due(self, client_id: str) -> int | None:
        timers = self.states[client_id].care.timers
        return timers[0].due_ms if timers else None


def _tick(due_ms: int) -> ClockTicked:
    moment = datetime.fromtimestamp(due_ms / 1000, UTC)
    return ClockTicked(event_id=derive("tick", SOURCE, due_ms), source="clock", occurred_at=moment, received_at=moment)

"""A history lived through week by week in the core: who is in which segment on each Monday, each move with its cause, renewals.

The fold, the timers and the rules are those of production; nothing is sent, and no learner is asked, so that years pass quickly.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from handlers.evaluation.wakeups import Wakeups
from handlers.terminal.waiting import shown
from models.events.union import AnyClientEvent
from models.features import Landmark
from models.learners.renewal_scorer import UNLEARNED, RenewalScorer
from models.learners.scorer import Score
from models.policy.policy import Policy
from models.state.client import ClientState
from models.state.habits import Asked
from models.state.rows import Invoice
from models.transition import Transition, transition
from models.triggers import Decision, DecisionOutcome, RenewalExample
from models.workdays import DAY_MS

WEEK_MS: Final = 7 * DAY_MS
_FIRST_MONDAY_MS: Final = 4 * DAY_MS  # 1970-01-05


class NoScorer:
    """A scorer without an opinion: segments do not depend on scores."""

    version = "none"
    renewals: RenewalScorer = UNLEARNED

    def score(self, state: ClientState) -> Score | None:
        """Return no score."""
        del state
        return None

    def assess(self, state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark) -> Asked:
        """Return a question without an answer."""
        del state, invoice, seen_ms
        return Asked(landmark, now_ms, b"")


@dataclass(slots=True)
class Living:
    """One run over one history under one policy. Feed events in the order of `received_at`."""

    policy: Policy
    states: dict[str, ClientState] = field(default_factory=dict)
    last_heard_ms: dict[str, int] = field(default_factory=dict)
    moves: list[Decision] = field(default_factory=list)
    alarms: list[Decision] = field(default_factory=list)
    renewals: list[RenewalExample] = field(default_factory=list)
    now_ms: int = 0
    _wakeups: Wakeups = field(default_factory=Wakeups)
    _scorer: NoScorer = field(default_factory=NoScorer)

    def weeks(self, events: Iterable[AnyClientEvent]) -> Iterator[int]:
        """Live the history; yield each Monday (epoch ms) at which somebody is known, with all states as of then."""
        monday = 0
        for event in shown(events, "living the history"):
            now = event.received_ms
            monday = monday or _next_monday(now)
            while now >= monday:
                self._wake(monday)
                yield monday
                monday += WEEK_MS
            self._wake(now)
            self.last_heard_ms[event.client_id] = now
            self._fold(event)
        if monday:
            self._wake(monday)
            yield monday

    def live(self, events: Iterable[AnyClientEvent]) -> "Living":
        """Live the whole history and return it."""
        for _ in self.weeks(events):
            pass
        return self

    def _state(self, client: str) -> ClientState | None:
        return self.states.get(client)

    def _fold(self, event: AnyClientEvent) -> None:
        result = transition(self._state(event.client_id), event, policy=self.policy, scorer=self._scorer)
        if result.refusal is not None:
            return
        self._keep(event.client_id, result)
        for told in result.passed_on:
            self._fold(told)

    def _wake(self, until_ms: int) -> None:
        for client, tick in self._wakeups.until(until_ms):
            self._keep(client, transition(self.states[client], tick, policy=self.policy, scorer=self._scorer))
        self.now_ms = max(self.now_ms, until_ms)

    def _keep(self, client: str, result: Transition) -> None:
        self.states[client] = result.state
        for output in result.outputs:
            if isinstance(output, Decision):
                if output.outcome is DecisionOutcome.SEGMENT_CHANGED:
                    self.moves.append(output)
                elif output.outcome is DecisionOutcome.HELD and output.journey is None:
                    self.alarms.append(output)
            elif isinstance(output, RenewalExample):
                self.renewals.append(output)
        self._wakeups.note(client, result)


def _next_monday(ms: int) -> int:
    return ms - (ms - _FIRST_MONDAY_MS) % WEEK_MS + WEEK_MS


def segments_of(states: Mapping[str, ClientState]) -> dict[str, str]:
    """Return the segment of each client by the rules, overrides left aside."""
    return {client: state.care.segment.value for client, state in states.items()}

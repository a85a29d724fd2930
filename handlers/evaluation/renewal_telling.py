"""Tells a history of contracts to the core as it would have lived it; the learners of renewals change at the turn of a day."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from handlers.evaluation.wakeups import Wakeups
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE, ShrunkLateShare
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_snapshot import RenewalWeights
from models.learners.renewal_trainer import RenewalTrainer
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.transition import Transition, transition
from models.triggers import RenewalExample
from models.workdays import DAY_MS


@dataclass(slots=True)
class RenewalsTold:
    """What came out: answered periods in the order in which they became known, the clients as they stand, the last weights."""

    examples: list[RenewalExample] = field(default_factory=list)
    states: dict[str, ClientState] = field(default_factory=dict)
    events: int = 0
    first_ms: int = 0
    last_ms: int = 0
    versions: int = 0
    weights: RenewalWeights = field(default_factory=lambda: RenewalTrainer().publish())


class RenewalTelling:
    """One run over one history. Feed events in the order of `received_at`."""

    def __init__(self, *, unknown: AbstractSet[tuple[str, int]] = frozenset()) -> None:
        """Start with no clients and learners that know nothing; `unknown` periods (contract, day of renewal) are not learned."""
        self._unknown = unknown
        self.told = RenewalsTold()
        self.trainer = RenewalTrainer()
        self._scorer: ShrunkLateShare = BASELINE
        self._wakeups = Wakeups()
        self._day = 0

    def tell(self, events: Iterable[AnyClientEvent], *, until_ms: int = 0) -> RenewalsTold:
        """Tell all events, then what becomes known by `until_ms` without any."""
        told = self.told
        for event in events:
            now = event.received_ms
            self._wake(now)
            self._turn(now)
            self._fold(event)
            told.events += 1
            told.first_ms = told.first_ms or now
            told.last_ms = now
        self._wake(until_ms)
        self._turn(until_ms)
        return told

    def _fold(self, event: AnyClientEvent) -> None:
        result = transition(self.told.states.get(event.client_id), event, policy=DEFAULT_POLICY, scorer=self._scorer)
        if result.refusal is not None:
            return
        self._keep(event.client_id, result)
        for told in result.passed_on:
            self._fold(told)

    def _wake(self, until_ms: int) -> None:
        for client, tick in self._wakeups.until(until_ms):
            self._turn(tick.received_ms)
            self._keep(client, transition(self.told.states[client], tick, policy=DEFAULT_POLICY, scorer=self._scorer))

    def _turn(self, now_ms: int) -> None:
        day = now_ms // DAY_MS
        if day > self._day:
            self._day = day
            if self.trainer.turn(day):
                self.told.weights = self.trainer.publish()
                self._scorer = replace(BASELINE, renewals=PublishedRenewals(self.told.weights))
                self.told.versions += 1

    def _keep(self, client: str, result: Transition) -> None:
        self.told.states[client] = result.state
        for output in result.outputs:
            if isinstance(output, RenewalExample) and (output.contract_id, output.renews_day) not in self._unknown:
                self.told.examples.append(output)
                self.trainer.take(output)
        self._wakeups.note(client, result)

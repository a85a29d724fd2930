"""Tells a history to the core as it would have lived it: event by event, timers on time, new weights at the turn of a day.

The fold is `models.transition.transition`, the trainer the one that would run beside the workers. A probability is stored with
its question when it is put; what happens later cannot change it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from handlers.evaluation.kept import Kept
from handlers.evaluation.states import States
from handlers.evaluation.wakeups import Wakeups
from models.events.invoices import InvoiceIssued
from models.events.union import AnyClientEvent
from models.learners.lateness import LatenessScorer
from models.learners.trainer import LatenessTrainer
from models.policy.policy import DEFAULT_POLICY, Policy
from models.transition import Transition, transition
from models.triggers import Example
from models.workdays import DAY_MS


@dataclass(slots=True)
class Told:
    """What came out of a history: the answered questions in the order in which they became known, and how many events went in."""

    examples: Kept = field(default_factory=Kept)
    events: int = 0
    clients: int = 0
    first_ms: int = 0
    last_ms: int = 0
    versions: int = 0
    refused: int = 0
    """Invoices for which the state of their client had no place."""


class Telling:
    """One run over one history. Feed events in the order of `received_at`."""

    def __init__(self, policy: Policy = DEFAULT_POLICY) -> None:
        """Start with no clients and learners that know nothing; journeys run by `policy`, as they would have."""
        self.told = Told()
        self._policy = policy
        self.trainer = LatenessTrainer()
        self._scorer = LatenessScorer(self.trainer.publish())
        self._states = States()
        self._wakeups = Wakeups()
        self._day = 0
        self._refused: set[tuple[str, str]] = set()

    def tell(self, events: Iterable[AnyClientEvent]) -> Told:
        """Tell all events; timers that would be due after the last one stay unasked, as their answers are not known."""
        for event in events:
            now = event.received_ms
            self._wake(now)
            self._turn(now)
            self._fold(event)
            self.told.events += 1
            self.told.first_ms = self.told.first_ms or now
            self.told.last_ms = now
        self.told.clients = len(self._states)
        return self.told

    def _fold(self, event: AnyClientEvent) -> None:
        about = (event.client_id, getattr(event, "invoice_id", None) or "")
        is_issue = isinstance(event, InvoiceIssued)
        if about in self._refused and not is_issue:
            return  # its payment would count as money for what else is open, and that as paid early
        state = self._states.get(event.client_id)
        result = transition(state, event, policy=self._policy, scorer=self._scorer)
        if result.refusal is not None:
            if is_issue and about not in self._refused:
                self._refused.add(about)
                self.told.refused += 1
            return
        self._keep(event.client_id, result)
        for told in result.passed_on:
            self._fold(told)

    def _wake(self, until_ms: int) -> None:
        for client, tick in self._wakeups.until(until_ms):
            self._turn(tick.received_ms)
            self._keep(client, transition(self._states.get(client), tick, policy=self._policy, scorer=self._scorer))

    def _turn(self, now_ms: int) -> None:
        day = now_ms // DAY_MS
        if day > self._day:
            self._day = day
            if self.trainer.turn(day):
                self._scorer = LatenessScorer(self.trainer.publish())
                self.told.versions += 1

    def _keep(self, client: str, result: Transition) -> None:
        self._states.put(client, result.state)
        for output in result.outputs:
            if isinstance(output, Example):
                self.told.examples.take(output)
                self.trainer.take(output)
        self._wakeups.note(client, result)

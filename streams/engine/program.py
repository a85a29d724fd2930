"""The pure core in the form in which the engine runs it: transition, policy, scorer and codec bound together."""

from dataclasses import dataclass

from models.events.union import AnyEvent
from models.learners.baseline import BASELINE
from models.learners.scorer import Scorer
from models.policy.policy import DEFAULT_POLICY, Policy
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.transition import Transition, transition


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """`models.transition` under one policy and one scorer."""

    policy: Policy = DEFAULT_POLICY
    scorer: Scorer = BASELINE

    def encode(self, state: ClientState) -> bytes:
        """Return the bytes of `state`; equal states have equal bytes."""
        return encode(state)

    def decode(self, blob: bytes) -> ClientState:
        """Return the state that `encode` wrote; raises UnreadableStateError for bytes of another release."""
        return decode(blob)

    def think(self, state: ClientState | None, event: AnyEvent) -> Transition:
        """Return what `event` does to the client."""
        return transition(state, event, policy=self.policy, scorer=self.scorer)

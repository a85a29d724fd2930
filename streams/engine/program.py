"""The pure core in the form in which the engine runs it: transition, policy, scorer and codec bound together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import structlog
from pydantic import ValidationError

from models.events.control import LearnerActivated, LearnerRole, PolicyActivated, RunsMigrated
from models.events.union import AnyControlEvent, AnyEvent
from models.learners.activation import LATENESS, LEARNERS, RENEWAL, WithRenewals, renewals_of, scorer_of, verify
from models.learners.baseline import BASELINE
from models.learners.lateness import LatenessScorer
from models.learners.renewal import PublishedRenewals
from models.learners.scorer import Scorer
from models.learners.shadow import NOBODY, Challengers, Watched
from models.learners.snapshot import SnapshotError
from models.policy.in_force import in_force
from models.policy.policy import DEFAULT_POLICY, Policy
from models.regime import NOTHING_ACTIVATED, ActivePolicy, Regime, decode_regime, encode_regime, regime_after, with_base
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.transition import Transition, transition
from streams.runtime.errors import DeadLetterError
from streams.runtime.firm import activated_policy, described_policy
from streams.wire.dead_letters import Reason
from streams.wire.events import explain

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 4  # regimes; all partitions have the same one save for the moments while a change travels


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """`models.transition` under what is in force: the regime's policy and learner, or those given here where it names none."""

    policy: Policy = DEFAULT_POLICY
    scorer: Scorer = BASELINE
    regime: Regime = NOTHING_ACTIVATED
    challengers: Challengers = NOBODY
    refused: Mapping[str, bool] = field(default_factory=lambda: dict.fromkeys(LEARNERS, False), compare=False)
    _bound: dict[bytes, "ClientProgram"] = field(default_factory=dict, repr=False, compare=False)

    def encode(self, state: ClientState) -> bytes:
        """Return the bytes of `state`; equal states have equal bytes."""
        return encode(state)

    def decode(self, blob: bytes) -> ClientState:
        """Return the state that `encode` wrote; raises UnreadableStateError for bytes of another release."""
        return decode(blob)

    def think(self, state: ClientState | None, event: AnyEvent) -> Transition:
        """Return what `event` does to the client; DeadLetterError for what no sum could hold, or no state has a place for."""
        thought = transition(state, event, policy=self.policy, scorer=self.scorer)
        if thought.refusal is not None:
            raise DeadLetterError(Reason(thought.refusal.reason), thought.refusal.cause)
        if self.challengers is NOBODY or not thought.outputs:
            return thought
        return replace(thought, outputs=tuple(map(self.challengers.answer, thought.outputs)))

    def govern(self, regime: bytes, event: AnyControlEvent) -> bytes:
        """Return the regime after `event`. DeadLetterError for a policy or a snapshot that this release cannot run."""
        before = decode_regime(regime)
        _refuse_what_cannot_run(event, before)
        after = regime_after(before, event)
        if isinstance(event, PolicyActivated) and after.base is None:
            after = with_base(after, described_policy(self.policy))
        return encode_regime(after)

    def under(self, regime: bytes) -> "ClientProgram":
        """Return the program under `regime`; this one where nothing was ever activated."""
        if not regime:
            return self
        bound = self._bound.get(regime)
        if bound is None:
            bound = self._bind(decode_regime(regime))
            while len(self._bound) >= _REMEMBERED:
                del self._bound[next(iter(self._bound))]
            self._bound[regime] = bound
        return bound

    def _bind(self, regime: Regime) -> "ClientProgram":
        policy = self.policy
        if (active := regime.policy()) is not None:
            policy = _activated(active, self.policy.zone)
        renewals = _renewals(regime, LearnerRole.CHAMPION)
        rules = self.scorer if renewals is None else WithRenewals(self.scorer, renewals)
        lateness = _lateness(regime, LearnerRole.CHAMPION, rules)
        usable = {LATENESS: lateness, RENEWAL: renewals}
        refused = {name: found is None and regime.learner(name) is not None for name, found in usable.items()}
        scorer = lateness or rules
        challengers = NOBODY
        beside = _lateness(regime, LearnerRole.CHALLENGER, rules), _renewals(regime, LearnerRole.CHALLENGER)
        if any(beside):
            challengers = Challengers(*beside)
        if challengers.lateness is not None:
            scorer = Watched(scorer, challengers.lateness)
        base = self.policy if regime.base is None else _activated(regime.base, self.policy.zone)
        bound = in_force(policy, regime, base=base, find=self._finder(regime))
        return replace(self, policy=bound, scorer=scorer, regime=regime, challengers=challengers, refused=refused, _bound={})

    def _finder(self, regime: Regime) -> Callable[[str], Policy | None]:
        """Return what finds the policy of a version; one is read when a run that is pinned to it is met."""
        zone = self.policy.zone

        def find(version: str) -> Policy | None:
            known = regime.policy(version)
            return None if known is None else _activated(known, zone)

        return find


def _renewals(regime: Regime, role: LearnerRole) -> PublishedRenewals | None:
    learner = regime.learner(RENEWAL, role)
    if learner is None:
        return None
    try:
        return renewals_of(learner.snapshot)
    except SnapshotError as error:
        log.error("the learner of renewals cannot be used, it abstains", version=learner.version, cause=str(error))  # noqa: TRY400 - the cause says all, no traceback
        return None


def _lateness(regime: Regime, role: LearnerRole, rules: Scorer) -> LatenessScorer | None:
    learner = regime.learner(LATENESS, role)
    if learner is None:
        return None
    try:
        return scorer_of(learner.snapshot, rules=rules)
    except SnapshotError as error:
        # It was checked when it was activated, so this is another release. The rules decide until it is retrained.
        log.error("the active learner cannot be used, scoring by rules", version=learner.version, cause=str(error))  # noqa: TRY400 - the cause says all, no traceback
        return None


@lru_cache(maxsize=16)
def _activated(active: ActivePolicy, home_zone: str) -> Policy:
    return activated_policy(active, home_zone=home_zone)


def _refuse_what_cannot_run(event: AnyControlEvent, before: Regime) -> None:
    try:
        match event:
            case PolicyActivated():
                activated_policy(event, home_zone="UTC")
            case LearnerActivated(snapshot=snapshot) if snapshot:
                verify(event)
            case RunsMigrated() if before.policy(event.version) is None:
                cause = f"runs cannot go on by {event.version}: it was never activated here, or is forgotten since"
                raise DeadLetterError(Reason.BAD_SCHEMA, cause)
            case _:
                pass
    except SnapshotError as error:
        raise DeadLetterError(Reason.BAD_SCHEMA, str(error)) from error
    except ValidationError as error:
        raise DeadLetterError(Reason.BAD_SCHEMA, explain(error)) from error

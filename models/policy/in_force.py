"""The policy under the regime of a partition: emergency stops, late sources, and the versions that begun runs are pinned to.

A stop is looked up in the regime and never in a policy, so it beats every version and every pin.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final

from models.events.control import HaltScope
from models.events.signals import Purpose
from models.journey_names import names_of
from models.policy.policy import Policy
from models.regime import NOTHING_ACTIVATED, Migration, Regime
from models.state.client import Run
from models.state.runs import is_begun
from models.triggers import AnyJourney
from models.workdays import moment

NO_NEWS: Final = "no news from "
"""How the reason of a decision begins that a late source holds back."""


def _unknown(version: str) -> Policy | None:
    del version
    return None


@dataclass(frozen=True, slots=True)
class PolicyInForce(Policy):
    """A policy with the regime it is in force under. `base` decided before anything was activated; `find` knows the versions."""

    regime: Regime = NOTHING_ACTIVATED
    base: Policy | None = None
    find: Callable[[str], Policy | None] = field(default=_unknown, repr=False, compare=False)

    def stop_of(self, journey: AnyJourney, *, channel: str, purpose: Purpose) -> str | None:
        """Return the emergency stop that reaches this contact, in words; None without one."""
        found = (self.regime.halt(journey=name, channel=channel, purpose=purpose.value) for name in names_of(journey))
        halt = next((row for row in found if row is not None), None)
        if halt is None:
            return None
        what = f"{halt.scope.value} {halt.target}".strip()
        return f"stopped by {halt.author} ({what}): {halt.reason}"

    def is_stopped(self, experiment: str) -> bool:
        """Say whether people have stopped an experiment."""
        return any((row.scope, row.target) == (HaltScope.EXPERIMENT, experiment) for row in self.regime.halts)

    def is_on_probation(self, run: Run) -> bool:
        """Say whether the policy activated last still waits for its first approvals, and the run follows it."""
        active = self.regime.policy()
        return active is not None and active.approvals > 0 and self.of_run(run).version == active.version

    def late_feed(self, feeds: tuple[str, ...]) -> str | None:
        """Return which source is late whose news this client's money depends on, in words; None where none is."""
        row = next(iter(self.regime.late_among(feeds)), None)
        if row is None:
            return None
        return f"{NO_NEWS}{row.feed} since {moment(row.late_ms):%Y-%m-%d %H:%M}: what was paid since is not known here"

    def of_run(self, run: Run) -> Policy:
        """Return the policy whose steps a run follows: the one it was begun under, as long as that is remembered."""
        if not is_begun(run):
            return self
        found = self.called(run.pinned) if run.pinned else self.base
        return self if found is None else found

    def called(self, version: str) -> Policy | None:
        """Return the policy of a version, as long as it is remembered."""
        return self if version == self.version else self.find(version)

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """Where runs go on that are under way by an earlier policy."""
        return (*self.regime.migrations, *self.regime.single)

    @property
    def pin(self) -> str:
        """What a run that begins now is pinned to; nothing while no policy was ever activated."""
        return self.version if self.regime.policies else ""


def in_force(policy: Policy, regime: Regime, *, base: Policy, find: Callable[[str], Policy | None]) -> PolicyInForce:
    """Return `policy` under `regime`."""
    known = {row.name: getattr(policy, row.name) for row in fields(Policy)}
    return PolicyInForce(**known, regime=regime, base=base, find=find)

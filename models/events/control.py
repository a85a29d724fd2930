"""Events about a partition of the log rather than a client. Produced by us only, never accepted from outside.

All but the clock's are written into every partition with the same `event_id`, by `streams.wire.control`; each partition folds
them into its `models.regime.Regime`. What they put in force travels in them, so that the log alone replays.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from models.events.envelope import Envelope, Identifier, Instant

MOST_CLIENTS: Final = 20
"""Clients whose runs one word moves by name: every partition keeps it."""


class ClockTicked(Envelope):
    """Time passed: timers due up to `occurred_at` may fire. Written by the owner of a partition into that partition."""

    kind: Literal["clock.ticked"] = "clock.ticked"


class ControlEvent(Envelope):
    """Something changed for all clients of the firm at once."""

    author: Identifier = Field(description="Who decided this: a person, or `automatic`.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class PolicyActivated(ControlEvent):
    """Decide by this policy from now on. Runs that are pinned to an earlier version keep it."""

    kind: Literal["policy.activated"] = "policy.activated"
    version: Identifier = Field(description="Version with the digest of the content; written into every decision.")
    document: Annotated[str, StringConstraints(min_length=2, max_length=300_000)] = Field(
        description="The whole policy as JSON (policy.v1.schema.json)."
    )
    approvals: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0, description="A person approves every message under it until so many have been; 0: they leave by themselves."
    )


class RunsMigrated(ControlEvent):
    """Runs under way that were begun under one of `versions` go on by `version`, each behind the last step that it has taken."""

    kind: Literal["runs.migrated"] = "runs.migrated"
    version: Identifier = Field(description="The policy they follow from now on; it was activated before.")
    versions: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16)] = Field(
        description="The policies they follow until now."
    )
    journeys: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="Runs of these journeys alone; none: of every one."
    )
    clients: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=MOST_CLIENTS)] | None = Field(
        default=None, description="Runs of these clients alone; none: of every one."
    )


class LearnerRole(StrEnum):
    """A champion decides; a challenger is scored beside it and decides nothing."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class LearnerActivated(ControlEvent):
    """Score with this snapshot from now on, as champion or as challenger. No snapshot: with none, in this role.

    While `pinned`, a champion is replaced by nobody's automatic choice (`automatic`), only by a person's.
    """

    kind: Literal["learner.activated"] = "learner.activated"
    learner: Identifier = Field(description="Name of the learner, for example lateness.")
    version: Identifier = Field(description="Version of the snapshot; written into every decision and question.")
    role: LearnerRole = LearnerRole.CHAMPION
    pinned: bool = Field(default=False, description="Keep it until a person decides otherwise.")
    automatic: bool = Field(default=False, description="Chosen by the trainer, not by a person.")
    snapshot: Annotated[str, StringConstraints(max_length=90_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")] = Field(
        description="The bytes of the snapshot in base64; empty: none any more."
    )


class HaltScope(StrEnum):
    """What an emergency stop reaches. A stopped experiment holds nothing back: everybody gets the step as it stands."""

    ALL = "all"
    JOURNEY = "journey"
    CHANNEL = "channel"
    PURPOSE = "purpose"
    EXPERIMENT = "experiment"


class HaltChanged(ControlEvent):
    """Contact is stopped, or goes on. A stop beats every policy and every pin until the same scope and target is resumed."""

    kind: Literal["halt.changed"] = "halt.changed"
    scope: HaltScope
    target: Identifier | None = Field(
        default=None, description="Which journey, channel, purpose or experiment; none where scope is all."
    )
    halted: bool

    @model_validator(mode="after")
    def _target_fits_scope(self) -> Self:
        if (self.target is None) != (self.scope is HaltScope.ALL):
            message = "a stop of all has no target; every other one names it"
            raise ValueError(message)
        return self


class FeedChanged(ControlEvent):
    """A source is late, or delivers again: what depends on its news waits meanwhile."""

    kind: Literal["feed.changed"] = "feed.changed"
    feed: Identifier = Field(description="The source that is late, for example stripe.")
    late_since: Instant | None = Field(default=None, description="Since when nothing came of it; none: it delivers again.")


WAKING: Final = (PolicyActivated, RunsMigrated)
"""After these everybody is planned anew: what is wanted when is another thing now."""

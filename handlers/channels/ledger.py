r"""The delivery ledger: what a channel has promised, is doing and has done, per partition of its topic.

It holds, in one atomic store: the position in the topic and the high-water of what was accepted, every claimed trigger with its
state, and the outcomes that `signals` has not acknowledged yet. A crash at any moment leaves all of them in agreement.

    PREPARED --begin--> SENDING --finish--> SENT | FAILED | AMBIGUOUS, or back to PREPARED for another attempt
        \--retraction, gate, expiry--> RETRACTED | SUPPRESSED | EXPIRED | FAILED

Two clocks are passed in, both epoch milliseconds. `now_ms` is business time (the `Clock`): not-before, expiry and the
`occurred_at` of outcomes. `wall_ms` is operating time: leases, retries and retention, which must not race through a year when
business time does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from handlers.channels.contract import OnAmbiguous
from models.events.signals import DeliveryOutcome
from streams.wire.headers import Position

NOTHING_YET: Final = Position(-1, -1)
"""High-water of a partition from which nothing was accepted."""

REASON_LENGTH: Final = 500
"""Longest reason kept; the contract of `DeliveryReported` allows no more."""


EXPIRED_BEFORE_SENDING: Final = "expired before it could be sent"
INTERRUPTED: Final = "the attempt was interrupted: it may or may not have been delivered"


class Stage(StrEnum):
    """Where a trigger stands."""

    PREPARED = "prepared"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a partition: the consumer group's generation, a random id of the process, and the incarnation of the group."""

    generation: int
    owner_id: str
    incarnation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a partition stands: next offset to read, high-water, and the version token of its last change."""

    next_offset: int
    high_water: Position
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The ledger of this partition does not exist: first use, or the store was lost."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """Another owner holds the partition; `incarnation` is the one stored."""

    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """The stored position is not the expected one (the store went back, or someone went on): continue from `standing`."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Crowded:
    """Too many triggers wait already: pause the partition and try the same batch again later. Never said when none waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A batch is in: how many triggers were claimed, were known already, were filtered by the high-water; and retractions."""

    standing: Standing
    claimed: int = 0
    known: int = 0
    filtered: int = 0
    retractions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A trigger to take charge of. `body` is the record's value, kept until the trigger is finished.

    `position` none: the record was put back by hand (redrive), so that its place in the source says nothing any more.
    """

    position: Position | None
    trigger_id: str
    client_id: str
    not_before_ms: int
    expires_ms: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A retraction of a trigger; `position` as in `Claim`."""

    position: Position | None
    trigger_id: str
    client_id: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Consecutive records of a partition, decoded. `version` names this attempt, so that a repeated call is recognised."""

    expected: Standing
    next_offset: int
    entries: Sequence[Claim | Withdrawal]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A prepared trigger that is due. `attempt` counts the attempts made so far."""

    trigger_id: str
    client_id: str
    attempt: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The right to send one trigger once. Only its holder can say how the attempt ended."""

    trigger_id: str
    owner_id: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt, or a trigger that is not attempted, ended. `stage` PREPARED with `retry_ms` means: try again.

    `address` is the digest of the address that was tried, `purpose` that of the message.
    """

    stage: Stage
    outcome: DeliveryOutcome | None = None
    reason: str = ""
    retry_ms: int = 0
    address: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An outcome that waits to be published. `report_id` is the ledger's own handle, `address` and `purpose` as in `Ending`."""

    report_id: str
    trigger_id: str
    client_id: str
    outcome: DeliveryOutcome
    attempt: int
    reason: str
    at_ms: int
    address: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How full a ledger is. `oldest_due_ms` is the earliest not-before or retry that is still open, in its own clock."""

    prepared: int
    sending: int
    unreported: int
    oldest_due_ms: int | None


class Ledger(Protocol):
    """The ledger of one partition of one channel. Every call is atomic and may be repeated: the second time changes nothing.

    All calls raise RetryError while the store is away or busy.
    """

    async def acquire(self, owner: Owner, *, first_offset: int | None = None) -> Standing | Missing | Fenced:
        """Take the partition over, unless a younger generation holds it.

        A ledger that does not exist is made only when `first_offset` says where to start, else the answer is Missing.
        """
        ...

    async def accept(
        self, owner: Owner, batch: Batch, *, now_ms: int, wall_ms: int
    ) -> Accepted | Moved | Crowded | Fenced | Missing:
        """Claim triggers and apply retractions past the high-water; store position and high-water with them, all or nothing."""
        ...

    async def ready(self, *, now_ms: int, wall_ms: int, limit: int) -> list[Entry]:
        """Return prepared triggers whose not-before or retry has come, earliest first. Changes nothing."""
        ...

    async def begin(self, owner: Owner, entry: Entry, *, now_ms: int, lease_ms: int) -> Attempt | None:
        """Turn PREPARED into SENDING until `lease_ms` (operating time); none when it was retracted, expired or taken."""
        ...

    async def finish(self, attempt: Attempt, ending: Ending, *, now_ms: int, wall_ms: int) -> Stage | None:
        """Record how `attempt` ended and return the stage it led to; none when the attempt is no longer this one.

        The right to finish comes from the attempt, not from holding the partition: a drained worker may still tell what it
        knows. A retraction that came while sending is acknowledged here: `too_late` when it was or may have been sent, else
        `retracted`, and then it is not tried again. An AMBIGUOUS attempt may still be resolved by its holder.
        """
        ...

    async def settle(self, owner: Owner, trigger_id: str, ending: Ending, *, now_ms: int, wall_ms: int) -> bool:
        """End a PREPARED trigger without sending it; false when it is not prepared any more or another owner holds it."""
        ...

    async def hold(self, owner: Owner, trigger_id: str, *, until_ms: int) -> bool:
        """Let a PREPARED trigger wait until `until_ms` of business time; false as for `settle`."""
        ...

    async def expire(self, owner: Owner, *, now_ms: int, wall_ms: int, limit: int) -> int:
        """Turn PREPARED triggers past their expiry into EXPIRED and return how many; needs no provider."""
        ...

    async def recover(self, owner: Owner, *, policy: OnAmbiguous, now_ms: int, wall_ms: int, limit: int) -> int:
        """Decide attempts whose lease ran out, as nobody knows their result: AMBIGUOUS, or PREPARED again. Returns how many."""
        ...

    async def reports(self, *, limit: int) -> list[Report]:
        """Return the oldest outcomes that are not published yet."""
        ...

    async def reported(self, report_ids: Sequence[str]) -> None:
        """Forget outcomes that `signals` has acknowledged."""
        ...

    async def trim(self, *, before_ms: int, limit: int) -> int:
        """Forget at most `limit` triggers that were finished before `before_ms` (operating time); return how many."""
        ...

    async def depth(self) -> Depth:
        """Return how full it is."""
        ...


class Ledgers(Protocol):
    """Opens the ledger of a partition."""

    def open(self, topic: str, partition: int) -> Ledger:
        """Return the ledger of `partition` of `topic` (name on the broker); makes nothing in the store yet."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...

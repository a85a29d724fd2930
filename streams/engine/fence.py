"""The fence: who may write a partition, where its state stands, and the one atomic write that moves it on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from streams.engine.writes import OutboxEntry, Writes
from streams.wire.headers import Position


class Slot(NamedTuple):
    """One partition of one topic; `topic` is the bare name of the topic table."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Why this process may write: the consumer group's generation, its own random name, and the incarnation of the fence.

    A claim of a higher incarnation beats every older one; within one incarnation the higher generation wins, and within one
    generation the first owner.
    """

    generation: int
    owner: str
    incarnation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a fence that does not exist yet is made with; everything else stored for the partition is cleared.

    `high_water` names, by topic, the last output that is known to be published: a rebuild must not publish it again.
    """

    next_offset: int
    ver: str
    high_water: Mapping[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The partition is ours: where its state stands, and the regime it stands under (empty: nothing was ever activated)."""

    next_offset: int
    ver: str
    watermark_ms: int
    incarnation: int
    outbox_depth: int
    next_due_ms: int | None
    high_water: Mapping[str, Position]
    regime: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody with a better claim holds the partition; `incarnation` is the one stored."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no fence: the first use of the partition, or Redis lost everything."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """States as asked for, in the order asked for; `due` are the clients with a timer due, by due time, then by name."""

    states: Sequence[bytes | None]
    due: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Moved:
    """The stored version is not the one the caller knows: drop what was read before, go on from here."""

    next_offset: int
    ver: str


class Verdict(StrEnum):
    """The answer to a commit."""

    OK = "ok"
    DUP = "dup"
    MISSING = "missing"
    FENCED = "fenced"
    AHEAD = "ahead"
    BEHIND = "behind"
    FORKED = "forked"
    BACKPRESSURE = "backpressure"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReply:
    """`next_offset` and `ver` are what is stored after the call; only OK and DUP mean that the writes are in."""

    verdict: Verdict
    next_offset: int
    ver: str
    outbox_depth: int = 0
    next_due_ms: int | None = None
    outbox_head: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitCall:
    """One commit. Repeating the very same call is safe: the second answer is DUP.

    `ver` and `expected` say which state the writes were computed from; `ver_new` is a fresh random token.
    """

    claim: Claim
    ver: str
    expected: int
    ver_new: str
    writes: Writes
    outbox_limit: int


Acquired: TypeAlias = Held | Refused | Missing


class Fence(Protocol):
    """Stored state of all partitions. Every method raises RetryError while the server cannot do it; repeating is safe."""

    async def acquire(self, slot: Slot, claim: Claim, *, birth: Birth | None = None) -> Acquired:
        """Take the partition for `claim`; a missing fence is made from `birth` when that is given."""
        ...

    async def load(
        self, slot: Slot, clients: Sequence[str], *, ver: str, due_until_ms: int | None = None, due_limit: int = 0
    ) -> Loaded | Moved | Missing:
        """Return the states of `clients`, and of at most `due_limit` clients with a timer due, if the version is `ver`."""
        ...

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Write everything or nothing."""
        ...

    async def read_outbox(self, slot: Slot, *, limit: int) -> list[OutboxEntry]:
        """Return the oldest entries not trimmed yet, in order."""
        ...

    async def trim(self, slot: Slot, upto: Position) -> int:
        """Forget outbox entries up to and including `upto`, which Kafka has acknowledged; returns how many are left."""
        ...

    async def position(self, slot: Slot) -> int | None:
        """Return the next offset to be folded, or none without a fence; needs no claim."""
        ...

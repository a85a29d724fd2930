"""The regime of a partition: what holds for all of its clients at once. A pure fold of the control events on its log.

It is stored with the fence, in the same write as the position, so a state is always decided under the regime of its own place in
the log: a replay of the log alone decides and scores as the live run did.
"""

from base64 import b64decode
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from models.events.control import (
    FeedChanged,
    HaltChanged,
    HaltScope,
    LearnerActivated,
    LearnerRole,
    PolicyActivated,
    RunsMigrated,
)
from models.events.envelope import epoch_ms
from models.events.union import AnyControlEvent

POLICIES_KEPT: Final = 8
"""Policies remembered, the active one included: runs may be pinned to any of them."""

SINGLE_KEPT: Final = 32
"""Latest moves of single journeys and clients that are remembered: what they mean is moved within minutes, or when it ends."""

_REMEMBERED: Final = 64  # control events by whose id a repetition is known; people write a few a week
_VERSION: Final = 1


class UnreadableRegimeError(ValueError):
    """The stored bytes were written by a release that is newer than this one, or are damaged."""


class ActivePolicy(msgspec.Struct, frozen=True, array_like=True):
    """A policy that was put in force: its version and its document as JSON."""

    version: str
    document: str
    since_ms: int
    approvals: int = 0


class Migration(msgspec.Struct, frozen=True, array_like=True):
    """Runs under way that follow the policy `of` go on by the policy `to` since a moment; both are among those remembered."""

    of: str
    to: str
    since_ms: int
    author: str
    reason: str

    def is_of(self, client_id: str) -> bool:
        """Say whether runs of this client are meant."""
        del client_id
        return True

    def is_about(self, journey: str) -> bool:
        """Say whether runs of this journey are meant."""
        del journey
        return True


class SingleMigration(Migration, frozen=True, array_like=True):
    """The same of some `journeys` or `clients` alone; none named: of every one."""

    journeys: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()

    def is_of(self, client_id: str) -> bool:
        """Say whether runs of this client are meant."""
        return not self.clients or client_id in self.clients

    def is_about(self, journey: str) -> bool:
        """Say whether runs of this journey are meant."""
        return not self.journeys or journey in self.journeys

    @property
    def scope(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What is meant; a later word about the same takes its place."""
        return self.of, self.journeys, self.clients


class ActiveLearner(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot in use: `learner` and `role` say as what, `snapshot` are its bytes."""

    learner: str
    role: LearnerRole
    version: str
    since_ms: int
    pinned: bool
    author: str
    snapshot: bytes


class Halt(msgspec.Struct, frozen=True, array_like=True):
    """An emergency stop that holds; `target` is empty where the scope is all."""

    scope: HaltScope
    target: str
    since_ms: int
    author: str
    reason: str


class LateFeed(msgspec.Struct, frozen=True, array_like=True):
    """A source of which nothing has come since `late_ms`."""

    feed: str
    late_ms: int
    since_ms: int
    author: str
    reason: str


class Regime(msgspec.Struct, frozen=True, array_like=True):
    """Everything in force. `policies` are the latest first; the first one decides unless a run is pinned to another.

    `base` is the policy that decided before the first was activated: what was begun then keeps it, whatever a restart reads.
    """

    policies: tuple[ActivePolicy, ...] = ()
    learners: tuple[ActiveLearner, ...] = ()
    halts: tuple[Halt, ...] = ()
    feeds: tuple[LateFeed, ...] = ()
    heard: tuple[str, ...] = ()
    base: ActivePolicy | None = None
    migrations: tuple[Migration, ...] = ()
    single: tuple[SingleMigration, ...] = ()

    def policy(self, version: str | None = None) -> ActivePolicy | None:
        """Return the policy in force, or the one called `version`; none: never activated, or forgotten since."""
        return next((row for row in self.policies if version in {None, row.version}), None)

    def learner(self, name: str, role: LearnerRole = LearnerRole.CHAMPION) -> ActiveLearner | None:
        """Return the snapshot of a learner in a role, none where nothing is activated."""
        return next((row for row in self.learners if (row.learner, row.role) == (name, role)), None)

    def halt(self, *, journey: str | None = None, channel: str | None = None, purpose: str | None = None) -> Halt | None:
        """Return the emergency stop that reaches a contact, the widest first."""
        asked = {(HaltScope.ALL, ""), (HaltScope.JOURNEY, journey), (HaltScope.CHANNEL, channel), (HaltScope.PURPOSE, purpose)}
        return next((row for row in self.halts if (row.scope, row.target) in asked), None)

    def late_feed(self, feed: str) -> LateFeed | None:
        """Return since when a source is late, none while it delivers."""
        return next((row for row in self.feeds if row.feed == feed), None)

    def late_among(self, feeds: tuple[str, ...]) -> list[LateFeed]:
        """Return the late sources on whose news the money of a client depends that came through `feeds` so far.

        Of a client who never paid nobody knows through which source the money will come.
        """
        return [row for row in self.feeds if not feeds or row.feed in feeds]


NOTHING_ACTIVATED: Final = Regime()
"""How every partition begins."""


def regime_after(regime: Regime, event: AnyControlEvent) -> Regime:
    """Return the regime after one control event; the very same object when it was heard before.

    A champion that a person has pinned is not replaced automatically.
    """
    if event.event_id in regime.heard:
        return regime
    at_ms = epoch_ms(event.received_at or event.occurred_at)
    match event:
        case PolicyActivated():
            active = ActivePolicy(event.version, event.document, at_ms, event.approvals)
            others = [row for row in regime.policies if row.version != event.version]
            changed = _forgetful(replace(regime, policies=(active, *others)[:POLICIES_KEPT]), back_to=event.version)
        case RunsMigrated():
            changed = _with_migration(regime, event, at_ms)
        case LearnerActivated():
            changed = _with_learner(regime, event, at_ms)
        case HaltChanged():
            changed = _with_halt(regime, event, at_ms)
        case FeedChanged():
            changed = _with_feed(regime, event, at_ms)
        case _:
            assert_never(event)
    return replace(changed, heard=(*regime.heard, event.event_id)[-_REMEMBERED:])


def with_base(regime: Regime, base: ActivePolicy) -> Regime:
    """Return `regime` that remembers what decided before; nothing changes where that is known, or nothing was activated."""
    return regime if regime.base is not None or not regime.policies else replace(regime, base=base)


def _with_migration(regime: Regime, event: RunsMigrated, at_ms: int) -> Regime:
    """Return the regime in which runs move; what is moved to is left by no earlier word, so nobody is moved in a circle."""
    if regime.policy(event.version) is None:
        return regime
    if event.journeys or event.clients:
        return _with_single(regime, event, at_ms)
    told = [Migration(of, event.version, at_ms, event.author, event.reason) for of in set(event.versions) - {event.version}]
    kept = [row for row in regime.migrations if row.of not in event.versions]
    single = tuple(row for row in regime.single if row.of not in event.versions)
    return _forgetful(replace(regime, migrations=(*kept, *told), single=single), back_to=event.version)


def _with_single(regime: Regime, event: RunsMigrated, at_ms: int) -> Regime:
    journeys, clients = (tuple(sorted(set(names))) for names in (event.journeys or (), event.clients or ()))
    left = sorted(set(event.versions) - {event.version})
    told = [SingleMigration(of, event.version, at_ms, event.author, event.reason, journeys, clients) for of in left]
    scopes = {row.scope for row in told}
    kept = [row for row in regime.single if row.scope not in scopes]
    return _forgetful(replace(regime, single=(*kept, *told)[-SINGLE_KEPT:]), back_to=event.version)


def _forgetful(regime: Regime, *, back_to: str) -> Regime:
    """Forget migrations of policies that nobody remembers, and those away from one that runs begin under again."""
    known = {row.version for row in regime.policies}
    left = known | ({regime.base.version} if regime.base else set())

    def holds(row: Migration) -> bool:
        return row.of in left and row.to in known and row.of != back_to

    migrations = sorted(filter(holds, regime.migrations), key=lambda row: row.of)
    return replace(regime, migrations=tuple(migrations), single=tuple(filter(holds, regime.single)))


def _with_learner(regime: Regime, event: LearnerActivated, at_ms: int) -> Regime:
    before = regime.learner(event.learner, event.role)
    if before is not None and before.pinned and event.automatic:
        return regime
    kept = [row for row in regime.learners if row is not before]
    if event.snapshot:
        raw = b64decode(event.snapshot)
        kept.append(ActiveLearner(event.learner, event.role, event.version, at_ms, event.pinned, event.author, raw))
    return replace(regime, learners=tuple(sorted(kept, key=lambda row: (row.learner, row.role))))


def _with_halt(regime: Regime, event: HaltChanged, at_ms: int) -> Regime:
    target = event.target or ""
    kept = [row for row in regime.halts if (row.scope, row.target) != (event.scope, target)]
    if event.halted:
        kept.append(Halt(event.scope, target, at_ms, event.author, event.reason))
    return replace(regime, halts=tuple(sorted(kept, key=lambda row: (row.scope, row.target))))


def _with_feed(regime: Regime, event: FeedChanged, at_ms: int) -> Regime:
    kept = [row for row in regime.feeds if row.feed != event.feed]
    if event.late_since is not None:
        kept.append(LateFeed(event.feed, epoch_ms(event.late_since), at_ms, event.author, event.reason))
    return replace(regime, feeds=tuple(sorted(kept, key=lambda row: row.feed)))


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Regime)


def encode_regime(regime: Regime) -> bytes:
    """Return the bytes of `regime`, none for one in which nothing was activated; equal regimes have equal bytes."""
    return b"" if regime == NOTHING_ACTIVATED else bytes([_VERSION]) + _ENCODER.encode(regime)


def decode_regime(blob: bytes) -> Regime:
    """Return the regime that `encode_regime` wrote. Raises UnreadableRegimeError for bytes of another release."""
    if not blob:
        return NOTHING_ACTIVATED
    if blob[0] != _VERSION:
        message = f"the stored regime has version {blob[0]}, this release reads {_VERSION}: run the release that wrote it"
        raise UnreadableRegimeError(message)
    try:
        return _DECODER.decode(memoryview(blob)[1:])
    except msgspec.MsgspecError as error:
        message = f"the stored regime cannot be read ({error}): rebuild the partition from its log"
        raise UnreadableRegimeError(message) from error

"""A small pure core for proofs: it counts, and its state tells any event lost, doubled or out of order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, Self

import msgspec

from models.events.payments import PaymentReceived
from models.events.signals import Purpose
from models.events.union import AnyControlEvent, AnyEvent
from models.ids import derive
from models.triggers import Decision, DecisionOutcome, Journey, Output, Tone, Trigger

SEEN: Final = 64  # event ids remembered per client
TIMER_MS: Final = 2_000
_EVERY: Final = 3  # payments that start a timer, and amounts that lead to a decision
_VERSION: Final = "counting-1"
_CHAIN: Final = 16  # digits of the digest over all control records heard


class CountingState(msgspec.Struct, array_like=True, frozen=True):
    """What is known of a client. `chain` is a digest over all applied events in their order; `timers` are in epoch ms."""

    client: str
    applied: int = 0
    duplicates: int = 0
    now_ms: int = 0
    chain: bytes = b""
    seen: tuple[str, ...] = ()
    timers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CountingThought:
    """What one event did."""

    state: CountingState
    outputs: Sequence[Output]
    disposition: str

    @property
    def next_due_ms(self) -> int | None:
        """The earliest timer."""
        return min(self.state.timers, default=None)


class CountingProgram:
    """Counts payments, fires a trigger some seconds after each third one, and writes a decision for some others."""

    def __init__(self, version: str = _VERSION) -> None:
        """Make the codec; `version` is told with every output."""
        self._version = version
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(CountingState)

    def encode(self, state: CountingState) -> bytes:
        """Return the bytes of `state`."""
        return self._encoder.encode(state)

    def decode(self, blob: bytes) -> CountingState:
        """Return the state that `encode` wrote."""
        return self._decoder.decode(blob)

    def govern(self, regime: bytes, event: AnyControlEvent) -> bytes:
        """Chain the ids of what was heard, so that any control record lost, doubled or out of order shows for ever after."""
        heard = regime[_CHAIN:].split()
        if event.event_id.encode() in heard:
            return regime
        chain = blake2b(regime[:_CHAIN] + event.event_id.encode(), digest_size=_CHAIN // 2).hexdigest().encode()
        return b" ".join([chain, *heard, event.event_id.encode()])

    @property
    def refused(self) -> dict[str, bool]:
        """It has no learners."""
        return {}

    def under(self, regime: bytes) -> Self:
        """Return a program that tells its regime."""
        return type(self)(regime[:_CHAIN].decode()) if regime else self

    def think(self, state: CountingState | None, event: AnyEvent) -> CountingThought:
        """Fire the timers due, then count the event."""
        client = state.client if state is not None else getattr(event, "client_id", "")
        known, outputs = _fire(state or CountingState(client), event.received_ms, self._version)
        if not isinstance(event, PaymentReceived):
            return CountingThought(known, outputs, "applied")
        if event.event_id in known.seen:
            known = msgspec.structs.replace(known, duplicates=known.duplicates + 1)
            return CountingThought(known, outputs, "duplicate")
        known = _count(known, event.event_id)
        if event.amount.minor % _EVERY == 0:
            outputs.append(_decision(known, self._version))
        return CountingThought(known, outputs, "applied")


def _fire(state: CountingState, received_ms: int, version: str) -> tuple[CountingState, list[Output]]:
    now_ms = max(state.now_ms, received_ms)
    due = sorted(moment for moment in state.timers if moment <= now_ms)
    if not due and now_ms == state.now_ms:
        return state, []
    later = tuple(moment for moment in state.timers if moment > now_ms)
    return msgspec.structs.replace(state, now_ms=now_ms, timers=later), [
        _trigger(state.client, moment, version) for moment in due
    ]


def _count(state: CountingState, event_id: str) -> CountingState:
    applied = state.applied + 1
    timers = state.timers
    if applied % _EVERY == 0:
        timers = (*timers, state.now_ms + TIMER_MS * (1 + applied % 4) + applied)
    return msgspec.structs.replace(
        state,
        applied=applied,
        chain=blake2b(state.chain + event_id.encode(), digest_size=16).digest(),
        seen=(*state.seen, event_id)[-SEEN:],
        timers=timers,
    )


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def _trigger(client: str, due_ms: int, version: str) -> Trigger:
    return Trigger(
        client_id=client,
        decided_at=_moment(due_ms),
        trigger_id=derive("trigger", client, due_ms),
        journey=Journey.ONBOARDING,
        anchor=client,
        step="count",
        channel="email",
        purpose=Purpose.SERVICING,
        legal_basis="contract",
        tone=Tone.GENTLE,
        not_before=_moment(due_ms),
        expires_at=_moment(due_ms + 86_400_000),
        cancel_when=(),
        reasons=("a timer was due",),
        segment="new",
        policy_version=version,
        learner_version=_VERSION,
    )


def _decision(state: CountingState, version: str) -> Decision:
    return Decision(
        client_id=state.client,
        decided_at=_moment(state.now_ms),
        decision_id=derive("decision", state.client, state.applied, state.chain.hex()),
        outcome=DecisionOutcome.HELD,
        reasons=(f"{state.applied} payments counted",),
        segment="new",
        policy_version=version,
        learner_version=_VERSION,
    )

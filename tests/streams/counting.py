"""A small program for tests of the engine: it counts, notices repetitions, triggers every third time and sets timers."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from models.events.control import ClockTicked
from models.events.signals import Purpose
from models.events.union import AnyControlEvent, AnyEvent
from models.ids import derive
from models.state.codec import UnreadableStateError
from models.triggers import Decision, DecisionOutcome, Journey, Output, Tone, Trigger
from streams.runtime.errors import DeadLetterError

RING: Final = 64
# The core remembers eight days of ids. Where a fault makes intake repeat seconds of load, this program must not forget either.
WHOLE_RUN: Final = 1_000_000
TIMER_MS: Final = 60_000
POISON_SOURCE: Final = "poison"
SENSELESS: Final = "senseless"


@dataclass(frozen=True, slots=True)
class Tally:
    client_id: str
    count: int = 0
    fired: int = 0
    now_ms: int = 0
    due_ms: int | None = None
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    state: Tally
    outputs: tuple[Output, ...]
    disposition: str

    @property
    def next_due_ms(self) -> int | None:
        return self.state.due_ms


@dataclass(frozen=True, slots=True)
class CountingProgram:
    ring: int = RING
    version: str = "test"

    def encode(self, state: Tally) -> bytes:
        return msgspec.msgpack.encode(state)

    def decode(self, blob: bytes) -> Tally:
        try:
            return msgspec.msgpack.decode(blob, type=Tally)
        except msgspec.MsgspecError as error:
            message = f"not a tally ({error}): run the release that wrote it"
            raise UnreadableStateError(message) from error

    def govern(self, regime: bytes, event: AnyControlEvent) -> bytes:
        if event.source == POISON_SOURCE:
            raise DeadLetterError(SENSELESS, "the program refuses this regime")
        heard = regime.split()
        return regime if event.event_id.encode() in heard else b" ".join([*heard, event.event_id.encode()])

    @property
    def refused(self) -> dict[str, bool]:
        return {}

    def under(self, regime: bytes) -> Self:
        return replace(self, version=f"test {len(regime.split())}") if regime else self

    def think(self, state: Tally | None, event: AnyEvent) -> Counted:
        if event.source == POISON_SOURCE:
            raise DeadLetterError(SENSELESS, "the program refuses this event")
        if isinstance(event, ClockTicked):
            assert state is not None
            state, outputs = _fire(state, event.received_ms, self.version)
            return Counted(state, outputs, "applied")
        before = state or Tally(event.client_id)
        before, outputs = _fire(before, event.received_ms, self.version)
        if event.event_id in before.seen:
            return Counted(before, outputs, "duplicate")
        after = replace(
            before,
            count=before.count + 1,
            now_ms=max(before.now_ms, event.received_ms),
            seen=(*before.seen, event.event_id)[-self.ring :],
            due_ms=before.due_ms if before.count % 5 else max(before.now_ms, event.received_ms) + TIMER_MS,
        )
        if after.count % 3 == 0:
            outputs = (*outputs, make_trigger(after, version=self.version))
        return Counted(after, outputs, "applied")


def _fire(state: Tally, now_ms: int, version: str) -> tuple[Tally, tuple[Output, ...]]:
    if state.due_ms is None or state.due_ms > max(state.now_ms, now_ms):
        return state, ()
    fired = replace(state, fired=state.fired + 1, now_ms=max(state.now_ms, state.due_ms), due_ms=None)
    return fired, (make_decision(fired, state.due_ms, version=version),)


def make_decision(state: Tally, moment_ms: int, *, version: str = "test") -> Decision:
    return Decision(
        client_id=state.client_id,
        decided_at=datetime.fromtimestamp(moment_ms / 1000, UTC),
        decision_id=derive("test.decision", state.client_id, state.fired),
        outcome=DecisionOutcome.SUPPRESSED,
        reasons=("a timer fired",),
        segment="new",
        policy_version=version,
        learner_version="test",
    )


def make_trigger(state: Tally, *, channel: str = "email", fact: str = "yes", version: str = "test") -> Trigger:
    moment = datetime.fromtimestamp(state.now_ms / 1000, UTC)
    return Trigger(
        client_id=state.client_id,
        decided_at=moment,
        trigger_id=derive("test.trigger", state.client_id, state.count),
        journey=Journey.ONBOARDING,
        anchor=f"count-{state.count}",
        step="welcome",
        channel=channel,
        purpose=Purpose.SERVICING,
        legal_basis="contract",
        tone=Tone.GENTLE,
        not_before=moment,
        expires_at=datetime.fromtimestamp(state.now_ms / 1000 + 86_400, UTC),
        cancel_when=(),
        facts={"fact": fact},
        reasons=("every third event",),
        segment="new",
        policy_version=version,
        learner_version="test",
    )

"""One trigger's way out: look once more, write the message, begin, send, and record what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, TypeVar

import structlog

from handlers.channels.backoff import LONGEST_MS, retry_delay_ms
from handlers.channels.contract import (
    NO_ADDRESS,
    Channel,
    Content,
    ContentError,
    Delivery,
    OnAmbiguous,
    Recipient,
    SendResult,
    Verdict,
)
from handlers.channels.failpoints import PROVIDER_ACCEPTED
from handlers.channels.lane import Lane, millis
from handlers.channels.ledger import REASON_LENGTH, Attempt, Ending, Entry, Stage
from handlers.channels.presend import LastLook, Look
from handlers.channels.readers import Readers
from handlers.channels.trigger_records import read_body
from models.addresses import digest_of
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome
from models.policy.leave import EXPIRED
from models.triggers import Trigger
from models.workdays import moment
from streams.runtime.clock import Clock, monotonic
from streams.runtime.errors import RetryError
from streams.runtime.metrics import CHANNEL_AMBIGUOUS, CHANNEL_SEND_DURATION, CHANNEL_SENDS, CONTACT_SUPPRESSED, Meter
from streams.state.ports import StateStore

Write: TypeAlias = Callable[[Trigger, Recipient], Content]
"""Renders the message of a trigger; raises ContentError when a fact is missing or not allowed."""


@dataclass(frozen=True, slots=True)
class Held:
    """Right, but not now: look again at `until_ms` of business time."""

    until_ms: int


T = TypeVar("T")
NO_PLACE: Final = "reader"
_MAYBE_THERE: Final = frozenset({Verdict.ACCEPTED, Verdict.UNCERTAIN})
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 2.0
_log = structlog.get_logger(__name__)


class Courier:
    """Takes single triggers of one channel to their end. Holds nothing between them, so any number may run at a time."""

    def __init__(
        self,
        channel: Channel,
        *,
        store: StateStore,
        look: Look,
        write: Write,
        clock: Clock,
        wall: Clock,
        meter: Meter,
        failpoint: Callable[[str], None],
        readers: Readers,
    ) -> None:
        """Read states from `store`, decide with `look`, render with `write`, take places of `readers`.

        `clock` is business, `wall` operating time.
        """
        self._channel = channel
        self._store = store
        self._look = look
        self._write = write
        self._clock = clock
        self._wall = wall
        self._meter = meter
        self._failpoint = failpoint
        self._readers = readers

    async def deliver(self, lane: Lane, entry: Entry) -> Verdict | None:
        """Take `entry` one step further and return the provider's verdict, or none when the provider was not asked.

        Raises RetryError when a store is away before anything was begun; the entry is then ready as before.
        """
        try:
            ready = await self._prepare(entry)
        except RetryError:
            raise
        except Exception as error:  # noqa: BLE001 - one trigger that cannot be handled must not hold up its neighbours
            _log.exception("trigger could not be prepared", channel=self._channel.name)
            await self._postpone(lane, entry, reason=f"not prepared: {type(error).__name__}: {error}")
            return None
        if not isinstance(ready, Delivery):
            await self._put_aside(lane, entry, ready)
            return None
        attempt = await self._begin(lane, entry)
        if attempt is None:
            return None  # whoever has it now may be sending it at the place that we took
        result = await self._send(ready)
        self._failpoint(PROVIDER_ACCEPTED)
        address = digest_of(self._channel.name, ready.address)
        ending = replace(self._ending(ready, result), address=address, purpose=ready.trigger.purpose.value)
        await persist(lambda: self._finish(lane, attempt, ending))
        if result.verdict not in _MAYBE_THERE:
            await self._give_back(address, entry.trigger_id)
        return result.verdict

    async def _begin(self, lane: Lane, entry: Entry) -> Attempt | None:
        if lane.owner is None:
            return None
        lease_ms = millis(self._wall) + self._channel.limits.lease_ms
        return await lane.ledger.begin(lane.owner, entry, now_ms=millis(self._clock), lease_ms=lease_ms)

    async def _postpone(self, lane: Lane, entry: Entry, *, reason: str) -> None:
        attempt = await self._begin(lane, entry)
        if attempt is not None:
            retry_ms = millis(self._wall) + retry_delay_ms(entry.trigger_id, attempt=attempt.number)
            ending = Ending(stage=Stage.PREPARED, reason=reason[:REASON_LENGTH], retry_ms=retry_ms)
            await persist(lambda: self._finish(lane, attempt, ending))

    async def _prepare(self, entry: Entry) -> Delivery | Held | Ending:
        now_ms = millis(self._clock)
        trigger = read_body(entry.body)
        state = await self._store.read(entry.client_id)
        if state is None:
            return _suppressed("client_unknown", "nothing is known of the client any more")
        seen = self._look(state, trigger, now_ms, await self._store.regime(entry.client_id))
        if not seen.allowed:
            self._meter.count(CONTACT_SUPPRESSED, reason=seen.code)
            if seen.code == EXPIRED:
                return Ending(
                    stage=Stage.EXPIRED, outcome=DeliveryOutcome.EXPIRED, reason="; ".join(seen.reasons)[:REASON_LENGTH]
                )
            return _suppressed(seen.code, *seen.reasons)
        if seen.not_before_ms > now_ms:
            return Held(seen.not_before_ms)
        ready = self._compose(trigger, entry=entry, seen=seen, now_ms=now_ms)
        return await self._placed(ready, now_ms) if isinstance(ready, Delivery) and seen.takes_place else ready

    async def _placed(self, message: Delivery, now_ms: int) -> Delivery | Held | Ending:
        """Take a place for a message at its address; without one it waits, and where none is free in time it is told so."""
        trigger, address = message.trigger, digest_of(self._channel.name, message.address)
        until = await self._readers.reserve(address, trigger.trigger_id, now_ms=now_ms) if address else 0
        if not until:
            return message
        if until < epoch_ms(trigger.expires_at):
            _log.info("waits for a place at its address", channel=self._channel.name, until=moment(until).isoformat())
            return Held(until)
        self._meter.count(CONTACT_SUPPRESSED, reason=NO_PLACE)
        return _suppressed(NO_PLACE, "who reads there hears from us about many clients, and no place is free before it expires")

    async def _give_back(self, address: str, trigger_id: str) -> None:
        try:
            await self._readers.refund(address, trigger_id)
        except RetryError as error:
            _log.warning("a place at an address stays taken", channel=self._channel.name, error=str(error))

    def _compose(self, trigger: Trigger, *, entry: Entry, seen: LastLook, now_ms: int) -> Delivery | Ending:
        address = self._channel.address_of(seen.recipient)
        if address is None:
            self._meter.count(CONTACT_SUPPRESSED, reason=NO_ADDRESS)
            reason = f"{NO_ADDRESS}: the client's profile has no address for {self._channel.name}"
            return Ending(stage=Stage.SUPPRESSED, outcome=DeliveryOutcome.FAILED, reason=reason)
        try:
            content = self._write(trigger, seen.recipient)
        except ContentError as error:
            _log.error("message could not be written", channel=self._channel.name, reason=str(error))
            reason = f"content: {error}"[:REASON_LENGTH]
            return Ending(stage=Stage.FAILED, outcome=DeliveryOutcome.FAILED, reason=reason)
        return Delivery(
            trigger=trigger,
            recipient=seen.recipient,
            address=address,
            content=content,
            attempt=entry.attempt + 1,
            at=moment(now_ms),
        )

    async def _send(self, message: Delivery) -> SendResult:
        started = monotonic()
        try:
            async with asyncio.timeout(self._channel.limits.timeout_seconds):
                result = await self._channel.send(message)
        except TimeoutError:
            result = SendResult(Verdict.UNCERTAIN, "no answer in time")
        except Exception as error:  # noqa: BLE001 - a channel that breaks its contract leaves the attempt's result unknown
            _log.exception("channel broke its contract", channel=self._channel.name)
            result = SendResult(Verdict.UNCERTAIN, f"the channel failed: {type(error).__name__}")
        name, provider = self._channel.name, self._channel.provider
        self._meter.observe(CHANNEL_SEND_DURATION, monotonic() - started, channel=name)
        self._meter.count(CHANNEL_SENDS, channel=name, provider=provider, outcome=result.verdict.value)
        return result

    def _ending(self, message: Delivery, result: SendResult) -> Ending:
        reason = result.detail[:REASON_LENGTH]
        match result.verdict:
            case Verdict.ACCEPTED:
                return Ending(stage=Stage.SENT, outcome=DeliveryOutcome.SENT, reason=reason)
            case Verdict.BOUNCED:
                return Ending(stage=Stage.FAILED, outcome=DeliveryOutcome.BOUNCED_HARD, reason=reason)
            case Verdict.REFUSED:
                return Ending(stage=Stage.FAILED, outcome=DeliveryOutcome.FAILED, reason=reason)
            case Verdict.UNCERTAIN if self._channel.on_ambiguous is OnAmbiguous.HOLD:
                return Ending(stage=Stage.AMBIGUOUS, outcome=DeliveryOutcome.AMBIGUOUS, reason=reason)
            case Verdict.DEFERRED if message.attempt >= self._channel.limits.attempts:
                gave_up = f"gave up after {message.attempt} attempts: {result.detail}"[:REASON_LENGTH]
                return Ending(stage=Stage.FAILED, outcome=DeliveryOutcome.FAILED, reason=gave_up)
            case Verdict.UNCERTAIN | Verdict.DEFERRED | Verdict.UNAVAILABLE:
                delay = retry_delay_ms(message.trigger.trigger_id, attempt=message.attempt)
                delay = max(delay, min(LONGEST_MS, round(result.retry_after_seconds * 1000)))
                return Ending(stage=Stage.PREPARED, reason=reason, retry_ms=millis(self._wall) + delay)

    async def _put_aside(self, lane: Lane, entry: Entry, what: Ending | Held) -> None:
        if lane.owner is None:
            return
        match what:
            case Held():
                await lane.ledger.hold(lane.owner, entry.trigger_id, until_ms=what.until_ms)
            case Ending():
                now_ms, wall_ms = millis(self._clock), millis(self._wall)
                await lane.ledger.settle(lane.owner, entry.trigger_id, what, now_ms=now_ms, wall_ms=wall_ms)

    async def _finish(self, lane: Lane, attempt: Attempt, ending: Ending) -> Stage | None:
        stage = await lane.ledger.finish(attempt, ending, now_ms=millis(self._clock), wall_ms=millis(self._wall))
        if stage is Stage.AMBIGUOUS:
            self._meter.count(CHANNEL_AMBIGUOUS, channel=self._channel.name)
        return stage


async def persist(step: Callable[[], Awaitable[T]]) -> T:
    """Repeat `step` until the store is back: what was sent must be written down, however long that takes."""
    wait = _FIRST_WAIT
    while True:
        try:
            return await step()
        except RetryError as error:
            _log.warning("the ledger is away, trying again", error=str(error), seconds=wait)
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT, wait * 2)


def _suppressed(code: str, *reasons: str) -> Ending:
    reason = "; ".join((code, *reasons))[:REASON_LENGTH]
    return Ending(stage=Stage.SUPPRESSED, outcome=DeliveryOutcome.SUPPRESSED, reason=reason)

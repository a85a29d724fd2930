"""Listens to the topics on which sources are heard, keeps the watch, and puts in force what it finds."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from handlers.commands.canary.story import is_canary
from handlers.commands.feeds.rounds import Rounds
from handlers.commands.feeds.watch import FeedWatch
from models.events.control import FeedChanged
from models.events.envelope import epoch_ms
from models.regime import Regime
from models.triggers import DecisionOutcome
from streams.runtime.clock import Clock, monotonic
from streams.runtime.errors import RetryError
from streams.runtime.metrics import FEED_HELD, FEED_LATE, FEED_SILENT, Meter
from streams.runtime.settings import Settings
from streams.wire.deliveries import RECEIVED_AT, SOURCE
from streams.wire.kafka import begun, kafka_options
from streams.wire.records import Record
from streams.wire.topics import DECISIONS, PAYMENTS, WEBHOOKS

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 2_000
_POLL_MS: Final = 1_000
_RETRY_SECONDS: Final = 5.0


class _Sent(msgspec.Struct):
    source: str = ""


class _Decided(msgspec.Struct):
    client_id: str = ""
    outcome: str = ""
    reasons: tuple[str, ...] = ()


_SENT: Final = msgspec.json.Decoder(_Sent)
_DECIDED: Final = msgspec.json.Decoder(_Decided)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The watch on real topics. `publish` puts an event in force on every partition, `regimes` reads what is in force there."""

    settings: Settings
    watch: FeedWatch
    clock: Clock
    meter: Meter
    publish: Callable[[FeedChanged], Awaitable[object]]
    regimes: Callable[[], Awaitable[Iterable[Regime]]]
    every_seconds: float = 30.0

    async def run(self, stopped: asyncio.Event) -> None:
        """Listen until `stopped`; while Kafka is away nobody is called late, for then it is we who do not hear."""
        while not stopped.is_set():
            try:
                await self._listen(stopped)
            except (KafkaError, OSError, RetryError) as error:
                log.warning("the watch of feeds lost Kafka, it begins anew", error=str(error))
                await _pause(stopped, _RETRY_SECONDS)

    async def _listen(self, stopped: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(**kafka_options(self.settings), enable_auto_commit=False)
        await begun(consumer, self.settings)
        rounds = Rounds(self.every_seconds)
        try:
            self.watch.learn(await self.regimes())
            await self._seek(consumer)
            while not stopped.is_set():
                found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
                for part, records in found.items():
                    for record in records:
                        self.take(part.topic, record)
                if rounds.is_due(monotonic()):
                    rounds.aim(await consumer.end_offsets(consumer.assignment()))
                if rounds.has_come({part: await consumer.position(part) for part in rounds.unheard}, monotonic()):
                    await self._judge()
        finally:
            await consumer.stop()

    async def _seek(self, consumer: Any) -> None:  # noqa: ANN401 - the client library is not typed
        """Begin with the oldest arrival kept; of decisions with those since the first source became late."""
        names = {self.settings.topic(topic.name) for topic in (WEBHOOKS, PAYMENTS, DECISIONS)}
        parts = [TopicPartition(name, number) for name in names for number in range(self.settings.partitions)]
        consumer.assign(parts)
        decisions = [part for part in parts if part.topic == self.settings.topic(DECISIONS.name)]
        await consumer.seek_to_beginning(*(part for part in parts if part not in decisions))
        since = min((row.late_ms for row in self.watch.late.values()), default=None)
        if since is None:
            await consumer.seek_to_end(*decisions)
            return
        offsets = await consumer.offsets_for_times(dict.fromkeys(decisions, since))
        ends = await consumer.end_offsets(decisions)
        for part in decisions:
            consumer.seek(part, offsets[part].offset if offsets.get(part) else ends[part])

    def take(self, topic: str, record: Record) -> None:
        """Tell the watch what `record` of `topic` (name on the broker) says; what nobody can read is no arrival."""
        if is_canary(record.key):
            return  # told by us, so it says nothing of any source
        at_ms = record.timestamp
        try:
            if topic == self.settings.topic(WEBHOOKS.name):
                headers = dict(record.headers)
                source = headers.get(SOURCE, b"").decode(errors="replace")
                if (
                    self.settings.clock_file is not None
                ):  # brokers stamp by the machine's time, which such a deployment does not follow
                    at_ms = _received_ms(headers) or at_ms
            elif topic == self.settings.topic(PAYMENTS.name):
                source = _SENT.decode(record.value or b"{}").source
            else:
                decision = _DECIDED.decode(record.value or b"{}")
                if decision.outcome == DecisionOutcome.HELD:
                    self.watch.decided(decision.client_id, decision.reasons)
                return
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the last: nested thousands deep
            return  # intake makes a dead letter of it; for the watch it is no arrival
        if source:
            self.watch.heard(source, at_ms)

    async def _judge(self) -> None:
        now = self.clock.now()
        self.watch.learn(await self.regimes())
        for event in self.watch.changes(now):
            await self.publish(event)
            log.warning(
                "a feed changed", feed=event.feed, late_since=str(event.late_since or "on time again"), reason=event.reason
            )
        for feed, (silent, late, held) in self.watch.figures(now).items():
            self.meter.set(FEED_SILENT, silent, source=feed)
            self.meter.set(FEED_LATE, float(late), source=feed)
            self.meter.set(FEED_HELD, held, source=feed)


def _received_ms(headers: Mapping[str, bytes]) -> int:
    """Return when the gateway took a delivery in, by the clock of the deployment; 0 where it does not say."""
    try:
        return epoch_ms(datetime.fromisoformat(headers[RECEIVED_AT].decode()))
    except (KeyError, ValueError):
        return 0


async def _pause(stopped: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), seconds)
    except TimeoutError:
        return

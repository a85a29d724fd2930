"""Watches the decisions for what went wrong on the way to clients, and counts it for the dashboard.

Read from `decisions`, not counted where it is decided: a fold that is repeated after a rebuild decides again, but publishes
nothing again, so an old fault is not counted as a new one.
"""

import asyncio
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from models.triggers import DecisionOutcome
from streams.runtime.metrics import CANCELLED_YET_DELIVERED, DECISIONS_MADE, RETRACTIONS_UNACKNOWLEDGED, SENT_AFTER_PAID, Meter
from streams.runtime.settings import Settings
from streams.wire.kafka import begun, kafka_options
from streams.wire.topics import DECISIONS

_POLL_MS: Final = 500
_AWAY_SECONDS: Final = 2.0
_log = structlog.get_logger(__name__)


class _Seen(msgspec.Struct, frozen=True):
    """The part of a decision that is counted."""

    outcome: str
    journey: str | None = None
    channel: str | None = None
    trigger_id: str | None = None
    late_seconds: float | None = None


_DECODER: Final = msgspec.json.Decoder(_Seen)


def count_decision(meter: Meter, value: bytes) -> None:
    """Count one record of `decisions`; one that cannot be read is counted as such."""
    try:
        seen = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the last: nested thousands deep
        meter.count(DECISIONS_MADE, journey="", outcome="unreadable")
        return
    meter.count(DECISIONS_MADE, journey=seen.journey or "", outcome=seen.outcome)
    channel = seen.channel or ""
    match seen.outcome:
        case DecisionOutcome.SENT_AFTER_PAID.value:
            meter.observe(SENT_AFTER_PAID, seen.late_seconds or 0.0)
            _log.error("sent after it was paid", trigger=seen.trigger_id, late_seconds=seen.late_seconds)
        case DecisionOutcome.CANCELLED_YET_DELIVERED.value:
            meter.count(CANCELLED_YET_DELIVERED, channel=channel)
        case DecisionOutcome.UNACKNOWLEDGED.value:
            meter.count(RETRACTIONS_UNACKNOWLEDGED, channel=channel)
            _log.warning("a retraction was never acknowledged", trigger=seen.trigger_id, channel=channel)
        case _:
            pass


class DecisionWatch:
    """Counts each decision once per deployment, as a member of its own consumer group, until `stop`."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        """Read with `settings`, count with `meter`; nothing is connected yet."""
        self._settings = settings
        self._meter = meter
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask the watch to finish."""
        self._stopping.set()

    def ailments(self) -> list[str]:
        """Return nothing: that it does not count keeps nobody from being served."""
        return []

    async def run(self) -> None:
        """Count until `stop`; while Kafka is away, try again."""
        while not self._stopping.is_set():
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                _log.warning("decisions cannot be read, trying again", error=str(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _AWAY_SECONDS)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            self._settings.topic(DECISIONS.name),
            **kafka_options(self._settings),
            group_id=f"{self._settings.group}.channels.watch",
            auto_offset_reset="earliest",
        )
        try:
            await begun(consumer, self._settings)
            while not self._stopping.is_set():
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for record in records:
                        count_decision(self._meter, record.value or b"")
        finally:
            await consumer.stop()

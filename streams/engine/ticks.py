"""Clock ticks: how time passing gets into a partition of the client log."""

from datetime import UTC, datetime

from models.events.control import ClockTicked
from models.ids import derive
from streams.engine.fence import Slot


def make_tick(slot: Slot, now_ms: int) -> ClockTicked:
    """Return the event that tells `slot` of the client log that it is `now_ms`."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    event_id = derive("tick", slot.topic, slot.partition, now_ms)
    return ClockTicked(event_id=event_id, source="rapport", occurred_at=moment, received_at=moment)

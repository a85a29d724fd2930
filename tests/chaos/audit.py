"""What came out of a run, counted: events lost, events counted twice, and whether all else equals the oracle."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from models.events.payments import PaymentReceived
from streams.runtime.errors import DeadLetterError
from streams.runtime.settings import Settings
from streams.wire.codec import decode_event
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS
from tests.integration.engine_world import assert_equals_oracle, read_topic, stored_states
from tests.streams.counting import WHOLE_RUN, CountingProgram


@dataclass(frozen=True, slots=True)
class Audit:
    """Figures of one run; `records` are those of the client log, repetitions by intake included."""

    events: int
    records: int
    lost: int
    doubled: int


async def audit(settings: Settings, sent: Collection[str]) -> Audit:
    """Compare what is stored and published with what was sent; AssertionError when it is not what the oracle says."""
    program = CountingProgram(ring=WHOLE_RUN)
    log = await read_topic(settings, CLIENT_EVENTS)
    logged = {name for records in log.values() for name in map(_name, records) if name is not None}
    counted: Counter[str] = Counter()
    for partition in range(settings.partitions):
        for client, blob in (await stored_states(settings, partition)).items():
            counted[client] += program.decode(blob).count
    await assert_equals_oracle(settings, program)
    lost = len(set(sent) - logged)
    doubled = counted.total() - len(logged)
    return Audit(len(sent), sum(map(len, log.values())), lost, doubled)


def _name(record: Record) -> str | None:
    try:
        event = decode_event(record.value)
    except DeadLetterError:
        return None
    return event.event_id if isinstance(event, PaymentReceived) else None

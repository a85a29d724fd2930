"""What came out of a run, counted: events lost, events counted twice, and whether all else equals the oracle."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from models.events.payments import PaymentReceived
from streams.engine.fold import Program
from streams.engine.program import ClientProgram
from streams.runtime.errors import DeadLetterError
from streams.runtime.settings import Settings
from streams.wire.codec import decode_event
from streams.wire.dead_letters import read_dead_letter
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS
from tests.chaos import fault as chaos
from tests.chaos.load import Load
from tests.integration.engine_world import assert_equals_oracle, read_topic, stored_states
from tests.streams.counting import WHOLE_RUN, CountingProgram


@dataclass(frozen=True, slots=True)
class Audit:
    """Figures of one run; `records` are those of the client log, repetitions by intake included.

    `lost` counts events sent that are not on the log, and unreadable records that are not among the dead letters.
    """

    events: int
    records: int
    lost: int
    doubled: int


async def audit(settings: Settings, load: Load, *, program: chaos.Program = chaos.Program.COUNTING) -> Audit:
    """Compare what is stored and published with what was sent; AssertionError when it is not what the oracle says."""
    log = await read_topic(settings, CLIENT_EVENTS)
    logged = {name for records in log.values() for name in map(_name, records) if name is not None}
    records = sum(map(len, log.values()))
    lost = len(load.sent.keys() - logged) + load.unreadable - await _dead(settings)
    match program:
        case chaos.Program.UNAUDITED:
            return Audit(len(load.sent), records, 0, 0)
        case chaos.Program.CLIENTS:
            clients: Program[Any] = ClientProgram()
            await assert_equals_oracle(settings, clients)
            return Audit(len(load.sent), records, lost, 0)
        case chaos.Program.COUNTING:
            await assert_equals_oracle(settings, CountingProgram(ring=WHOLE_RUN))
            return Audit(len(load.sent), records, lost, await _counted(settings) - len(logged))


async def _counted(settings: Settings) -> int:
    counted: Counter[str] = Counter()
    for partition in range(settings.partitions):
        for client, blob in (await stored_states(settings, partition)).items():
            counted[client] += CountingProgram().decode(blob).count
    return counted.total()


async def _dead(settings: Settings) -> int:
    """Return how many different records lie among the dead letters; intake may put one there twice."""
    letters = map(read_dead_letter, (await read_topic(settings, DEAD_LETTERS))[0])
    return len({(letter.src_topic, letter.src_partition, letter.src_offset) for letter in letters})


def _name(record: Record) -> str | None:
    try:
        event = decode_event(record.value)
    except DeadLetterError:
        return None
    return event.event_id if isinstance(event, PaymentReceived) else None

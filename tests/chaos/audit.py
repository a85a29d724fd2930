"""What came out of a run, counted: events lost, events counted twice, and whether all else equals the oracle."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from models.state.codec import decode as decode_state
from streams.engine.fold import Program
from streams.engine.program import ClientProgram
from streams.runtime.settings import Settings
from streams.wire.dead_letters import DeadLetter, Reason, read_dead_letter
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS
from tests.chaos import fault as chaos
from tests.chaos.given_up import GivenUp, name_of
from tests.chaos.load import NUMBER, Load
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


async def audit(
    settings: Settings,
    load: Load,
    *,
    program: chaos.Program = chaos.Program.COUNTING,
    given_up: GivenUp | None = None,
    ring: int = WHOLE_RUN,
) -> Audit:
    """Compare what is stored and published with what was sent; AssertionError when it is not what the oracle says."""
    gone = given_up or GivenUp()
    log = {
        partition: [*gone.folded.get(partition, ()), *records]
        for partition, records in (await read_topic(settings, CLIENT_EVENTS)).items()
    }
    letters = [read_dead_letter(record) for record in (await read_topic(settings, DEAD_LETTERS))[0]]
    places = _places(log)
    missing = load.sent.keys() - places.keys() - gone.events
    unburied = load.unreadable - gone.unreadable - {number for letter in letters if (number := _number(letter)) is not None}
    folding: Program[Any] = ClientProgram() if program is chaos.Program.CLIENTS else CountingProgram(ring=ring)
    await assert_equals_oracle(settings, folding, log=log)
    late = {(letter.src_partition, letter.src_offset) for letter in letters if letter.reason == Reason.LATE}
    countable = sum(not at <= late for at in places.values())
    doubled = await _counted(settings, program) - countable
    return Audit(len(load.sent), sum(map(len, log.values())), len(missing) + len(unburied), doubled)


def _places(log: dict[int, list[Record]]) -> dict[str, set[tuple[int, int]]]:
    """Return where on the log each event stands, repetitions included: partition and offset."""
    places: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for partition, records in log.items():
        for record in records:
            if (name := name_of(record)) is not None:
                places[name].add((partition, record.offset))
    return places


async def _counted(settings: Settings, program: chaos.Program) -> int:
    """Return how many events all stored states say they counted."""
    counted = 0
    for partition in range(settings.partitions):
        for blob in (await stored_states(settings, partition)).values():
            match program:
                case chaos.Program.CLIENTS:
                    counted += decode_state(blob).events
                case chaos.Program.COUNTING:
                    counted += CountingProgram().decode(blob).count
    return counted


def _number(letter: DeadLetter) -> bytes | None:
    return dict(letter.headers).get(NUMBER)

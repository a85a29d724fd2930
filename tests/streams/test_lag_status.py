"""How a partition fares, told from sequences of where it stood and what waited."""

import pytest

from streams.engine.fence import Slot
from streams.engine.lag import PartitionLag
from streams.engine.lag_status import READINGS, Reading, Status, Watched, status_of

FULL = range(READINGS)


@pytest.mark.parametrize(
    ("readings", "status"),
    [
        ([], Status.OK),
        ([Reading(7, 5)] * (READINGS - 1), Status.OK),  # too few to tell
        ([Reading(7, 5)] * READINGS, Status.STALL),
        ([Reading(7, 5 + at) for at in FULL], Status.STALL),
        ([Reading(None, 5 + at) for at in FULL], Status.STOP),
        ([Reading(7 + 3 * at, 5) for at in FULL], Status.WARN),  # as much comes as goes, and what waits stays
        ([Reading(7 + 3 * at, 5 + at) for at in FULL], Status.WARN),
        ([Reading(7 + 3 * at, 90 - at) for at in FULL], Status.OK),  # it catches up
        ([Reading(7 + 3 * at, 5 + at - 2 * (at == 9)) for at in FULL], Status.OK),  # less once
        ([Reading(7, 0)] * READINGS, Status.OK),  # quiet
        ([Reading(7 + at, 0 if at == 3 else 5 + at) for at in FULL], Status.OK),  # all was done at one moment
        ([Reading(7, 0), Reading(4, 3)], Status.REWIND),  # Redis was restored
        ([Reading(7, 0), Reading(4, 3), *(Reading(4 + at, 0) for at in range(5))], Status.REWIND),
        ([*[Reading(None, 5)] * 5, *(Reading(at, 9 - at) for at in range(READINGS - 5))], Status.OK),  # taken meanwhile
        ([*[Reading(None, 5)] * 5, *[Reading(0, 5)] * (READINGS - 5)], Status.WARN),  # taken, and nothing came of it yet
    ],
)
def test_a_sequence_of_positions_and_of_what_waits_says_how_a_partition_fares(readings: list[Reading], status: Status) -> None:
    assert status_of(readings) is status


def test_each_partition_is_judged_by_its_own_window_and_by_nothing_from_before_an_interruption() -> None:
    def lag(partition: int, position: int, end: int) -> PartitionLag:
        return PartitionLag(slot=Slot("payments", partition), start=0, end=end, next_offset=position, seconds=0.0)

    watched = Watched()
    for at in range(READINGS + 5):
        stands, moves = watched.see(lag(0, 7, 9)), watched.see(lag(1, at, at))
    assert (stands, moves) == (Status.STALL, Status.OK)
    watched.forget()
    assert watched.see(lag(0, 5, 9)) is Status.OK

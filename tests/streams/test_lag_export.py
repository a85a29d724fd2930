"""What retention would delete unread, from bounds and positions."""

import pytest

from streams.engine.fence import Slot
from streams.engine.lag import PartitionLag
from streams.engine.lag_export import headroom_seconds, show_lag, show_server, show_status
from streams.engine.lag_status import Status, Watched
from streams.runtime.metrics import (
    CONSUMER_STATUS,
    FENCE_NEXT,
    REDIS_EVICTED,
    REDIS_MEMORY_LIMIT,
    REDIS_SAVES,
    RETENTION_HEADROOM,
    Meter,
)

DAY_MS = 86_400_000
SLOT = Slot("payments", 0)


def lag(*, start: int = 10, end: int = 20, position: int | None = 15, seconds: float = 0.0) -> PartitionLag:
    return PartitionLag(slot=SLOT, start=start, end=end, next_offset=position, seconds=seconds)


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (lag(seconds=86_400), 86_400),
        (lag(seconds=3 * 86_400), 0),  # its segment lives a little longer: none is left to count on
        (lag(position=20), None),  # nothing waits
        (lag(position=None, seconds=60), 2 * 86_400 - 60),  # never taken: all of it waits
        (lag(start=16, seconds=60), 0),  # record 15 is gone already
        (lag(start=20, end=20), 0),  # and so is everything behind it
    ],
)
def test_headroom_is_what_is_left_of_the_retention_of_the_oldest_record_that_waits(at: PartitionLag, left: float | None) -> None:
    assert headroom_seconds(at, retention_ms=2 * DAY_MS) == left
    assert headroom_seconds(at, retention_ms=-1) is None


def test_headroom_is_shown_only_while_something_waits() -> None:
    meter = Meter()
    place = {"topic": SLOT.topic, "partition": "0"}
    show_lag(meter, [lag(seconds=86_400)], retention={SLOT.topic: 2 * DAY_MS})
    assert meter.read(RETENTION_HEADROOM, **place) == 86_400
    assert meter.read(FENCE_NEXT, **place) == 15
    show_lag(meter, [lag(position=20)], retention={SLOT.topic: 2 * DAY_MS})
    assert "retention_headroom_seconds{" not in meter.render().decode()


def test_of_each_partition_one_status_is_shown() -> None:
    meter, watched, shown = Meter(), Watched(), {}
    show_status(meter, [lag(position=15)], watched)
    show_status(meter, [lag(position=12)], watched)
    for status in Status:
        shown[status] = meter.read(CONSUMER_STATUS, topic=SLOT.topic, partition="0", status=status.value)
    assert shown == {status: float(status is Status.REWIND) for status in Status}


@pytest.mark.parametrize(
    ("said", "limit", "saves"),
    [
        ({"maxmemory": 100, "total_system_memory": 900, "aof_enabled": 1, "aof_last_write_status": "ok"}, 100, 1),
        ({"maxmemory": 0, "total_system_memory": 900, "aof_enabled": 1, "aof_last_write_status": "err"}, 900, 0),
        ({"maxmemory": 0, "total_system_memory": 900, "aof_enabled": 0, "aof_last_write_status": "ok"}, 900, 0),
    ],
)
def test_a_server_without_a_bound_is_bound_by_its_machine_and_saves_only_if_its_file_is_written(
    said: dict[str, object], limit: int, saves: int
) -> None:
    meter = Meter()
    show_server(meter, {"used_memory": 50, "evicted_keys": 3, **said})
    assert (meter.read(REDIS_MEMORY_LIMIT), meter.read(REDIS_SAVES), meter.read(REDIS_EVICTED)) == (limit, saves, 3)

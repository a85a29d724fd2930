"""The headers of everything we publish: where it came from, so that a reader can tell a repetition from news."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from streams.runtime.errors import DeadLetterError

SRC_TOPIC = "src_topic"
SRC_PARTITION = "src_partition"
SRC_OFFSET = "src_offset"
IDX = "idx"
KIND = "kind"

RECEIVED = "received_ms"
LOGGED = "logged_ms"
FOLDED = "folded_ms"
COMMITTED = "committed_ms"
STATIONS = (RECEIVED, LOGGED, FOLDED, COMMITTED)
"""When the event behind a trigger reached us, reached the log, was folded and was stored, in epoch ms as ASCII decimals.

When the trigger was published is the timestamp of its own record. The last two are by the worker's clock and are left out where
the worker that publishes is not the one that folded.
"""


Headers: TypeAlias = Sequence[tuple[str, bytes]]
"""Headers of a record in the order they are written; a name may repeat."""


class Position(NamedTuple):
    """Order of outputs within one output partition: the record that caused it, then its place among that record's outputs."""

    src_offset: int
    idx: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an output came from. `src_topic` is the bare name of the topic table, without a deployment's prefix."""

    src_topic: str
    src_partition: int
    src_offset: int
    idx: int
    kind: str

    @property
    def position(self) -> Position:
        """The part that orders outputs of one source partition."""
        return Position(self.src_offset, self.idx)

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Return the Kafka headers; numbers are ASCII decimals."""
        return list(origin_headers(self.src_topic, self.src_partition, self.position, kind=self.kind))


def origin_headers(src_topic: str, src_partition: int, position: Position, *, kind: str) -> tuple[tuple[str, bytes], ...]:
    """Return the Kafka headers of an output, as `Origin.to_headers` does, without an object per output; ASCII decimals."""
    return (
        *_home(src_topic, src_partition),
        (SRC_OFFSET, b"%d" % position.src_offset),
        (IDX, b"%d" % position.idx),
        _kind(kind),
    )


# These repeat with every output of a partition.
@lru_cache(maxsize=1024)
def _home(src_topic: str, src_partition: int) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return (SRC_TOPIC, src_topic.encode()), (SRC_PARTITION, b"%d" % src_partition)


@lru_cache(maxsize=64)
def _kind(kind: str) -> tuple[str, bytes]:
    return KIND, kind.encode()


def read_stations(headers: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    """Return the stations that a trigger's headers tell, by name, in epoch ms."""
    found = dict(headers)
    return {name: int(found[name]) for name in STATIONS if name in found}


def read_station(headers: Headers, station: str) -> int | None:
    """Return one of the stations alone, in epoch ms; none where the headers do not tell it."""
    for name, value in reversed(headers):  # stations come after all that tells the origin
        if name == station:
            return int(value)
    return None


def read_origin(headers: Iterable[tuple[str, bytes]]) -> Origin:
    """Return the origin written by `Origin.to_headers`; raises DeadLetterError when the record was not published by us."""
    found = dict(headers)
    try:
        return Origin(
            src_topic=found[SRC_TOPIC].decode(),
            src_partition=int(found[SRC_PARTITION]),
            src_offset=int(found[SRC_OFFSET]),
            idx=int(found[IDX]),
            kind=found[KIND].decode(),
        )
    except (KeyError, ValueError) as error:
        reason = "headers"
        detail = f"not published by Rapport: header {error} is missing or unreadable"
        raise DeadLetterError(reason, detail) from error

"""Outbox entries as they lie in the stream: everything but the position, which is the entry's id."""

import msgspec

from streams.engine.writes import OutboxEntry
from streams.wire.headers import Position


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Packed)


def pack_entry(entry: OutboxEntry) -> bytes:
    """Return `entry` without its position."""
    return _ENCODER.encode((entry.topic, entry.partition, entry.key, entry.value, entry.headers))


def unpack_entry(position: Position, packed: bytes) -> OutboxEntry:
    """Return the entry that `pack_entry` packed."""
    found = _DECODER.decode(packed)
    return OutboxEntry(
        position=position,
        topic=found.topic,
        partition=found.partition,
        key=found.key,
        value=found.value,
        headers=found.headers,
    )


def stream_id(position: Position) -> bytes:
    """Return the stream id of `position`; offsets are shifted by one because Redis refuses the id 0-0."""
    return b"%d-%d" % (position.src_offset + 1, position.idx)


def position_of(identifier: bytes) -> Position:
    """Return the position of a stream id."""
    offset, _, idx = identifier.partition(b"-")
    return Position(int(offset) - 1, int(idx))

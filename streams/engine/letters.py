"""Dead letters of the engine's own stages, with the position headers that every output carries."""

from datetime import UTC, datetime
from typing import Final

from streams.engine.writes import OutboxEntry
from streams.runtime.errors import DeadLetterError
from streams.wire.headers import Origin, Position
from streams.wire.records import Record
from streams.wire.topics import DEAD_LETTERS

KIND: Final = "dead_letter"


def dead_letter_entry(
    record: Record, *, topic: str, stage: str, error: DeadLetterError, idx: int, value: bytes | None = None
) -> OutboxEntry:
    """Return the entry that keeps `record` of `topic` (bare name), or `value` in its place, with the reason it is dead."""
    position = Position(record.offset, idx)
    origin = Origin(src_topic=topic, src_partition=record.partition, src_offset=record.offset, idx=idx, kind=KIND)
    seen = datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat()
    headers = [
        *origin.to_headers(),
        ("stage", stage.encode()),
        ("reason", error.reason.encode()),
        ("detail", error.detail.encode()),
        ("first_seen", seen.encode()),
        *((f"orig.{name}", content) for name, content in record.headers),
    ]
    kept = record.value if value is None else value
    return OutboxEntry(
        position=position, topic=DEAD_LETTERS.name, partition=0, key=record.key, value=kept or b"", headers=tuple(headers)
    )

"""Dead letters of the engine's own stages, with the position headers that every output carries."""

from typing import Final

from streams.engine.writes import OutboxEntry
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import DeadLetter
from streams.wire.headers import IDX, KIND, Position
from streams.wire.records import Record
from streams.wire.topics import DEAD_LETTERS

DEAD_LETTER_KIND: Final = "dead_letter"


def dead_letter_entry(
    record: Record, *, topic: str, stage: str, error: DeadLetterError, idx: int, value: bytes | None = None
) -> OutboxEntry:
    """Return the entry that keeps `record` of `topic` (bare name), or `value` in its place, with the reason it is dead."""
    letter = DeadLetter.of(record, error, stage=stage, src_topic=topic)
    kept = letter.value if value is None else value
    return OutboxEntry(
        position=Position(record.offset, idx),
        topic=DEAD_LETTERS.name,
        partition=0,
        key=letter.key,
        value=kept or b"",
        headers=((IDX, b"%d" % idx), (KIND, DEAD_LETTER_KIND.encode()), *letter.to_headers()),
    )

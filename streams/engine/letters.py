"""Dead letters of the engine's stages: what every dead letter carries, and the position that every output carries."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from traceback import walk_tb
from typing import Final

from streams.engine.writes import OutboxEntry
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import REASON, DeadLetter, Reason
from streams.wire.headers import IDX, KIND, Position
from streams.wire.records import Record
from streams.wire.topics import DEAD_LETTERS

DEAD_LETTER: Final = "dead_letter"
"""Value of the header `kind`."""


def dead_letter_entry(
    record: Record, *, topic: str, stage: str, error: DeadLetterError, idx: int, value: bytes | None = None
) -> OutboxEntry:
    """Return the entry that keeps `record` of `topic` (bare name), or `value` in its place, with the reason it is dead."""
    letter = DeadLetter.of(record, error, stage=stage, src_topic=topic)
    return OutboxEntry(
        position=Position(record.offset, idx),
        topic=DEAD_LETTERS.name,
        partition=0,
        key=letter.key,
        value=(letter.value if value is None else value) or b"",
        headers=((IDX, b"%d" % idx), (KIND, DEAD_LETTER.encode()), *letter.to_headers()),
    )


def reasons_of(entries: Iterable[OutboxEntry]) -> Counter[str]:
    """Return how many dead letters are among `entries`, by their reason."""
    return Counter(dict(entry.headers)[REASON].decode() for entry in entries if entry.topic == DEAD_LETTERS.name)


def failed_on(error: Exception) -> DeadLetterError:
    """Return why a record is dead on which we ourselves failed: where, and none of the values, which may be personal."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    code = frame.f_code
    where = f"{type(error).__name__} in {code.co_name}, line {line} of {Path(code.co_filename).name}"
    fix = "fix: a release that can, then `rapport dead-letters redrive --reason failed`"
    return DeadLetterError(Reason.FAILED, f"this release failed on it: {where}; {fix}")

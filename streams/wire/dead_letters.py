"""Records that can never be handled: kept with their original bytes, where they failed and why, so they can be driven again."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self

from streams.runtime.errors import DeadLetterError
from streams.wire.headers import SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, Headers
from streams.wire.records import Record

STAGE: Final = "stage"
REASON: Final = "reason"
DETAIL: Final = "detail"
FIRST_SEEN: Final = "first_seen"
ORIGINAL: Final = "orig."  # prefix of the headers that the record had when it failed
REDRIVEN: Final = "redriven"  # on a record that was put back: the dead letter it came from, as partition:offset
REDRIVE: Final = "redrive"  # stage of a marker: says that the letter named in its `redriven` header was put back
DISMISS: Final = "dismiss"  # likewise: that a person has said that nothing is to be done about it

_DETAIL_CHARS: Final = 500


class Reason(StrEnum):
    """Why a record is a dead letter: a closed set, since it labels metrics and filters of `rapport dead-letters`."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    BAD_HEADERS = "headers"
    BAD_JSON = "bad_json"
    BAD_SCHEMA = "bad_schema"
    BAD_VERSION = "bad_version"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_SOURCE = "unknown_source"
    WRONG_TOPIC = "wrong_topic"
    NOT_FROM_OUTSIDE = "not_from_outside"
    NO_CLIENT = "no_client"
    NO_AMOUNT = "no_amount"
    BAD_KEY = "bad_key"
    NO_TOPIC = "no_topic"
    NO_PLACE = "no_place"
    LATE = "late"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record as it failed, and why. `src_topic` is the bare name of the topic table; `headers` are the original ones."""

    stage: str
    reason: str
    detail: str
    src_topic: str
    src_partition: int
    src_offset: int
    first_seen: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, record: Record, error: DeadLetterError, *, stage: str, src_topic: str) -> Self:
        """Return the dead letter of `record`. It was first seen when the broker stored it, or when an earlier try failed."""
        own = tuple(record.headers)
        seen = dict(own).get(FIRST_SEEN)
        arrived = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        return cls(
            stage=stage,
            reason=str(error.reason),
            detail=error.detail,
            src_topic=src_topic,
            src_partition=record.partition,
            src_offset=record.offset,
            first_seen=_moment(seen) or arrived,
            key=record.key,
            value=record.value,
            headers=own,
        )

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers of the record on `dead.letters`; key and value are the original ones."""
        return [
            (STAGE, self.stage.encode()),
            (REASON, self.reason.encode()),
            (DETAIL, self.detail[:_DETAIL_CHARS].encode(errors="replace")),
            (SRC_TOPIC, self.src_topic.encode()),
            (SRC_PARTITION, b"%d" % self.src_partition),
            (SRC_OFFSET, b"%d" % self.src_offset),
            (FIRST_SEEN, self.first_seen.isoformat().encode()),
            *((ORIGINAL + name, value) for name, value in self.headers),
        ]

    def redriven_headers(self, position: str) -> list[tuple[str, bytes]]:
        """Return the original headers, and where the record has been since: `position` is its place among the dead letters."""
        own = [(name, value) for name, value in self.headers if name not in {REDRIVEN, FIRST_SEEN}]
        return [*own, (REDRIVEN, position.encode()), (FIRST_SEEN, self.first_seen.isoformat().encode())]


def read_dead_letter(record: Record) -> DeadLetter:
    """Return the dead letter that `DeadLetter.to_headers` wrote; raises DeadLetterError when the record is none."""
    found = dict(record.headers)
    try:
        return DeadLetter(
            stage=found[STAGE].decode(),
            reason=found[REASON].decode(),
            detail=found[DETAIL].decode(errors="replace"),
            src_topic=found[SRC_TOPIC].decode(),
            src_partition=int(found[SRC_PARTITION]),
            src_offset=int(found[SRC_OFFSET]),
            first_seen=datetime.fromisoformat(found[FIRST_SEEN].decode()),
            key=record.key,
            value=record.value,
            headers=_originals(record.headers),
        )
    except (KeyError, ValueError) as error:
        raise DeadLetterError(Reason.BAD_HEADERS, f"not a dead letter: header {error} is missing or unreadable") from error


def marker_headers(position: str, *, at: datetime, actor: str, note: str, stage: str = REDRIVE) -> list[tuple[str, bytes]]:
    """Return the headers of a marker on `dead.letters`: the letter at `position` was put back (or dismissed) `at`, by whom."""
    said = (STAGE, stage), (REDRIVEN, position), ("at", at.isoformat()), ("actor", actor), ("note", note)
    return [(name, value.encode()) for name, value in said]


def settled_by(record: Record) -> tuple[str, str] | None:
    """Return which letter a marker says is settled, and how (REDRIVE or DISMISS); none when the record is no marker."""
    found = dict(record.headers)
    how = found.get(STAGE, b"").decode(errors="replace")
    return (found[REDRIVEN].decode(errors="replace"), how) if how in {REDRIVE, DISMISS} and REDRIVEN in found else None


def _originals(headers: Headers) -> tuple[tuple[str, bytes], ...]:
    return tuple((name.removeprefix(ORIGINAL), value) for name, value in headers if name.startswith(ORIGINAL))


def _moment(raw: bytes | None) -> datetime | None:
    if raw is None:
        return None
    try:
        moment = datetime.fromisoformat(raw.decode())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None

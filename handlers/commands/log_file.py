"""The client log as a file: one line a record, in the order of the log. Writing it, and reading it back as records.

A line about a client is the event as our contracts have it. What is about a whole partition (time, policies, stops, learners)
stands on every partition at a place and time of its own, so its line says which: {"partition", "logged_ms", "event"}.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from handlers.commands.files import opened
from models.events.envelope import ClientEvent
from models.events.signals import ClientErased, ClientMerged, ClientSplit
from models.events.union import AnyControlEvent, AnyLogEvent
from streams.runtime.errors import DeadLetterError, UsageError
from streams.wire.codec import decode_event, encode_event
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord, Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY

HEAD: Final = "# client.events "
_LONGEST_HEAD: Final = 1_000
_MOST_PARTITIONS: Final = 1_024  # as settings allow
_WHO_IS_WHO: Final = (b'"client.erased"', b'"client.merged"', b'"client.split"')


@dataclass(slots=True)
class Parties:
    """Who was forgotten, and who became part of whom; from one reading of the log."""

    erased: set[str] = field(default_factory=set)
    into: dict[str, str] = field(default_factory=dict)
    ever: set[tuple[str, str]] = field(default_factory=set)

    def see(self, record: Record) -> None:
        """Note what one record says of it."""
        if record.value is None or not any(mark in record.value for mark in _WHO_IS_WHO):
            return
        match event_in(record):
            case ClientMerged(client_id=name, into=into):
                self.into[name] = into
                self.ever.add((name, into))
            case ClientSplit(client_id=name):
                self.into.pop(name, None)
            case ClientErased(client_id=name):
                # What had become part of it is forgotten with it, also when it is split off later.
                self.erased |= self.parts_of(name)
            case _:
                pass

    def parts_of(self, client: str) -> set[str]:
        """Return a client and everybody who is part of it now."""
        return _reached(client, self.into.items())

    def ever_in(self, client: str) -> set[str]:
        """Return a client and everybody who was part of it at any time."""
        return _reached(client, self.ever)

    def forgotten(self) -> frozenset[str]:
        """Return all whose lines must not be told."""
        return frozenset(name for client in self.erased for name in self.parts_of(client))


def _reached(client: str, steps: Collection[tuple[str, str]]) -> set[str]:
    found = {client}
    while more := {name for name, into in steps if into in found} - found:
        found |= more
    return found


@dataclass(slots=True, kw_only=True)
class LogLines:
    """Makes the lines of a range of the log. A moment is that at which an event reached us, of a client's and of the firm's."""

    partitions: int
    forgotten: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    told: int = 0
    clients: int = 0
    unreadable: int = 0

    def head(self) -> bytes:
        """Return the first line, a comment that says what the others are."""
        return HEAD.encode() + orjson.dumps(Head(self.partitions, self.since_ms is None)._asdict()) + b"\n"

    def line(self, record: Record) -> bytes | None:
        """Return the line of a record, none where it is not told."""
        event = event_in(record)
        if event is None or not self._is_home(event, record):
            self.unreadable += 1
            return None
        if not self._is_told(event, record.partition):
            return None
        self.told += 1
        if isinstance(event, ClientEvent):
            self.clients += 1
            return encode_event(event) + b"\n"
        place = {"partition": record.partition, "logged_ms": record.timestamp, "event": orjson.Fragment(encode_event(event))}
        return orjson.dumps(place) + b"\n"

    def _is_home(self, event: AnyLogEvent, record: Record) -> bool:
        """Say whether a worker would fold it: it lies where it belongs."""
        if not isinstance(event, ClientEvent):
            return record.key == CONTROL_KEY
        home = partition_of(event.client_id, self.partitions)
        return record.key == event.client_id.encode() and record.partition == home

    def _is_told(self, event: AnyLogEvent, partition: int) -> bool:
        # What held for all before the range holds in it, too: it is told from the beginning.
        if self.since_ms is not None and event.received_ms < self.since_ms and not isinstance(event, AnyControlEvent):
            return False
        if self.until_ms is not None and event.received_ms > self.until_ms:
            return False
        if not isinstance(event, ClientEvent):
            return not self.only or partition in {partition_of(name, self.partitions) for name in self.only}
        if self.only and event.client_id not in self.only:
            return False
        return not self.forgotten or self.forgotten.isdisjoint(_named(event))


def _named(event: ClientEvent) -> set[str]:
    """Return whose facts an event holds."""
    came = event.passed_on
    return {event.client_id, *(came.path if came else ()), *(came.children if came else ())}


def event_in(record: Record) -> AnyLogEvent | None:
    """Return the event that a record of the client log holds; none where no worker could read it either."""
    try:
        return decode_event(record.value)
    except DeadLetterError:
        return None


class Head(NamedTuple):
    """What the first line of an exported log says: how many partitions it had, and whether it is told from its beginning."""

    partitions: int
    whole: bool


def head_of(path: Path | None) -> Head | None:
    """Return the head of an exported log; none for every other file. Raises UsageError for one that cannot be understood."""
    if path is None:
        return None
    with opened(path) as file:
        first = file.readline(_LONGEST_HEAD)
    if not first.startswith(HEAD.encode()):
        return None
    try:
        head = Head(**orjson.loads(first.removeprefix(HEAD.encode())))
    except (ValueError, TypeError) as error:
        raise _unreadable(path, 1, error) from error
    if type(head.partitions) is not int or not 1 <= head.partitions <= _MOST_PARTITIONS or type(head.whole) is not bool:
        why = f"a log has 1 to {_MOST_PARTITIONS} partitions, and is whole or not"
        raise _unreadable(path, 1, why)
    return head


def records_in(path: Path, *, partitions: int) -> Iterator[PlainRecord]:
    """Yield the records that a file tells, in its order. Raises UsageError for a line that is none of ours."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.startswith(b"#") or not line.strip():
                continue
            try:
                record = _record(orjson.loads(line), number, partitions)
                decode_event(record.value)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise _unreadable(path, number, error) from error
            except DeadLetterError as error:
                raise _unreadable(path, number, error.detail) from error
            yield record


def _record(said: dict[str, Any], number: int, partitions: int) -> PlainRecord:
    if "event" in said:
        partition, logged_ms, key, value = said["partition"], said["logged_ms"], CONTROL_KEY, orjson.dumps(said["event"])
    else:
        key, value, logged_ms = said["client_id"].encode(), orjson.dumps(said), 0
        partition = partition_of(said["client_id"], partitions)
    if partition not in range(partitions) or type(logged_ms) is not int:
        message = f"partition {partition} at {logged_ms}, of {partitions}"
        raise ValueError(message)
    return PlainRecord(topic=CLIENT_EVENTS.name, partition=partition, offset=number, timestamp=logged_ms, key=key, value=value)


def _unreadable(path: Path, number: int, why: Exception | str) -> UsageError:
    what = "the head of an exported log" if number == 1 else "a line of the log"
    said = f"{why!r}" if isinstance(why, KeyError) else why
    return UsageError(f"line {number} of {path} is not {what} ({said}); write the file anew: rapport export --to {path.name}")

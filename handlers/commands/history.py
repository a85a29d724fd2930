"""Recorded histories as deliveries: lines of our contracts, recorded webhooks, or a receivables book; in the order they tell."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from handlers.commands.book.horizon import AskedToJudge, refuse_for_logs
from handlers.commands.book.ordering import by_arrival
from handlers.commands.book.plan import Asked, make_plan
from handlers.commands.book.reading import refuse_packed
from handlers.commands.book.totals import Totals, read_book
from handlers.commands.files import needed_file, opened
from handlers.commands.known_book import known_book, say_unknown
from handlers.commands.log_file import HEAD, head_of
from handlers.commands.options import Format
from models.events.envelope import epoch_ms
from models.events.union import EVENT_ADAPTER, AnyClientEvent, AnyControlEvent
from models.ids import derive
from streams.agents.intake import interpret_webhook
from streams.engine.memory_pipeline import read_in_memory
from streams.runtime.clock import ManualClock
from streams.runtime.errors import DeadLetterError, UsageError
from streams.state.memory_directory import MemoryDirectory
from streams.wire.deliveries import DELIVERY_ID, RECEIVED_AT, SOURCE
from streams.wire.events import explain
from streams.wire.records import PlainRecord
from streams.wire.topics import WEBHOOKS

_CONTROLS: Final = ("policy.activated", "runs.migrated", "halt.changed", "feed.changed", "learner.activated")
_QUOTED: Final = tuple(f'"{kind}"'.encode() for kind in _CONTROLS)
_OF_PARTITION: Final = b'{"partition":'  # how a line of an exported log begins that is about a whole partition
_PASSED_ON: Final = b'"passed_on":'
_GENERIC: Final = "generic"  # the source that carries our own contracts


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What some sender delivered once, and the client it is about (the key under which order is kept)."""

    source: str
    body: bytes
    received_at: datetime
    delivery_id: str
    client_id: str
    events: tuple[AnyClientEvent, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of the events that the delivery tells."""
        return tuple(event.kind for event in self.events)

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers that the webhook gateway would have written."""
        return [
            (SOURCE, self.source.encode()),
            (RECEIVED_AT, self.received_at.isoformat().encode()),
            (DELIVERY_ID, self.delivery_id.encode()),
        ]

    def record(self, offset: int) -> PlainRecord:
        """Return the delivery as a record of the webhooks topic."""
        return PlainRecord(
            topic=WEBHOOKS.name,
            partition=0,
            offset=offset,
            timestamp=epoch_ms(self.received_at),
            key=self.client_id.encode(),
            value=self.body,
            headers=self.headers(),
        )


class _Desk:
    """Reads deliveries as intake would that had received the earlier ones of the history and nothing else."""

    def __init__(self) -> None:
        self._clock = ManualClock(datetime.fromtimestamp(0, UTC))
        self._directory = MemoryDirectory(self._clock)

    def read(self, delivery: Delivery) -> tuple[AnyClientEvent, ...]:
        """Return the events; raises DeadLetterError when the delivery or a part of it cannot be read."""
        self._clock.advance_to(delivery.received_at)
        return tuple(read_in_memory(delivery.record(0), reader=interpret_webhook, directory=self._directory).told())


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be replayed, why, and how many of its kind it stands for."""

    line: int
    reason: str
    alike: int = 1


def format_of(path: Path, asked: Format | None) -> Format:
    """Return the format asked for, or what the file's name says."""
    if asked is not None:
        return asked
    needed_file(path)
    match path.suffix.lower():
        case ".jsonl" | ".ndjson" | ".json":
            return "jsonl"
        case ".csv" | ".tsv" | ".txt":
            return "csv"
        case _:
            refuse_packed(path)
            message = f"{path.name} does not say what it is; add --format csv or --format jsonl"
            raise UsageError(message)


def read_history(path: Path, *, form: Format, asked: Asked, home_currency: str) -> Iterator[Delivery | BadLine]:
    """Yield every delivery of the file; a book's rows come in order of arrival, lines of JSON in the order of the file.

    Of a book by which something is judged (AskedToJudge) only what it knows the outcome of; what is left out is said on stderr.
    Raises UsageError for a file that cannot be read, and at the end for one of which nothing could be.
    """
    needed_file(path)
    first: BadLine | None = None
    told = False
    for found in _read(path, form=form, asked=asked, home_currency=home_currency):
        told |= isinstance(found, Delivery)
        if isinstance(found, BadLine):
            first = first or found
        yield found
    if not told:
        why = "it tells nothing of a client" if first is None else f"line {first.line}: {first.reason}"
        message = f"no line of {path} could be read as an event ({why}); a history is a book (csv), or what rapport export writes"
        raise UsageError(message)


def _read(path: Path, *, form: Format, asked: Asked, home_currency: str) -> Iterator[Delivery | BadLine]:
    if form == "csv":
        plan = make_plan(path, asked=asked, home_currency=home_currency)
        totals = Totals()
        if isinstance(asked, AskedToJudge):
            events, totals, unknown = known_book(plan, asked)
            say_unknown(path, unknown)
            yield from deliveries(events)
        else:
            yield from deliveries(read_book(plan, totals=totals, rejects=None))
        yield from (BadLine(bad.line, bad.reason, alike=totals.reasons[words]) for words, bad in totals.examples.items())
        return
    refuse_for_logs(asked)
    head_of(path)  # of an exported log all is believed, or nothing
    with opened(path) as file:
        yield from read_lines(file)


def read_lines(lines: Iterable[bytes]) -> Iterator[Delivery | BadLine]:
    """Yield the deliveries in lines of JSON; blank lines and lines that begin with # are comments.

    Of an exported log neither time nor what clients passed on to each other is told: a fold makes both by itself.
    """
    desk, exported = _Desk(), False
    for number, raw in enumerate(lines, start=1):
        line = raw.removeprefix(b"\xef\xbb\xbf").strip()
        exported |= number == 1 and line.startswith(HEAD.encode())
        if not line or line.startswith(b"#"):
            continue
        try:
            if line.startswith(_OF_PARTITION) or (line.startswith(b"{") and _names_control(line)):
                orjson.loads(line)  # of all clients, or of time: read_controls, and a fold's own clock
            elif not (exported and _PASSED_ON in line and _is_passed_on(line)):
                yield _delivery(line, desk=desk)
        except DeadLetterError as error:
            yield BadLine(number, error.detail)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            yield BadLine(number, f"not a line of a history: {error}")


def read_controls(path: Path | None) -> list[AnyControlEvent]:
    """Return what changed for all clients at once in a history of lines of JSON, by time; none in a book or without a file.

    Activations of policies and learners, stops and late sources are lines as they stand on the log of clients; of an exported
    log, where each partition has its own, the first one. Raises UsageError for a line that names such a kind and cannot be read.
    """
    if path is None:
        return []
    found: dict[str, AnyControlEvent] = {}
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if not line.startswith(b"{") or not any(kind in line for kind in _QUOTED):
                continue
            try:
                event = _control(line)
            except ValidationError as error:
                raise _uncontrolled(path, number, explain(error)) from error
            except (ValueError, KeyError, TypeError) as error:
                raise _uncontrolled(path, number, str(error)) from error
            if event is not None:
                found.setdefault(event.event_id, event)
    return sorted(found.values(), key=lambda event: event.received_ms)


def _control(line: bytes) -> AnyControlEvent | None:
    if line.startswith(_OF_PARTITION):
        line = orjson.dumps(orjson.loads(line)["event"])
    event = EVENT_ADAPTER.validate_json(line) if _names_control(line) else None
    return event if isinstance(event, AnyControlEvent) else None


def _uncontrolled(path: Path, number: int, why: str) -> UsageError:
    return UsageError(
        f"line {number} of {path} names what holds for all clients and cannot be read: {why}; mend the line, or leave it out"
    )


def _names_control(line: bytes) -> bool:
    return any(kind in line for kind in _QUOTED) and orjson.loads(line).get("kind") in _CONTROLS


def _is_passed_on(line: bytes) -> bool:
    return orjson.loads(line).get("passed_on") is not None


def deliveries(events: Iterable[AnyClientEvent]) -> Iterator[Delivery]:
    """Yield events in order of arrival, each as a delivery of our own contracts."""
    desk = _Desk()
    for value in by_arrival(events):
        yield _of_contract(orjson.loads(value), desk=desk)


def _delivery(line: bytes, *, desk: _Desk) -> Delivery:
    content = orjson.loads(line)
    if not isinstance(content, dict):
        message = "expected an object"
        raise TypeError(message)
    if "kind" in content:
        return _of_contract(content, desk=desk)
    if "source" in content and "body" in content:
        return _of_recording(content, desk=desk)
    return _of_bare_body(content, line, desk=desk)


def _of_contract(event: dict[str, Any], *, desk: _Desk) -> Delivery:
    received_at = _moment(event.get("received_at") or event["occurred_at"])
    body = orjson.dumps({"type": event["kind"], "timestamp": event["occurred_at"], "data": event})
    return _checked(source=_GENERIC, body=body, received_at=received_at, delivery_id=event.get("event_id"), desk=desk)


def _of_recording(content: dict[str, Any], *, desk: _Desk) -> Delivery:
    body = content["body"]
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return _checked(
        source=str(content["source"]),
        body=raw,
        received_at=_moment(content["received_at"]),
        delivery_id=content.get("delivery_id"),
        desk=desk,
    )


def _of_bare_body(content: dict[str, Any], line: bytes, *, desk: _Desk) -> Delivery:
    if content.get("object") == "event" and "created" in content:
        received_at = datetime.fromtimestamp(int(content["created"]), UTC)
        return _checked(source="stripe", body=line, received_at=received_at, delivery_id=content.get("id"), desk=desk)
    if "type" in content and "timestamp" in content and "data" in content:
        return _checked(source=_GENERIC, body=line, received_at=_moment(content["timestamp"]), delivery_id=None, desk=desk)
    message = 'expected one of our events ("kind"), a recorded webhook ("source", "body", "received_at") or a Stripe event'
    raise ValueError(message)


def _checked(*, source: str, body: bytes, received_at: datetime, delivery_id: str | None, desk: _Desk) -> Delivery:
    """Return the delivery if its source's translator can read it, so that what is wrong shows here and not in a dead letter."""
    known_as = str(delivery_id or derive("history", source, body.decode(errors="replace")))
    delivery = Delivery(source=source, body=body, received_at=received_at, delivery_id=known_as, client_id=known_as)
    events = desk.read(delivery)
    return Delivery(
        source=source,
        body=body,
        received_at=received_at,
        delivery_id=known_as,
        client_id=events[0].client_id if events else known_as,
        events=events,
    )


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        message = f"{text!r} has no zone; write for example 2025-03-01T09:00:00Z"
        raise ValueError(message)
    return moment.astimezone(UTC)


def write_contracts(events: Iterable[AnyClientEvent], path: Path) -> int:
    """Write events in order of arrival as lines of our contracts; return how many."""
    count = 0
    with path.open("wb") as file:
        for value in by_arrival(events):
            file.write(value + b"\n")
            count += 1
    return count

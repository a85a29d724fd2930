"""What intake makes of one record: the pure part of the intake agents. A record it cannot read raises DeadLetterError."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from models.currencies import unknown_currency
from models.events.delays import PlanAgreed
from models.events.union import PUBLIC_TOPIC_KINDS, AnyClientEvent
from streams.runtime.errors import DeadLetterError
from streams.sources.addresses import with_addresses
from streams.sources.lookup import Reading
from streams.sources.payload import parse_object
from streams.sources.registry import read_body
from streams.wire.dead_letters import Reason
from streams.wire.deliveries import RECEIVED_AT, SOURCE
from streams.wire.events import kind_of, read_client_event
from streams.wire.facts import NOBODY, Known
from streams.wire.records import Record

LARGEST_EVENT_BYTES: Final = 262_144
"""Largest event accepted on a public topic; a contract's longest fields together stay far below."""

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead of the broker's clock a sender's `received_at` may be before it is drawn back."""


def interpret_webhook(record: Record, known: Known = NOBODY) -> Reading:
    """Return all that a raw webhook says: its events, what it tells about ids and what it lacks itself.

    `received_at` is the gateway's stamp, `known` what earlier webhooks told.
    """
    headers = dict(record.headers)
    source = headers.get(SOURCE)
    if source is None:
        message = f"the record has no {SOURCE} header: the gateway did not write it"
        return Reading(refusal=DeadLetterError(Reason.BAD_HEADERS, message))
    reading = read_body(source.decode(errors="replace"), record.value, received_at=_stamped(headers, record), known=known)
    return with_addresses(_owed_in_currencies(reading), known)


def interpret_direct(topic: str, record: Record, known: Known) -> Reading:
    """Return what `read_direct` reads, as a reading."""
    try:
        events = read_direct(topic, record)
    except DeadLetterError as error:
        return Reading(refusal=error)
    return with_addresses(_owed_in_currencies(Reading(events=events)), known)


def read_direct(topic: str, record: Record) -> list[AnyClientEvent]:
    """Return the one event in a record of the public `topic` (its bare name).

    The record's key is not trusted: the client is `client_id`. `received_at` is the sender's own where it gives one, at most
    five minutes ahead of the broker's time of arrival; else it is that time.
    """
    if record.value is not None and len(record.value) > LARGEST_EVENT_BYTES:
        said = f"{len(record.value)} bytes, the limit is {LARGEST_EVENT_BYTES}"
        raise DeadLetterError(Reason.TOO_LARGE, said)
    fields = parse_object(record.value)
    kind = kind_of(fields)
    if kind not in PUBLIC_TOPIC_KINDS[topic]:
        right = next(name for name, kinds in PUBLIC_TOPIC_KINDS.items() if kind in kinds)
        raise DeadLetterError(Reason.WRONG_TOPIC, f"{kind} belongs on the topic {right}")
    event = read_client_event(fields)
    arrived = _arrived(record)
    received_at = min(event.received_at or arrived, arrived + CLOCK_SKEW)
    return [event.model_copy(update={"received_at": received_at})]


def _owed_in_currencies(reading: Reading) -> Reading:
    """Return the reading without events about money that nobody can owe; why is its refusal, where it has none.

    Said here and not by the contract: what is on the log already stays what it was in every replay.
    """
    why = {event.event_id: objection for event in reading.events for objection in _objections(event)}
    if not why:
        return reading
    refusal = reading.refusal or DeadLetterError(Reason.BAD_SCHEMA, f"amount.currency: {next(iter(why.values()))}")
    return replace(reading, events=[event for event in reading.events if event.event_id not in why], refusal=refusal)


def _objections(event: AnyClientEvent) -> list[str]:
    amounts = [getattr(event, name) for name in _amounts_in(type(event))]
    amounts += [part.amount for part in event.instalments] if isinstance(event, PlanAgreed) else []
    found = [None if amount is None else unknown_currency(amount.currency) for amount in amounts]
    return [objection for objection in found if objection is not None]


@cache
def _amounts_in(kind: type[AnyClientEvent]) -> tuple[str, ...]:
    """Return which fields of a contract are money; asking an event for one that it has not would take ten times as long."""
    return tuple(name for name in ("amount", "acquisition_cost") if name in kind.model_fields)


def _stamped(headers: Mapping[str, bytes], record: Record) -> datetime:
    try:
        stamp = datetime.fromisoformat(headers[RECEIVED_AT].decode())
    except (KeyError, ValueError):
        return _arrived(record)
    arrived = _arrived(record)
    return min(stamp.astimezone(UTC), arrived + CLOCK_SKEW) if stamp.tzinfo is not None else arrived


def _arrived(record: Record) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)

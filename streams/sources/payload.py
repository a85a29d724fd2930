"""Reading what strangers send: typed look-ups that accept absence and null, and refuse everything else with a reason.

Details name fields and types, never values: they end in logs and headers, and a payload may hold personal data.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final, TypeAlias, TypedDict

import orjson
from pydantic import ValidationError

from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import Reason
from streams.wire.events import explain

Payload: TypeAlias = Mapping[str, object]
"""A JSON object."""


class Common(TypedDict):
    """What every event carries, whoever sent it."""

    event_id: str
    source: str
    client_id: str
    occurred_at: datetime
    received_at: datetime


_NOTHING: Final[Payload] = {}
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that a datetime can hold
_LAST_MINOR: Final = 2**63 - 1
_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")


class PartlyUnreadableError(DeadLetterError):
    """Some events of one delivery cannot be read. The readable ones are in `events` and go on; the delivery is kept.

    When the delivery is driven again, the events that went on before have the same ids and change nothing.
    """

    def __init__(self, reason: str, detail: str, *, events: Sequence[AnyClientEvent]) -> None:
        """Keep the first reason, and the `events` that were read."""
        super().__init__(reason, detail)
        self.events = tuple(events)


def parse_object(body: bytes | None) -> Payload:
    """Return the JSON object in `body`; raises DeadLetterError when there is none."""
    if not body or not body.strip():
        raise DeadLetterError(Reason.EMPTY, "there is nothing in the record")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit"):
            raise DeadLetterError(Reason.TOO_DEEP, "the JSON is nested deeper than any contract") from error
        message = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise DeadLetterError(Reason.BAD_JSON, message) from error
    if not isinstance(parsed, dict):
        raise DeadLetterError(Reason.BAD_SCHEMA, f"expected a JSON object, got {_type(parsed)}")
    return parsed


def validated(build: Callable[[], list[AnyClientEvent]]) -> list[AnyClientEvent]:
    """Return what `build` makes; a contract that refuses a value becomes a DeadLetterError."""
    try:
        return build()
    except ValidationError as error:
        raise DeadLetterError(Reason.BAD_SCHEMA, explain(error)) from error


def text(payload: Payload, name: str) -> str | None:
    """Return a string; absent, null and blank are none."""
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _unexpected(name, "a string", value)
    return value.strip() or None


def integer(payload: Payload, name: str) -> int | None:
    """Return an integer; absent and null are none."""
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unexpected(name, "an integer", value)
    return value


def flag(payload: Payload, name: str) -> bool:
    """Return whether a field is true; absent and null are false."""
    value = payload.get(name)
    if value is not None and not isinstance(value, bool):
        raise _unexpected(name, "true or false", value)
    return value is True


def inner(payload: Payload, name: str) -> Payload:
    """Return an inner object; absent and null are an empty one."""
    value = payload.get(name)
    if value is None:
        return _NOTHING
    if not isinstance(value, dict):
        raise _unexpected(name, "an object", value)
    return value


def items(payload: Payload, name: str) -> list[Payload]:
    """Return the objects of an array; absent and null are an empty one."""
    value = payload.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _unexpected(name, "an array of objects", value)
    return value


def identifier(payload: Payload, *names: str) -> str | None:
    """Return the first of `names` that holds an id: the id itself, or the whole object in its place."""
    for name in names:
        value = payload.get(name)
        found = text(value, "id") if isinstance(value, dict) else text(payload, name)
        if found is not None:
            return found
    return None


def expanded(payload: Payload, name: str) -> Payload:
    """Return the object that stands in place of an id; an empty one where only the id is given."""
    value = payload.get(name)
    return value if isinstance(value, dict) else _NOTHING


def seconds(payload: Payload, name: str) -> datetime | None:
    """Return a moment given in seconds since 1970-01-01 UTC; absent and null are none."""
    value = integer(payload, name)
    if value is None:
        return None
    if not 0 <= value <= _LAST_SECOND:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"{name}: not a moment in seconds since 1970")
    return datetime.fromtimestamp(value, UTC)


def iso_moment(payload: Payload, name: str) -> datetime | None:
    """Return a moment given as ISO 8601 with a zone; absent and null are none."""
    value = text(payload, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        # A moment at the edge of the calendar has no UTC equivalent.
        aware = moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError) as error:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"{name}: not an ISO 8601 moment") from error
    if aware is None:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"{name}: a moment without a zone is not guessed")
    return aware


def bank_date(payload: Payload, name: str) -> datetime | None:
    """Return a bank's calendar date as the start of that day in UTC; absent and null are none."""
    value = text(payload, name)
    if value is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(value), time(tzinfo=UTC))
    except ValueError as error:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"{name}: not a calendar date") from error


def currency(payload: Payload) -> str:
    """Return an ISO 4217 code in capitals."""
    code = text(payload, "currency")
    if code is None or not _CURRENCY.fullmatch(code):
        raise DeadLetterError(Reason.BAD_SCHEMA, "currency: expected a currency code of three letters")
    return code.upper()


def money(minor: int, code: str) -> Money | None:
    """Return `minor` units as money; zero is none, since nothing is owed or paid. Below zero is refused."""
    if not 0 <= minor <= _LAST_MINOR:
        raise DeadLetterError(Reason.BAD_SCHEMA, "amount: expected 0 or more minor units, of at most 63 bits")
    return Money(minor, code) if minor else None


def required(value: str | None, name: str) -> str:
    """Return `value`, which the sender always gives."""
    if value is None:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"{name}: missing")
    return value


def required_moment(value: datetime | None, name: str) -> datetime:
    """Return `value`, which the sender always gives."""
    if value is None:
        raise DeadLetterError(Reason.BAD_SCHEMA, f"{name}: missing")
    return value


def first_of(values: Iterable[str | None]) -> str | None:
    """Return the first value that is not none."""
    return next((value for value in values if value is not None), None)


def _unexpected(name: str, expected: str, value: object) -> DeadLetterError:
    return DeadLetterError(Reason.BAD_SCHEMA, f"{name}: expected {expected}, got {_type(value)}")


def _type(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")

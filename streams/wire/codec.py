"""Bytes of events and outputs on our own topics."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ValidationError

from models.events.envelope import ClientEvent
from models.events.union import EVENT_ADAPTER, AnyLogEvent
from models.triggers import AnyOutput, Example, ExamplesWithdrawn, RenewalExample
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import Reason
from streams.wire.events import explain

_ABOUT: Final[Mapping[type[AnyOutput], Callable[[Any], str]]] = MappingProxyType(
    {
        Example: lambda row: f"{row.invoice_id}|{row.over_days}",
        RenewalExample: lambda row: f"{row.contract_id}|{row.renews_day}",
        ExamplesWithdrawn: lambda _: "withdrawn",
    }
)


def encode_event(event: AnyLogEvent) -> bytes:
    """Return the JSON of `event`; fields that are none are left out."""
    return EVENT_ADAPTER.dump_json(event, exclude_none=True)


def decode_event(value: bytes | None) -> AnyLogEvent:
    """Return the event in `value`; raises DeadLetterError when it is none."""
    if not value:
        raise DeadLetterError(Reason.EMPTY, "the record has no value")
    try:
        return EVENT_ADAPTER.validate_json(value)
    except ValidationError as error:
        reason = Reason.BAD_JSON if error.errors()[0]["type"] == "json_invalid" else Reason.BAD_SCHEMA
        raise DeadLetterError(reason, explain(error)) from error


def _told(part: BaseModel) -> dict[str, Any]:
    return {name: value for name, value in part.__dict__.items() if value is not None}


def _plain(part: object) -> object:
    """Return what the writer knows in the place of `part`: the fields of a contract, the plain form of a string or number."""
    if isinstance(part, BaseModel):
        return _told(part)
    for kind in (str, int, float):
        if isinstance(part, kind):
            return kind(part)
    message = f"outputs hold plain values only, not {type(part).__name__}"
    raise TypeError(message)


# Most events have an output, and outputs hold plain values only: this takes half the time of pydantic's own writer, which walks
# the contract as well. A law holds what both say against each other; 0 days may be written as 0 and not as 0.0.
_WRITER: Final = msgspec.json.Encoder(enc_hook=_plain)


def output_key(output: AnyOutput) -> bytes:
    """Return the key of the record: the client, and for examples, which are kept one by one, also what they are about."""
    # By the very class: asking each of pydantic's classes whether the output is one of its own costs more than the key.
    about = _ABOUT.get(type(output))
    return (output.client_id if about is None else f"{output.client_id}|{about(output)}").encode()


def encode_output(output: AnyOutput) -> bytes:
    """Return the JSON of an output or of an event that is passed on; fields that are none are left out."""
    return encode_event(output) if isinstance(output, ClientEvent) else _WRITER.encode(_told(output))

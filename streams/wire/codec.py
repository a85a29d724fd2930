"""Bytes of events and outputs on our own topics."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from models.events.envelope import ClientEvent
from models.events.union import EVENT_ADAPTER, AnyLogEvent
from models.triggers import AnyOutput, Example, ExamplesWithdrawn, Output, RenewalExample
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import Reason
from streams.wire.events import explain

_WRITERS: Final[Mapping[type[Output], TypeAdapter[Any]]] = MappingProxyType(
    {contract: TypeAdapter(contract) for contract in get_args(Output)}
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


def output_key(output: AnyOutput) -> bytes:
    """Return the key of the record: the client, and for examples, which are kept one by one, also what they are about."""
    match output:
        case Example():
            return f"{output.client_id}|{output.invoice_id}|{output.over_days}".encode()
        case RenewalExample():
            return f"{output.client_id}|{output.contract_id}|{output.renews_day}".encode()
        case ExamplesWithdrawn():
            return f"{output.client_id}|withdrawn".encode()
        case _:
            return output.client_id.encode()


def encode_output(output: AnyOutput) -> bytes:
    """Return the JSON of an output or of an event that is passed on; fields that are none are left out."""
    if isinstance(output, ClientEvent):
        return encode_event(output)
    return _WRITERS[type(output)].dump_json(output, exclude_none=True)

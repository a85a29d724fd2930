"""Bytes of events and outputs on our own topics."""

from pydantic import ValidationError

from models.events.union import EVENT_ADAPTER, AnyEvent
from models.triggers import Output
from streams.runtime.errors import DeadLetterError

_SHOWN_ERRORS = 3  # of a record with many faults; the bytes themselves are kept beside


def encode_event(event: AnyEvent) -> bytes:
    """Return the JSON of `event`; fields that are none are left out."""
    return EVENT_ADAPTER.dump_json(event, exclude_none=True)


def decode_event(value: bytes | None) -> AnyEvent:
    """Return the event in `value`; raises DeadLetterError with the reason `empty`, `json` or `contract`."""
    if not value:
        reason = "empty"
        detail = "the record has no value"
        raise DeadLetterError(reason, detail)
    try:
        return EVENT_ADAPTER.validate_json(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        reason = "json" if faults[0]["type"] == "json_invalid" else "contract"
        detail = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:_SHOWN_ERRORS])
        raise DeadLetterError(reason, detail) from error


def encode_output(output: Output) -> bytes:
    """Return the JSON of a trigger, retraction or decision; fields that are none are left out."""
    return output.model_dump_json(exclude_none=True).encode()

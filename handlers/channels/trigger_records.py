"""From a record of `triggers.<channel>` to what the ledger takes in."""

from pydantic import ValidationError

from handlers.channels.ledger import Claim, Withdrawal
from models.events.envelope import epoch_ms
from models.triggers import CHANNEL_RECORD_ADAPTER, Retraction, Trigger
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import REDRIVEN, Reason
from streams.wire.headers import read_origin
from streams.wire.records import Record


def read_trigger_record(record: Record, *, channel: str) -> Claim | Withdrawal:
    """Return the claim or withdrawal in `record`; raises DeadLetterError when it cannot be one of ours for `channel`."""
    redriven = any(name == REDRIVEN for name, _ in record.headers)
    position = None if redriven else read_origin(record.headers).position
    value = record.value or b""
    content = _decode(value)
    if content.channel != channel:
        detail = f"a {content.kind} for channel {content.channel!r} on the topic of {channel!r}"
        raise DeadLetterError(Reason.WRONG_TOPIC, detail)
    match content:
        case Trigger():
            return Claim(
                position=position,
                trigger_id=content.trigger_id,
                client_id=content.client_id,
                not_before_ms=epoch_ms(content.not_before),
                expires_ms=epoch_ms(content.expires_at),
                body=value,
            )
        case Retraction():
            return Withdrawal(
                position=position,
                trigger_id=content.trigger_id,
                client_id=content.client_id,
                because=content.because.value,
            )


def read_body(body: bytes) -> Trigger:
    """Return the trigger that a claim has kept."""
    return Trigger.model_validate_json(body)


def _decode(value: bytes) -> Trigger | Retraction:
    try:
        return CHANNEL_RECORD_ADAPTER.validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        reason = Reason.BAD_JSON if first["type"] == "json_invalid" else Reason.BAD_SCHEMA
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DeadLetterError(reason, detail) from error

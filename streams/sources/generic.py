"""Any sender that follows Standard Webhooks: `{"type": ..., "timestamp": ..., "data": {...}}`.

`type` is an event kind of Rapport's own contracts (`rapport contracts show` lists them), `data` holds the fields of that
contract. What the envelope says already may be left out of `data`: `kind` (the type), `occurred_at` (the timestamp), `source`
(this source). An `event_id` may be left out too: it is then derived from the content, so that a delivery sent twice is known
as one.
"""

from datetime import datetime

import orjson

from models.events.union import AnyClientEvent
from models.ids import derive
from streams.runtime.errors import DeadLetterError
from streams.sources import payload as read
from streams.sources.lookup import Lookup
from streams.sources.payload import Payload
from streams.wire.dead_letters import Reason
from streams.wire.events import read_client_event


def translate(
    body: Payload,
    *,
    source: str,
    received_at: datetime,
    lookup: Lookup,  # noqa: ARG001 - our own contracts lack nothing
) -> list[AnyClientEvent]:
    """Return the one event in the envelope."""
    kind = read.required(read.text(body, "type"), "type")
    moment = read.text(body, "timestamp")
    data = read.inner(body, "data")
    if data.get("kind", kind) != kind:
        raise DeadLetterError(Reason.BAD_SCHEMA, "data.kind: is another than the envelope's type")
    event_id = read.text(data, "event_id") or _derived_id(body, source=source)
    given = {name: value for name, value in data.items() if value is not None}
    event = {"source": source, "occurred_at": moment} | given | {"kind": kind, "event_id": event_id, "received_at": received_at}
    return [read_client_event(event)]


def _derived_id(body: Payload, *, source: str) -> str:
    try:
        content = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise DeadLetterError(Reason.TOO_DEEP, "the JSON is nested deeper than any contract") from error
    return derive("generic", source, content.decode())

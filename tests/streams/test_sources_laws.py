"""Whatever a sender does to a payload, a translator gives events or a reason, and always the same."""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.union import EVENT_ADAPTER, AnyClientEvent
from streams.runtime.errors import DeadLetterError
from streams.sources.payload import PartlyUnreadableError
from streams.sources.registry import read_body
from streams.wire.dead_letters import Reason
from tests.printable import PRINTABLE
from tests.streams.receipt_samples import receipt
from tests.streams.stripe_samples import SAMPLES, event
from tests.streams.test_sources_others import LINKED, gc_event, standard

RECEIVED = datetime(2026, 1, 2, tzinfo=UTC)

GOCARDLESS: Final = {
    "events": [
        gc_event("payments", "confirmed"),
        gc_event("payments", "failed", "EV2"),
        gc_event("refunds", "paid", "EV3"),
        gc_event("subscriptions", "created", "EV4"),
    ],
    "linked": LINKED,
}
BODIES: Final[list[tuple[str, dict[str, Any]]]] = [
    *(("stripe", json.loads(event(kind, about, before={"amount_refunded": 0}))) for kind, about in SAMPLES.items()),
    ("gocardless", GOCARDLESS),
    ("generic", json.loads(standard())),
    ("receipts", receipt("message.replied", reference="t1", text="please call")),
    ("receipts", receipt("message.bounced", reference="t1", permanent=True)),
]

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**63, max_value=2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(PRINTABLE, max_size=300),
    st.sampled_from(["", " ", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-13-01", "EUR", "xx", "💶"]),
    st.lists(st.none() | st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "data", "object", "links", "customer"]), st.integers() | st.text(max_size=3), max_size=3
    ),
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from places(inner, (*path, place))


def changed(body: dict[str, Any], path: tuple[str | int, ...], value: object, *, drop: bool) -> None:
    """Change or drop what stands at `path`, if an earlier change left anything there."""
    at: Any = body
    for step in path[:-1]:
        at = step_into(at, step)
    last = path[-1]
    if isinstance(at, dict):
        at.pop(last, None)
        if not drop:
            at[last] = value
    elif isinstance(at, list) and isinstance(last, int) and last < len(at):
        at[last] = value


def step_into(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def outcome(source: str, body: bytes) -> tuple[list[AnyClientEvent], str | None]:
    try:
        return read_body(source, body, received_at=RECEIVED).told(), None
    except PartlyUnreadableError as error:
        return list(error.events), str(error)
    except DeadLetterError as error:
        return [], Reason(error.reason) + error.detail


@pytest.mark.parametrize(
    ("source", "body"), BODIES, ids=lambda value: value if isinstance(value, str) else str(value.get("type", ""))
)
@given(data=st.data())
def test_a_damaged_payload_gives_valid_events_or_a_reason_and_nothing_else(
    source: str, body: dict[str, Any], data: st.DataObject
) -> None:
    damaged = deepcopy(body)
    for path in data.draw(st.lists(st.sampled_from(sorted(places(body), key=str)), min_size=1, max_size=4)):
        changed(damaged, path, data.draw(junk), drop=data.draw(st.booleans()))
    raw = json.dumps(damaged).encode()
    events, reason = outcome(source, raw)
    for one in events:
        assert EVENT_ADAPTER.validate_json(EVENT_ADAPTER.dump_json(one, exclude_none=True)) == one
        assert one.received_at == RECEIVED
    assert outcome(source, raw) == (events, reason)


@given(raw=st.binary(max_size=200), source=st.sampled_from(["stripe", "gocardless", "generic", "receipts", "nobody"]))
def test_bytes_of_any_kind_give_a_reason(raw: bytes, source: str) -> None:
    _, reason = outcome(source, raw)
    assert reason is not None


@pytest.mark.parametrize(
    ("source", "body"), BODIES, ids=lambda value: value if isinstance(value, str) else str(value.get("type", ""))
)
def test_the_order_of_fields_and_the_white_space_say_nothing(source: str, body: dict[str, Any]) -> None:
    sorted_body = json.dumps(body, sort_keys=True, indent=3, ensure_ascii=False).encode()
    assert outcome(source, sorted_body) == outcome(source, json.dumps(body).encode())

"""The short cut for reading events never says anything else than the contracts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.events.union import EVENT_ADAPTER, EVENT_KINDS, PUBLIC_TOPIC_KINDS, AnyLogEvent
from streams.runtime.errors import DeadLetterError
from streams.wire.catalogue import example_of
from streams.wire.codec import decode_event, encode_event
from streams.wire.plain import PLAIN_KINDS, read_plain

EXAMPLES = {kind: example_of(kind) for kind in EVENT_KINDS}
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=4),
    st.sampled_from(
        [
            *("", " ", " x", "x ", "\u00a0x", "x\u2003", "\x1cx", "\n", "x" * 100, "x" * 201, "\ud83d\ude00", "1", "true", "EUR"),
            *("2026-01-05T09:00:00Z", "2026-01-05 09:00:00z", "2026-01-05T09:00:00+02:00", "2026-01-05T09:00Z", "2026-01-05"),
            *("2026-01-05T09:00:00", "2026-01-05T09:00:00.1234567Z", "2026-01-05T09:00:00.9999999Z", "2026-01-05T09:00:00.5Z"),
            *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-W01-1T09:00:00Z", "1767603600"),
            *(1.0, 0, 1, -1, 2**63 - 1, 2**63, 1767603600, [], ["x"], {}, {"minor": 1, "currency": "EUR"}),
            *({"minor": 1, "currency": "eur"}, {"minor": 1.0, "currency": "EUR"}, {"minor": 0, "currency": "EUR"}),
            *({"minor": 1, "currency": "EUR", "more": 1}, {"minor": "1", "currency": "EUR"}, {"minor": 2**63, "currency": "EUR"}),
        ]
    ),
)  # fmt: skip


def by_contract(value: bytes) -> AnyLogEvent | None:
    try:
        return EVENT_ADAPTER.validate_json(value)
    except ValidationError:
        return None


def hold(value: bytes) -> None:
    """What the short cut returns, the contract returns; what it leaves alone, the contract judges."""
    plain, contract = read_plain(value), by_contract(value)
    if plain is not None:
        assert plain == contract
        assert plain.model_dump_json() == contract.model_dump_json()
        assert plain.model_copy(update={"source": "other"}) == contract.model_copy(update={"source": "other"})
    try:
        assert decode_event(value) == contract
    except DeadLetterError:
        assert contract is None


@given(kind=st.sampled_from(sorted(EXAMPLES)), changes=st.lists(st.tuples(st.integers(0, 30), ODD), max_size=2), data=st.data())
def test_an_event_with_odd_values_is_read_as_its_contract_reads_it(
    kind: str, changes: list[tuple[int, Any]], data: st.DataObject
) -> None:
    document: dict[str, Any] = dict(EXAMPLES[kind])
    names = [*EVENT_KINDS[kind].model_fields, "unknown"]
    for place, value in changes:
        document[names[place % len(names)]] = value
    for name in data.draw(st.lists(st.sampled_from(names), max_size=1)):
        document.pop(name, None)
    hold(json.dumps(document, ensure_ascii=data.draw(st.booleans()), separators=(",", ":")).encode(errors="replace"))


@given(kind=st.sampled_from(sorted(EXAMPLES)), place=st.integers(0, 2_000), noise=st.binary(max_size=3), drop=st.integers(0, 3))
def test_bytes_that_were_damaged_are_read_as_the_contract_reads_them(kind: str, place: int, noise: bytes, drop: int) -> None:
    value = json.dumps(EXAMPLES[kind]).encode()
    at = place % (len(value) + 1)
    hold(value[:at] + noise + value[at + drop :])


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
@pytest.mark.parametrize("again", ["kind", "source", "event_id", "occurred_at"])
def test_a_field_told_twice_is_read_as_the_contract_reads_it(kind: str, again: str) -> None:
    value = json.dumps(EXAMPLES[kind]).encode()
    for more in (EXAMPLES[kind].get(again, "x"), "x", None, "payment.received"):
        hold(value[:-1] + f',"{again}":{json.dumps(more)}}}'.encode())
        hold(f'{{"{again}":{json.dumps(more)},'.encode() + value[1:])


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
@pytest.mark.parametrize("moment", ["2026-01-05T09:00:00.9999999Z", "2026-01-05T09:00:00.0000005Z"])
def test_a_time_finer_than_microseconds_is_read_as_the_contract_reads_it(kind: str, moment: str) -> None:
    value = json.dumps({**EXAMPLES[kind], "occurred_at": moment})
    hold(value.encode())
    hold(value.replace(".", "\\u002e", 1).encode())
    hold(value.replace(kind, kind.replace(".", "\\u002e")).encode())


FREQUENT = PUBLIC_TOPIC_KINDS["payments"] | {"invoice.issued", "delivery.reported", "contact.logged", "clock.ticked"}


@pytest.mark.parametrize("kind", sorted(FREQUENT))
def test_the_frequent_events_that_we_write_ourselves_take_the_short_cut(kind: str) -> None:
    event = EVENT_ADAPTER.validate_python(EXAMPLES[kind])
    assert read_plain(encode_event(event)) == event


def test_a_contract_with_rules_over_several_fields_has_no_short_cut() -> None:
    ruled = {kind for kind, contract in EVENT_KINDS.items() if contract.__pydantic_decorators__.model_validators}
    assert ruled
    assert not ruled & PLAIN_KINDS

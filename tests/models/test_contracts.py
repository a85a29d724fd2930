import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from models.events.envelope import ClientEvent
from models.events.union import EVENT_ADAPTER, EVENT_KINDS, PUBLIC_TOPIC_KINDS
from models.learners.baseline import BASELINE
from models.money import Money
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.transition import Disposition, transition
from models.triggers import CHANNEL_RECORD_ADAPTER, Decision
from streams.agents.intake import read_direct
from streams.runtime.errors import DeadLetterError
from streams.sources.registry import read_body
from streams.wire.catalogue import ASYNCAPI_FILE, CONTRACTS, asyncapi, catalogue, example_of, schema_of, topics_of
from streams.wire.compatibility import breaking_changes
from streams.wire.dead_letters import Reason
from streams.wire.events import OUR_KINDS
from streams.wire.records import PlainRecord
from streams.wire.topics import TOPICS

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLISHED = REPOSITORY / "docs" / "contracts"
PUBLIC = [(topic, kind) for topic, kinds in PUBLIC_TOPIC_KINDS.items() for kind in sorted(kinds)]
GENERATED = catalogue()
ARRIVED = datetime(2026, 4, 1, tzinfo=UTC)


def sent(document: dict[str, Any]) -> PlainRecord:
    value = json.dumps(document).encode()
    return PlainRecord(topic="t", partition=0, offset=0, timestamp=int(ARRIVED.timestamp() * 1000), key=None, value=value)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_every_contract_ships_an_example_that_it_and_its_schema_accept(kind: str) -> None:
    example = example_of(kind)
    assert example["kind"] == kind
    assert CONTRACTS[kind].model_validate_json(json.dumps(example)).model_dump(mode="json", exclude_none=True) == example
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(example)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_no_part_of_a_contract_takes_a_field_that_it_does_not_know(kind: str) -> None:
    schema = schema_of(kind)
    parts = {"itself": schema, **schema.get("$defs", {})}
    assert not [name for name, part in parts.items() if "properties" in part and part.get("additionalProperties") is not False]


def test_an_amount_refuses_a_field_that_it_does_not_know_whatever_holds_it() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Money).validate_python({"minor": 1, "currency": "EUR", "major": 0})


@pytest.mark.parametrize("kind", CONTRACTS)
def test_an_example_shows_every_field_that_a_sender_may_give(kind: str) -> None:
    missing = set(CONTRACTS[kind].model_fields) - set(example_of(kind))
    assert missing <= {
        "effective_at",
        "passed_on",
        "contract_id",
        "payment_id",
        "value",
        "trigger_id",
        "late_seconds",
        "change",
        "experiment",
        "holdouts",
        "rulings",
    }


@pytest.mark.parametrize(("topic", "kind"), PUBLIC)
def test_intake_reads_every_example_on_its_topic_twice_alike(topic: str, kind: str) -> None:
    one, again = (read_direct(topic, sent(example_of(kind))) for _ in range(2))
    assert one == again
    assert [event.kind for event in one] == [kind]


@pytest.mark.parametrize(("topic", "kind"), PUBLIC)
def test_a_standard_webhook_may_carry_every_example(topic: str, kind: str) -> None:
    example = example_of(kind)
    body = json.dumps({"type": kind, "timestamp": example["occurred_at"], "data": example}).encode()
    (event,) = read_body("generic", body, received_at=ARRIVED).told()
    assert (event.kind, topic) == (kind, topics_of(kind)[0])


@pytest.mark.parametrize("kind", sorted(OUR_KINDS))
def test_what_only_we_write_is_refused_on_every_public_topic(kind: str) -> None:
    for topic in PUBLIC_TOPIC_KINDS:
        with pytest.raises(DeadLetterError) as raised:
            read_direct(topic, sent(example_of(kind)))
        assert raised.value.reason == Reason.NOT_FROM_OUTSIDE


def test_the_core_survives_every_example_twice_and_the_second_time_changes_nothing() -> None:
    state: ClientState | None = None
    for kind in EVENT_KINDS:
        event = EVENT_ADAPTER.validate_python(example_of(kind))
        if not isinstance(event, ClientEvent) or kind == "client.erased":
            continue
        first = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE)
        again = transition(first.state, event, policy=DEFAULT_POLICY, scorer=BASELINE)
        assert (again.state, again.outputs, again.disposition) == (first.state, (), Disposition.DUPLICATE)
        state = decode(encode(first.state))
    assert state is not None
    erasure = EVENT_ADAPTER.validate_python(example_of("client.erased"))
    assert isinstance(erasure, ClientEvent)
    erased = transition(state, erasure, policy=DEFAULT_POLICY, scorer=BASELINE)
    assert decode(encode(erased.state)) == erased.state


def test_channel_workers_and_advisors_read_every_example_that_goes_out() -> None:
    for kind in ("trigger", "retraction"):
        record = CHANNEL_RECORD_ADAPTER.validate_json(json.dumps(example_of(kind)))
        assert CHANNEL_RECORD_ADAPTER.validate_json(CHANNEL_RECORD_ADAPTER.dump_json(record)) == record
    assert Decision.model_validate_json(json.dumps(example_of("decision"))).kind == "decision"


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_published_agrees_with_the_code(name: str) -> None:
    assert (PUBLISHED / name).read_text(encoding="utf-8") == GENERATED[name], "run: rapport contracts write"


@pytest.mark.parametrize("kind", CONTRACTS)
def test_no_published_version_was_changed_incompatibly(kind: str) -> None:
    for file in PUBLISHED.glob(f"{kind}.v{schema_of(kind)['properties']['schema_version']['const']}.schema.json"):
        assert breaking_changes(json.loads(file.read_text(encoding="utf-8")), schema_of(kind)) == []


def test_the_asyncapi_file_names_every_topic_and_all_its_references_lead_somewhere() -> None:
    document = yaml.safe_load((PUBLISHED / ASYNCAPI_FILE).read_text(encoding="utf-8"))
    assert document == asyncapi()
    assert {channel["address"] for channel in document["channels"].values()} == {topic.name for topic in TOPICS}
    assert all(channel["messages"] for channel in document["channels"].values())

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for inner in value.values() for found in references(inner)]
        return [found for inner in value for found in references(inner)] if isinstance(value, list) else []

    for reference in references(document):
        if reference.startswith("#/"):
            target = document
            for step in reference[2:].split("/"):
                target = target[step]
        else:
            assert (PUBLISHED / reference).is_file()


OLD: dict[str, Any] = schema_of("payment.failed")


def changed(path: str, value: object) -> dict[str, Any]:
    schema = deepcopy(OLD)
    *steps, last = path.split("/")
    target: Any = schema
    for step in steps:
        target = target[step]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return schema


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (changed("properties/decline_code", None), "decline_code: was removed"),
        (changed("properties/payment_id/type", "integer"), "payment_id: was string, is integer"),
        (changed("required", [*OLD["required"], "decline_code"]), "decline_code: is required"),
        (changed("properties/payment_id/maxLength", 20), "payment_id: maxLength is 20, was 200"),
        (changed("properties/payment_id/minLength", 2), "payment_id: minLength is 2, was 1"),
        (changed("properties/payment_id/pattern", "^P"), "payment_id: pattern is ^P, was free"),
        (changed("$defs/PaymentMethod/enum", ["card", "wire"]), "method: no longer accepts bank_debit, cash, check, other"),
        (changed("properties/decline_code/anyOf", [{"type": "string", "maxLength": 100}]), "decline_code: was null"),
        (
            changed("properties/decline_code/anyOf", [{"type": "string", "maxLength": 9}, {"type": "null"}]),
            "decline_code: maxLength is 9",
        ),
        (
            changed("properties/next_retry_at/anyOf", [{"type": "string"}, {"type": "null"}]),
            "next_retry_at: was date-time, is string",
        ),
        (changed("$defs/Money/properties/currency", None), "amount.currency: was removed"),
        (changed("properties/schema_version/const", 2), "schema_version: no longer accepts 1"),
    ],
)
def test_a_change_that_breaks_senders_of_the_published_version_is_named(new: dict[str, Any], said: str) -> None:
    assert any(change.startswith(said) for change in breaking_changes(OLD, new)), breaking_changes(OLD, new)


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        changed("properties/colour", {"type": "string"}),
        changed("properties/payment_id/maxLength", 500),
        changed("properties/payment_id/maxLength", None),
        changed("properties/payment_id/description", "other words"),
        changed("required", OLD["required"][1:]),
        changed("$defs/PaymentMethod/enum", [*OLD["$defs"]["PaymentMethod"]["enum"], "crypto"]),
        changed("properties/payment_id", {"anyOf": [OLD["properties"]["payment_id"], {"type": "null"}]}),
    ],
)
def test_a_change_that_senders_of_the_published_version_do_not_notice_is_allowed(new: dict[str, Any]) -> None:
    assert breaking_changes(OLD, new) == []

"""The published contracts: JSON Schema and example of every kind and version, the AsyncAPI file and an index, all generated."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, TypeAlias, get_args

import orjson
import yaml
from pydantic import BaseModel

from models.events.union import EVENT_KINDS, PUBLIC_TOPIC_KINDS
from models.learners.consistency import ExamplesChecked, ExamplesRegenerated
from models.learners.published import LearnerSnapshot
from models.policy.document import PolicyDocument
from models.triggers import Output
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, DECISIONS, EXAMPLES, SNAPSHOTS, TOPICS, TRIGGERS, WEBHOOKS, Topic

Document: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI_FILE: Final = "asyncapi.yaml"
INDEX_FILE: Final = "README.md"
POLICY_FILE: Final = "policy.v1.schema.json"
"""The schema of a policy in YAML; editors check and complete by it."""

_OUTPUTS: Final = {member.model_fields["kind"].default: member for member in get_args(Output)}

CONTRACTS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {
        **EVENT_KINDS,
        **_OUTPUTS,
        "learner.snapshot": LearnerSnapshot,
        "examples.checked": ExamplesChecked,
        "examples.regenerated": ExamplesRegenerated,
    }
)
"""Every kind that stands on a topic as JSON: what may come in, and what goes out."""


def version_of(kind: str) -> int:
    """Return the present version of a contract."""
    return int(CONTRACTS[kind].model_fields["schema_version"].default)


def example_of(kind: str) -> Document:
    """Return the example that ships with the present version of `kind`."""
    name = f"{kind}.v{version_of(kind)}.json"
    document: Document = orjson.loads((files("models.events") / "examples" / name).read_bytes())
    return document


def schema_file(kind: str) -> str:
    """Return the name of the file that holds the JSON Schema of `kind`."""
    return f"{kind}.v{version_of(kind)}.schema.json"


def schema_of(kind: str) -> Document:
    """Return the JSON Schema of what a reader of `kind` accepts."""
    schema = CONTRACTS[kind].model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": schema_file(kind), **schema, "examples": [example_of(kind)]}


def topics_of(kind: str) -> list[str]:
    """Return the topics on which records of `kind` stand."""
    found = [topic for topic, kinds in PUBLIC_TOPIC_KINDS.items() if kind in kinds]
    if kind in EVENT_KINDS:
        found.append(CLIENT_EVENTS.name)
    if kind in {"trigger", "retraction"}:
        found += [topic.name for topic in TRIGGERS.values()]
    if kind == "decision":
        found.append(DECISIONS.name)
    if kind in {"example", "renewal_example", "examples.withdrawn", "examples.checked", "examples.regenerated"}:
        found.append(EXAMPLES.name)
    if kind == "learner.snapshot":
        found.append(SNAPSHOTS.name)
    return found


def catalogue() -> dict[str, str]:
    """Return every generated file by name. The same code always gives the same text."""
    schemas = {schema_file(kind): _json(schema_of(kind)) for kind in CONTRACTS}
    return {**schemas, POLICY_FILE: _json(policy_schema()), ASYNCAPI_FILE: _yaml(asyncapi()), INDEX_FILE: _index()}


def policy_schema() -> Document:
    """Return the JSON Schema of a policy file."""
    schema = PolicyDocument.model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": POLICY_FILE, **schema}


def asyncapi() -> Document:
    """Return the AsyncAPI 3.0 description of all topics, as Rapport uses them."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rapport",
            "version": "1.0.0",
            "description": "Payments in, timely and respectful client care out. Topic names may carry a deployment's prefix.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": "{bootstrap}", "protocol": "kafka", "variables": {"bootstrap": {"default": "127.0.0.1:9092"}}}
        },
        "channels": {_name(topic.name): _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {_name(kind): _message(kind) for kind in CONTRACTS} | {"raw": _RAW, "deadLetter": _DEAD_LETTER}
        },
    }


_RAW: Final[Document] = {
    "name": "raw",
    "title": "A webhook as it was received",
    "contentType": "application/json",
    "summary": "The raw body. Headers: source, received_at (ISO 8601), delivery_id. Key: the delivery id.",
    "payload": {"type": "string", "format": "binary"},
}
_DEAD_LETTER: Final[Document] = {
    "name": "deadLetter",
    "title": "A record that could not be handled",
    "contentType": "application/octet-stream",
    "summary": (
        "The original key and value. Headers: stage, reason, detail, src_topic, src_partition, src_offset, first_seen, and the"
        " original ones under orig."
    ),
    "payload": {"type": "string", "format": "binary"},
}


def _channel(topic: Topic) -> Document:
    kinds = [kind for kind in CONTRACTS if topic.name in topics_of(kind)]
    messages = {_name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in kinds}
    if topic == WEBHOOKS:
        messages = {"raw": {"$ref": "#/components/messages/raw"}}
    if topic == DEAD_LETTERS:
        messages = {"deadLetter": {"$ref": "#/components/messages/deadLetter"}}
    config = {"cleanup.policy": topic.cleanup, "retention.ms": topic.retention_ms}
    return {
        "address": topic.name,
        "description": topic.holds,
        "messages": messages,
        "bindings": {
            "kafka": {"topicConfiguration": {**config, "max.message.bytes": topic.max_bytes}, "bindingVersion": "0.5.0"}
        },
    }


def _operations() -> Iterator[tuple[str, Document]]:
    for topic in TOPICS:
        name = _name(topic.name)
        received = topic.name in PUBLIC_TOPIC_KINDS
        verb = "receive" if received else "send"
        yield (
            f"{verb}{name[0].upper()}{name[1:]}",
            {"action": verb, "channel": {"$ref": f"#/channels/{name}"}, "summary": topic.holds},
        )


def _message(kind: str) -> Document:
    return {
        "name": kind,
        "title": CONTRACTS[kind].__name__,
        "summary": _first_line(kind),
        "contentType": "application/json",
        "payload": {"$ref": f"./{schema_file(kind)}"},
        "examples": [{"name": f"{kind} v{version_of(kind)}", "payload": example_of(kind)}],
    }


def _name(address: str) -> str:
    """Return an address as a key of AsyncAPI's maps: `client.events` is `clientEvents`."""
    first, *others = address.replace("_", ".").split(".")
    return first + "".join(word.capitalize() for word in others)


def _first_line(kind: str) -> str:
    return (CONTRACTS[kind].__doc__ or "").strip().splitlines()[0]


_INDEX_HEAD: Final = f"""# Contracts

Generated by `rapport contracts write`; `rapport contracts check` holds it against the code.
`rapport contracts show KIND` prints a schema with its example. [`{ASYNCAPI_FILE}`]({ASYNCAPI_FILE}) describes the topics,
[`{POLICY_FILE}`]({POLICY_FILE}) a policy file (`rapport policy show --yaml` prints one).

| kind | version | topics | meaning |
|---|---|---|---|
"""


def _index() -> str:
    return _INDEX_HEAD + "".join(_row(kind) for kind in CONTRACTS)


def _row(kind: str) -> str:
    topics = ", ".join(f"`{topic}`" for topic in topics_of(kind))
    return f"| [`{kind}`]({schema_file(kind)}) | {version_of(kind)} | {topics} | {_first_line(kind)} |\n"


def _json(document: Document) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _yaml(document: Document) -> str:
    text: str = yaml.dump(document, sort_keys=False, allow_unicode=True, width=120, Dumper=_PlainDumper)
    return "# Generated by `rapport contracts write`.\n" + text


class _PlainDumper(yaml.SafeDumper):
    """Writes everything out: anchors and aliases save lines and cost readers."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the answer is the same for all
        return True

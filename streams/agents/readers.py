"""Which pure reader understands which public topic."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

from models.events.union import AnyClientEvent
from streams.agents.intake import read_direct, read_webhook
from streams.wire.records import Record
from streams.wire.topics import INTAKE_TOPICS, WEBHOOKS

Reader: TypeAlias = Callable[[Record], Sequence[AnyClientEvent]]
"""Turns a record into events; raises DeadLetterError for what cannot be read. Pure."""

INTAKE_READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {topic.name: read_webhook if topic is WEBHOOKS else partial(read_direct, topic.name) for topic in INTAKE_TOPICS}
)
"""The reader of each public topic, by its bare name."""

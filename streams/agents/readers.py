"""Which pure reader understands which public topic."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from streams.agents.intake import interpret_direct, interpret_webhook
from streams.sources.lookup import Reader
from streams.wire.topics import INTAKE_TOPICS, WEBHOOKS

INTAKE_READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {topic.name: interpret_webhook if topic is WEBHOOKS else partial(interpret_direct, topic.name) for topic in INTAKE_TOPICS}
)
"""The reader of each public topic, by its bare name."""

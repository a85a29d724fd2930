"""Makes the topics of `streams/wire/topics.py` on a broker, and holds those it finds against the table."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.runtime.clock import monotonic
from streams.runtime.errors import FatalError, RetryError
from streams.runtime.settings import Settings
from streams.wire.kafka import begun, kafka_options, why_away
from streams.wire.topics import TOPICS, Partitioning, Topic

_MOST_COPIES: Final = 3
_PAUSE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What a broker says about one topic: its number of partitions, and the settings that our table names."""

    partitions: int
    config: Mapping[str, str]


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give an admin client; RetryError if no broker answers."""
    client = AIOKafkaAdminClient(**kafka_options(settings), request_timeout_ms=20_000)
    try:
        await begun(client, settings)
    except (KafkaError, OSError) as error:
        await client.close()
        raise RetryError(await why_away(settings, error)) from error
    try:
        yield client
    finally:
        await client.close()


async def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and return their names; all have leaders, and groups a coordinator, when this returns.

    Any number of processes may do so at once. FatalError if a topic exists with another number of partitions or with
    settings under which records would be lost, refused or stamped otherwise; RetryError if no broker answers.
    """
    wanted = {settings.topic(topic.name): topic for topic in TOPICS}
    async with admin_client(settings) as client:
        found = await _facts(client, wanted)
        missing = [name for name in wanted if name not in found]
        if missing:
            await _create(client, settings, {name: wanted[name] for name in missing})
        if flaws := find_flaws(found, settings=settings):
            raise FatalError("; ".join(flaws))
        await _wait_for_leaders(client, set(wanted))
        await _wait_for_coordinator(client, settings.group)
    return missing


async def read_topics(settings: Settings, *, topics: Iterable[Topic] = TOPICS) -> dict[str, TopicFacts]:
    """Return what the broker says about those of `topics` that exist, by full name."""
    async with admin_client(settings) as client:
        return await _facts(client, {settings.topic(topic.name): topic for topic in topics})


def partitions_of(topic: Topic, *, settings: Settings) -> int:
    """Return how many partitions `topic` has under `settings`."""
    return settings.partitions if topic.partitioning is Partitioning.CLIENT else 1


def find_flaws(found: Mapping[str, TopicFacts], *, settings: Settings) -> list[str]:
    """Return in words where topics that exist differ from the table so that going on would do harm, what is alike once.

    Keeping records longer or accepting larger ones than the table asks for does none.
    """
    wanted = {settings.topic(topic.name): topic for topic in TOPICS}
    known = {name: (wanted[name], found[name]) for name in wanted if name in found}
    other: dict[tuple[int, int], list[str]] = {}
    for name, (topic, facts) in known.items():
        expected = partitions_of(topic, settings=settings)
        if facts.partitions != expected:
            other.setdefault((facts.partitions, expected), []).append(name)
    flaws = [
        f"{'topic' if len(names) == 1 else 'topics'} {', '.join(names)}: {actual} partitions, expected {expected}: each client's "
        f"history would be split; fix: set RAPPORT_PARTITIONS={actual}, or another RAPPORT_TOPIC_PREFIX, or delete the topic"
        for (actual, expected), names in other.items()
    ]
    return flaws + [flaw for name, (topic, facts) in known.items() for flaw in _settings_flaws(name, topic, facts)]


def _settings_flaws(name: str, topic: Topic, facts: TopicFacts) -> Iterator[str]:
    for key, value in topic.config().items():
        actual = facts.config.get(key, "")
        if not _good_enough(key, actual, value):
            yield (
                f"topic {name} has {key}={actual}, expected {value}; "
                f"fix: kafka-configs.sh --alter --topic {name} --add-config {key}={value}"
            )


def _good_enough(key: str, actual: str, expected: str) -> bool:
    match key:
        case "retention.ms":
            return actual == "-1" or (expected != "-1" and int(actual or 0) >= int(expected))
        case "max.message.bytes":
            return int(actual or 0) >= int(expected)
        case _:
            return actual == expected


async def _create(client: AIOKafkaAdminClient, settings: Settings, topics: Mapping[str, Topic]) -> None:
    brokers = len((await client.describe_cluster())["brokers"])
    copies = min(_MOST_COPIES, brokers)
    answer = await client.create_topics(
        [
            NewTopic(name, partitions_of(topic, settings=settings), copies, topic_configs=topic.config())
            for name, topic in topics.items()
        ]
    )
    for name, code, *detail in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another process may have been quicker
            message = f"cannot create topic {name}: {error.__name__} {' '.join(map(str, detail))}"
            raise (RetryError if getattr(error, "retriable", False) else FatalError)(message)


async def _facts(client: AIOKafkaAdminClient, wanted: Mapping[str, Topic]) -> dict[str, TopicFacts]:
    counts = {entry["topic"]: len(entry["partitions"]) for entry in await client.describe_topics() if entry["topic"] in wanted}
    if not counts:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, wanted[name].config()) for name in counts]
    configs = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in await client.describe_configs(resources)
        for resource in answer.resources
    }
    return {name: TopicFacts(partitions, configs.get(name, {})) for name, partitions in counts.items()}


async def _wait_for_leaders(client: AIOKafkaAdminClient, names: set[str]) -> None:
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        entries = await client.describe_topics(sorted(names))
        led = {
            entry["topic"]
            for entry in entries
            if not entry["error_code"] and entry["partitions"] and all(part["leader"] >= 0 for part in entry["partitions"])
        }
        if led == names:
            return
        if monotonic() > deadline:
            message = f"topics without a leader after {_PATIENCE_SECONDS:.0f} s: {', '.join(sorted(names - led))}"
            raise RetryError(message)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _wait_for_coordinator(client: AIOKafkaAdminClient, group: str) -> None:
    """Let a new broker make what it keeps of groups, which it does when it is asked first; a consumer would log that as errors.

    Whoever may not ask has no group, and where it lasts longer the consumer says so.
    """
    deadline = monotonic() + _PATIENCE_SECONDS
    while monotonic() < deadline:
        try:
            await client.find_coordinator(group)
        except KafkaError as error:
            if not error.retriable:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return

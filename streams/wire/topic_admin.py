"""Creates the topics of the table on a broker, and refuses a broker whose topics do not fit."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.runtime.clock import monotonic
from streams.runtime.errors import RetryError, UsageError
from streams.runtime.settings import Settings
from streams.wire.topics import TOPICS, Partitioning, Topic

READY_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
_MOST_REPLICAS: Final = 3  # one may fail while another is maintained


def partitions_of(topic: Topic, settings: Settings) -> int:
    """Return how many partitions `topic` has in this deployment."""
    return settings.partitions if topic.partitioning is Partitioning.CLIENT else 1


async def ensure_topics(settings: Settings, *, replication: int | None = None) -> list[str]:
    """Create what is missing, wait until every topic has its leaders, and return the names that were created.

    `replication` none takes three replicas, or as many as there are brokers. Doing it twice changes nothing. Raises
    UsageError when a topic exists with another number of partitions, and RetryError when the broker does not answer or is
    not ready within READY_SECONDS.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    try:
        await admin.start()
        created = await _create_missing(admin, settings, replication)
        await _wait_until_led(admin, settings)
    except (KafkaError, OSError) as error:
        message = f"Kafka at {settings.kafka_bootstrap} does not answer ({error!r}); check KAFKA_BOOTSTRAP and `rapport doctor`"
        raise RetryError(message) from error
    finally:
        await admin.close()
    return created


async def _create_missing(admin: AIOKafkaAdminClient, settings: Settings, replication: int | None) -> list[str]:
    existing = set(await admin.list_topics())
    missing = [topic for topic in TOPICS if settings.topic(topic.name) not in existing]
    if not missing:
        return []
    if replication is None:
        replication = min(_MOST_REPLICAS, len((await admin.describe_cluster())["brokers"]))
    response = await admin.create_topics(
        [
            NewTopic(
                name=settings.topic(topic.name),
                num_partitions=partitions_of(topic, settings),
                replication_factor=replication,
                topic_configs=topic.config(),
            )
            for topic in missing
        ]
    )
    created = []
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(str(name))
        elif error is not TopicAlreadyExistsError:  # another process was quicker: fine
            raise error(name)
    return created


async def _wait_until_led(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Return when every partition of every topic has a leader: a topic just created is not usable at once."""
    wanted = {settings.topic(topic.name): partitions_of(topic, settings) for topic in TOPICS}
    deadline = monotonic() + READY_SECONDS
    while True:
        described = {entry["topic"]: entry for entry in await admin.describe_topics(list(wanted))}
        led = {
            name: [part["partition"] for part in entry["partitions"] if part["leader"] >= 0]
            for name, entry in described.items()
            if entry["error_code"] == 0
        }
        for name, entry in described.items():
            if entry["error_code"] == 0 and len(entry["partitions"]) != wanted[name]:
                message = (
                    f"topic {name} has {len(entry['partitions'])} partitions, the settings say {wanted[name]}: set"
                    " RAPPORT_PARTITIONS to what the deployment was made with, or use another RAPPORT_TOPIC_PREFIX"
                )
                raise UsageError(message)
        waiting = [name for name, count in wanted.items() if len(led.get(name, ())) != count]
        if not waiting:
            return
        if monotonic() > deadline:
            message = f"topics without a leader after {READY_SECONDS:.0f} s: {', '.join(waiting)}; look at the broker's log"
            raise RetryError(message)
        await asyncio.sleep(_LOOK_SECONDS)

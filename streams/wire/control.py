"""The one way in which people and trainers change what holds for all clients: a control event on every partition of the log."""

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.events.union import AnyControlEvent
from models.ids import derive
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.kafka import begun, kafka_options
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY


def control_id(kind: str, *parts: str | int) -> str:
    """Return the id of a control event; `parts` say what it puts in force and when it was decided."""
    return derive("control", kind, *parts)


async def tell_every_partition(settings: Settings, event: AnyControlEvent) -> list[int]:
    """Write `event` to every partition of the client log and return the offsets, by partition.

    Each partition folds it between two records of its own, so for a moment some decide under the new regime and some under the
    old. Telling it again, after RetryError for instance, changes nothing where it was heard: the id is the same.
    """
    value = encode_event(event)
    topic = settings.topic(CLIENT_EVENTS.name)
    producer = AIOKafkaProducer(**kafka_options(settings), acks="all", enable_idempotence=True)
    try:
        await begun(producer, settings)
        sent = [
            await producer.send(topic, value, key=CONTROL_KEY, partition=partition) for partition in range(settings.partitions)
        ]
        return [(await record).offset for record in sent]
    except (KafkaError, OSError) as error:
        message = (
            f"Kafka at {settings.kafka_bootstrap} did not take {event.kind} for every partition ({error!r});"
            " check it with `rapport doctor` and say it again: where it arrived, the second time changes nothing"
        )
        raise RetryError(message) from error
    finally:
        await producer.stop()

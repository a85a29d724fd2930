"""What the core says to one record, on its way to the topics that take it: numbered in order, dead letters where none does."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.events.union import AnyEvent
from models.triggers import AnyOutput, Decision, Example, ExamplesWithdrawn, RenewalExample, Retraction, Trigger
from streams.engine.letters import dead_letter_entry
from streams.engine.writes import OutboxEntry
from streams.runtime.errors import DeadLetterError
from streams.wire.codec import encode_output, output_key
from streams.wire.dead_letters import Reason
from streams.wire.headers import LOGGED, RECEIVED, Position, origin_headers
from streams.wire.partitioning import partition_of
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, DECISIONS, EXAMPLES, TRIGGERS, Partitioning, Topic

STAGE: Final = "clients"
_OVERHEAD: Final = 4_096  # key, headers and the batch around a record
_ALWAYS_TO: Final[Mapping[type[AnyOutput], Topic]] = MappingProxyType(
    {Decision: DECISIONS, Example: EXAMPLES, RenewalExample: EXAMPLES, ExamplesWithdrawn: EXAMPLES}
)


class Outlet:
    """Outputs of one record, numbered in order."""

    __slots__ = ("_partitions", "entries", "event", "record")

    def __init__(self, record: Record, event: AnyEvent | None, *, partitions: int) -> None:
        """Begin with nothing said to `record`, which holds `event` where it could be read."""
        self.record = record
        self.event = event
        self._partitions = partitions
        self.entries: list[OutboxEntry] = []

    def put(self, output: AnyOutput) -> None:
        """Append one output of the core, or a dead letter in its place when no topic takes it."""
        position = Position(self.record.offset, len(self.entries))
        value = encode_output(output)
        stations: tuple[tuple[str, bytes], ...] = ()
        topic = _ALWAYS_TO.get(type(output))  # by the very class, as in the codec
        if topic is None and isinstance(output, Trigger | Retraction):
            topic, stations = TRIGGERS.get(output.channel), self._stations()
        elif topic is None:
            topic = CLIENT_EVENTS
        if topic is None:
            self.put_dead(DeadLetterError(Reason.NO_TOPIC, f"no topic for the {output.kind}'s channel"), value)
            return
        if len(value) + _OVERHEAD > topic.max_bytes:
            self.put_dead(DeadLetterError(Reason.TOO_LARGE, f"a {output.kind} of {len(value)} bytes for {topic.name}"), value)
            return
        home = self.record.partition
        self.entries.append(
            OutboxEntry(
                position=position,
                topic=topic.name,
                partition=self._partition(topic, output),
                key=output_key(output),
                value=value,
                headers=origin_headers(CLIENT_EVENTS.name, home, position, kind=output.kind) + stations,
            )
        )

    def _partition(self, topic: Topic, output: AnyOutput) -> int:
        if topic is CLIENT_EVENTS:
            return partition_of(output.client_id, self._partitions)  # where the client lives to whom it is passed on
        return 0 if topic.partitioning is Partitioning.SINGLE else self.record.partition

    def _stations(self) -> tuple[tuple[str, bytes], ...]:
        logged = (LOGGED, b"%d" % self.record.timestamp)
        return (logged,) if self.event is None else ((RECEIVED, b"%d" % self.event.received_ms), logged)

    def put_dead(self, error: DeadLetterError, value: bytes | None = None) -> None:
        """Append a dead letter: the record's own bytes, or `value` when an output could not be published."""
        idx = len(self.entries)
        self.entries.append(
            dead_letter_entry(self.record, topic=CLIENT_EVENTS.name, stage=STAGE, error=error, idx=idx, value=value)
        )

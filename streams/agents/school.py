"""The pure part of the trainer: examples in log order in, checkpoints, snapshots and activations out. No clock, no I/O."""

from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import orjson
from pydantic import ValidationError

from models.events.control import LearnerActivated
from models.features import TABLE
from models.learners.activation import LATENESS
from models.learners.promotion import ActivationRule
from models.learners.published import LearnerSnapshot, range_held, record_of
from models.learners.questions import day_known
from models.learners.snapshot import Checkpoint, SnapshotError, dump, load
from models.learners.trainer import LatenessTrainer
from models.triggers import Example, ExamplesWithdrawn
from models.workdays import moment
from streams.engine.writes import OutboxEntry, Writes
from streams.runtime.errors import DeadLetterError, FatalError
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.control import control_id
from streams.wire.headers import Origin, Position, origin_headers, read_origin
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, EXAMPLES, SNAPSHOTS

AUTOMATIC: Final = "automatic"
WITHDRAWN: Final = "examples.withdrawn"
KIND: Final = "example"
"""Kind of the records this learner learns from; what other learners learn from stands on the same topic."""

_TAKEN_BACK: Final = "withdrawn"
_UNREADABLE: Final = "unreadable"
_OTHER_TABLE: Final = "other_table"
CHECKPOINT_EXAMPLES: Final = 500
"""Examples after which progress is stored even when nothing is published: learning them again takes 50 ms."""

KEPT_SNAPSHOTS: Final = 60
"""Versions a person can go back to; older ones are taken off the topic. Two months, as one a day is taken."""


class Memory(msgspec.Struct, frozen=True, array_like=True):
    """All that a trainer must not lose, as it was when the examples before the stored offset were learned.

    `marks` is the furthest output taken of each partition of the client log, since an example may be published twice. Before
    the offset `quiet_before` nothing is published: an earlier life did, what is learned again is no news.
    """

    checkpoint: bytes
    marks: dict[int, tuple[int, int]]
    published_ms: int = 0
    published_learned: int = 0
    stored_learned: int = 0
    drifts: int = 0
    passed: bool = False
    versions: tuple[str, ...] = ()
    quiet_before: int = 0


@dataclass(frozen=True, slots=True)
class Harvest:
    """What is to be stored at a turn of the day; `snapshot` where one is published, `activated` where it is put in force."""

    writes: Writes
    snapshot: LearnerSnapshot | None = None
    activated: bool = False
    why: str = ""


def rule_of(settings: Settings) -> ActivationRule:
    """Return the rule of snapshots and activations that the settings ask for."""
    return ActivationRule(
        automatic=settings.learner_activation == AUTOMATIC,
        every_ms=settings.learner_snapshot_minutes * 60_000,
        every_examples=settings.learner_snapshot_examples,
        least_answers=settings.learner_guard_answers,
        margin=settings.learner_guard_margin,
    )


def resume(stored: bytes) -> tuple[LatenessTrainer, Memory]:
    """Return the trainer that was stored. Raises FatalError when this release cannot go on from it."""
    memory = msgspec.msgpack.decode(stored, type=Memory)
    try:
        return LatenessTrainer.resume(load(memory.checkpoint, Checkpoint)), memory
    except SnapshotError as error:
        message = f"the trainer cannot go on: {error}; to begin anew from the examples: rapport run-trainer --afresh"
        raise FatalError(message) from error


class School:
    """One learner at its examples. The same records give the same harvests, wherever it was stopped and resumed between."""

    def __init__(self, stored: bytes | None, *, rule: ActivationRule, partitions: int, quiet_before: int = 0) -> None:
        """Go on from what was stored last, or begin; activations are written to `partitions` partitions of the client log."""
        self.trainer, memory = resume(stored) if stored else (LatenessTrainer(), Memory(b"", {}))
        self._memory = msgspec.structs.replace(memory, quiet_before=max(memory.quiet_before, quiet_before))
        self.counts: Counter[str] = Counter()
        self.withdrawn: list[str] = []
        self._marks = {partition: Position(*mark) for partition, mark in self._memory.marks.items()}
        self._rule = rule
        self._partitions = partitions

    def take(self, record: Record) -> Harvest | None:
        """Take the next record of the topic; returns what to store before it, where it begins a new day and enough has passed."""
        if not record.value:
            self.counts[_TAKEN_BACK] += 1
            return None
        try:
            origin = read_origin(record.headers)
            if origin.position <= self._marks.get(origin.src_partition, Position(-1, -1)):
                self.counts["repeated"] += 1
                return None
            if origin.kind == WITHDRAWN:
                self._withdraw(record, origin)
                return None
            if origin.kind != KIND:
                self.counts["other"] += 1
                return None
            example = read_example(record)
        except DeadLetterError as error:
            self.counts[error.reason] += 1
            return None
        harvest = None
        if self.trainer.turns(example) and self.trainer.turn(day_known(example)):
            harvest = self._harvest(record)
        self._marks[origin.src_partition] = origin.position
        self.trainer.take(example)
        self.counts["taken"] += 1
        return harvest

    def _withdraw(self, record: Record, origin: Origin) -> None:
        client_id = ExamplesWithdrawn.model_validate_json(record.value or b"").client_id
        self._marks[origin.src_partition] = origin.position
        self.trainer.withdraw(client_id)
        self.withdrawn.append(client_id)
        self.counts["withdrawal"] += 1

    def _harvest(self, record: Record) -> Harvest | None:
        trainer, memory, rule = self.trainer, self._memory, self._rule
        began = memory.published_ms or record.timestamp
        passes = rule.passes(trainer.judge)
        drifted = trainer.watch.alarms > memory.drifts
        past = (record.timestamp - began, trainer.learned - memory.published_learned)
        due = drifted or (passes and not memory.passed) or rule.is_due(past_ms=past[0], past_examples=past[1])
        publishes = due and record.offset >= memory.quiet_before
        if not publishes and trainer.learned - memory.stored_learned < CHECKPOINT_EXAMPLES:
            self._memory = msgspec.structs.replace(memory, published_ms=began)
            return None
        snapshot = self._snapshot() if publishes else None
        # After a drift the newest is the one that leans on the rules, so it is put in force if any was before.
        activates = snapshot is not None and rule.automatic and (passes or (drifted and memory.passed))
        versions = memory.versions if snapshot is None else (*memory.versions, snapshot.version)
        self._memory = Memory(
            checkpoint=dump(trainer.checkpoint()),
            marks={partition: (mark.src_offset, mark.idx) for partition, mark in self._marks.items()},
            published_ms=record.timestamp if publishes else began,
            published_learned=trainer.learned if publishes else memory.published_learned,
            stored_learned=trainer.learned,
            drifts=trainer.watch.alarms if publishes else memory.drifts,
            passed=memory.passed or passes,
            versions=versions[-KEPT_SNAPSHOTS:],
            quiet_before=memory.quiet_before,
        )
        entries = () if snapshot is None else self._entries(snapshot, record, versions[:-KEPT_SNAPSHOTS], activates=activates)
        writes = Writes(
            next_offset=record.offset,
            watermark_ms=trainer.trained_ms,
            states={LATENESS: msgspec.msgpack.encode(self._memory)},
            outbox=entries,
        )
        return Harvest(writes, snapshot, activates, rule.tell(trainer.judge))

    def _snapshot(self) -> LearnerSnapshot:
        trainer = self.trainer
        weights = trainer.publish()
        return LearnerSnapshot(
            learner=LATENESS,
            version=weights.version,
            table=TABLE,
            trained_at=moment(trainer.trained_ms),
            learned=trainer.learned,
            trust=trainer.watch.trust,
            drifts=trainer.watch.alarms,
            candidate=record_of(trainer.judge.candidate),
            rules=record_of(trainer.judge.rules),
            live=record_of(trainer.judge.live),
            range_held=range_held(trainer.judge),
            snapshot=b64encode(dump(weights)).decode(),
        )

    def _entries(
        self, snapshot: LearnerSnapshot, record: Record, old: tuple[str, ...], *, activates: bool
    ) -> tuple[OutboxEntry, ...]:
        told: list[tuple[str, int, bytes | None, bytes]] = [
            (SNAPSHOTS.name, 0, snapshot.version.encode(), snapshot.model_dump_json(exclude_none=True).encode())
        ]
        told += [(SNAPSHOTS.name, 0, version.encode(), b"") for version in old]
        if activates:
            value = encode_event(activation(snapshot, at=moment(record.timestamp), reason=self._rule.tell(self.trainer.judge)))
            told += [(CLIENT_EVENTS.name, partition, CONTROL_KEY, value) for partition in range(self._partitions)]
        return tuple(
            OutboxEntry(
                position=(at := Position(record.offset, idx)),
                topic=topic,
                partition=partition,
                key=key,
                value=value,
                headers=origin_headers(EXAMPLES.name, 0, at, kind="learner.snapshot"),
            )
            for idx, (topic, partition, key, value) in enumerate(told)
        )


def activation(snapshot: LearnerSnapshot, *, at: datetime, reason: str) -> LearnerActivated:
    """Return the event by which the trainer puts a snapshot in force; the same snapshot always gives the same event id."""
    return LearnerActivated(
        event_id=control_id(AUTOMATIC, snapshot.learner, snapshot.version),
        source="trainer",
        occurred_at=at,
        received_at=at.astimezone(UTC),
        author=AUTOMATIC,
        reason=reason,
        learner=snapshot.learner,
        version=snapshot.version,
        automatic=True,
        snapshot=snapshot.snapshot,
    )


def read_example(record: Record) -> Example:
    """Return the example in a record; raises DeadLetterError with the reason for what no learner of this release can learn."""
    try:
        example = Example.model_validate_json(record.value or b"")
    except ValidationError as error:
        raise DeadLetterError(_UNREADABLE, f"{error.error_count()} errors") from error
    if example.table != TABLE:
        raise DeadLetterError(_OTHER_TABLE, f"made from the feature table {example.table}, this release has {TABLE}")
    return example


def is_of(record: Record, client_id: str) -> bool:
    """Return whether a record of the topic is something learned, or to be learned, about a client."""
    if not record.value or not (record.key or b"").startswith(f"{client_id}|".encode()):
        return False
    said = orjson.loads(record.value)
    return bool(said["client_id"] == client_id and said["kind"] != WITHDRAWN)
